"""The main figure, with how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import unique
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section("boxes", "test scores", position=20, tables=("boxes", "comparisons"), figure="boxes")
def boxes(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    tasks, compared = unique(tables["boxes"], "task"), unique(tables["comparisons"], "variant")
    return {"narrow": len(tasks) == 1 and len(compared) < 4} if tasks else None
