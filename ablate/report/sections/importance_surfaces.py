"""How hyperparameters interact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section(
    "importance_surfaces",
    "how hyperparameters interact",
    position=86,
    tables=("importance_surfaces",),
    figure="importance_surfaces",
)
def importance_surfaces(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    return {} if len(tables["importance_surfaces"]) else None
