"""What the number of trials can find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import records, unique, where
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section("planning", "How many trials a difference needs", position=36, tables=("planning",))
def planning(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    table = tables["planning"]
    if table.empty:
        return None
    return {
        "differences": unique(table, "difference"),
        "rows": [records(where(table, task=task)) for task in unique(table, "task")],
    }
