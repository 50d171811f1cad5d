"""Set studies side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.api.run import load
from ablate.errors import UserError, storage_errors

if TYPE_CHECKING:
    import pandas as pd


def compare(*studies: str | Path, output: str | Path | None = None) -> dict[str, pd.DataFrame]:
    """Studies side by side, the first being what the others are held to.

        tables = ablate.compare("results/default", "results/paper")

    Args:
        studies: their folders; studies of one name are told apart by them.
        output: a folder for the page with its figure and tables; nothing is written if None.

    Returns:
        The tables effects, differences, agreement and settings: see `ablate.analysis.between_studies.compare_studies`.

    Raises:
        UserError: there is no such study, or they have no task and variant in common.
        StorageError: the folder cannot be written.
    """
    from ablate.analysis.between_studies import compare_studies

    found = [load(path).results for path in studies]
    names, places = [results.name for results in found], [Path(path).resolve() for path in studies]
    if twice := next((path for path, place in zip(studies, places, strict=True) if places.count(place) > 1), None):
        raise UserError(f"study {str(twice)!r} is given twice; a comparison takes different ones")
    labels = [str(path) if names.count(name) > 1 else name for path, name in zip(studies, names, strict=True)]
    tables = compare_studies([replace(results, name=label) for results, label in zip(found, labels, strict=True)])
    if output is not None:
        from ablate.report.studies import write_comparison

        with storage_errors(Path(output)):
            write_comparison(tables, Path(output))
    return tables
