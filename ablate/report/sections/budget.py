"""What a search of fewer draws would have found, by trials and by time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import unique
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section("budget", "what so many draws reach", position=42, tables=("budget_curves",), figure="budget")
def budget(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    """None below two draws, where there is no search."""
    table = tables["budget_curves"]
    if table.query("m > 1").empty:
        return None
    narrow = len(unique(table, "task")) == 1 and len(unique(table, "variant")) < 4
    return {"narrow": narrow, "banded": len(table.dropna(subset=["better_end", "worse_end"]).query("m > 1")) > 0}
