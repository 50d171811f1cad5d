"""The whole study at a glance, with how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import unique, where
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section("overview", "all variants on all tasks", position=17, tables=("standardised_effects",), figure="overview")
def overview(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    table = tables["standardised_effects"]
    return {"narrow": len(unique(where(table, set="all"), "task")) < 3} if len(table) else None
