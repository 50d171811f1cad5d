"""The same by wall time, since a cheap cell may be tried more often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section
from ablate.report.sections.budget import budget


@section("budget_seconds", "what so much time reaches", position=43, tables=("budget_curves",), figure="budget_seconds")
def budget_seconds(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    return budget(results, tables)
