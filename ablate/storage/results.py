"""Read a study's results from its folder."""

from __future__ import annotations

import pandas as pd

from ablate.definitions.study_results import StudyResults, TaskMetadata, VariantMetadata
from ablate.definitions.whole_indices import only_whole_indices, whole_indices
from ablate.kept import Compute, Kept
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import CURVE_COLUMNS


def load_results(folder: StudyFolder, compute: Compute | None = None) -> StudyResults:
    """What a study's tables and metadata hold, whichever version wrote them; in one with hours, of whole indices alone.

    Args:
        compute: computes for slow analyses what is not kept; if None, they have what is kept.

    Raises:
        UserError: the tables or the metadata are damaged.
    """
    folder.check_tables()
    metadata, tables = folder.metadata(), folder.tables
    large = tables.has_sealed_curves
    results = StudyResults(
        name=folder.name,
        trials=tables.trials(),
        curves=pd.DataFrame(columns=[column.name for column in CURVE_COLUMNS]) if large else tables.curves(),
        read_curves=tables.curves if large else None,
        samples=tables.samples(),
        replicates=tables.replicates(),
        tasks=[TaskMetadata.from_dict(task) for task in metadata.get("tasks", {}).values()],
        variants=[VariantMetadata.from_dict(variant) for variant in metadata.get("variants", {}).values()],
        expected_trials=metadata.get("expected", 0),
        reference=folder.reference,
        command=metadata.get("command", ""),
        configuration=metadata.get("configuration", {}),
        environment=metadata.get("environment", {}),
        kept=Kept(folder.kept, compute),
    )
    return only_whole_indices(results) if results.configuration.get("hours") else results


def whole_indices_of(folder: StudyFolder) -> dict[str, int]:
    """By task, how many indices of a study have ended for all of its variants and controls, see `whole_indices`."""
    metadata = folder.metadata()
    return whole_indices(
        folder.tables.trials(),
        folder.tables.replicates(),
        list(metadata.get("tasks", {})),
        list(metadata.get("variants", {})),
        folder.reference,
        int(metadata.get("configuration", {}).get("controls", 0)),
    )
