"""What the ends of the ranges and of training may have decided, with the verdicts on halves of the ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import records, where
from ablate.analysis.trials import DRAWN_TRAINING, HYPERPARAMETERS
from ablate.definitions.study_results import StudyResults
from ablate.report.marks import RANGE_MARK
from ablate.report.registry import section


@section(
    "ranges",
    "Ranges and length of training",
    position=32,
    tables=("range_dependence", "subrange_comparisons", "training_length"),
)
def ranges(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    dependent, lengths = records(tables["range_dependence"]), records(tables["training_length"])
    if not dependent and not lengths:
        return None
    halves = [
        row
        for each in dependent
        for row in records(where(tables["subrange_comparisons"], task=each["task"], variant=each["variant"]))
    ]
    names = {name: _spaced(name) for name in (*HYPERPARAMETERS, *DRAWN_TRAINING)}
    dependent = [
        {**row, "edges": _spaced(row["edges"]), "reversed_on": _spaced(row["reversed_on"])} for row in dependent
    ]
    return {"dependent": dependent, "halves": halves, "lengths": lengths, "mark": RANGE_MARK, "names": names}


def _spaced(text: str) -> str:
    return text.replace("_", " ")
