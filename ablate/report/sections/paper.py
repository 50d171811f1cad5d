"""The paper's own procedure, as the paper's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import records, unique
from ablate.analysis.paper_comparisons import FALSE_ALARMS
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import by_task
from ablate.report.registry import section

LAWS = {"normal": "normal", "music": "resampled: music"}  # of the simulated studies that the page quotes


@section("paper", "The published procedure", position=95, tables=("paper_comparisons",))
def paper(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    table = tables["paper_comparisons"]
    if all(math.isnan(row["p"]) for row in records(table)):
        return None
    alarms = {law: FALSE_ALARMS[name, "independent"] for law, name in LAWS.items()}
    return {"tasks": unique(table, "task"), "rows": by_task(table), **alarms}
