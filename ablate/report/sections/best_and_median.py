"""The best and the median trial of each task and variant, with their hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import unique
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import by_task, decimals
from ablate.report.registry import section


@section("best_and_median", "Best and median trials", position=50, tables=("boxes", "summary"))
def best_and_median(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    tasks = unique(tables["boxes"], "task")
    if not tasks:
        return None
    return {
        "tasks": tasks,
        "chosen": {"best": "Best trial by validation", "median": "Median trial by test"},
        "summaries": by_task(tables["summary"]),
        "decimals": decimals(tables["boxes"]),
    }
