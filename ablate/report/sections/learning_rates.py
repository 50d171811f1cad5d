"""Which learning rates are of use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import unique
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section("learning_rates", "score and learning rate", position=80, tables=("boxes",), figure="learning_rates")
def learning_rates(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    tasks = unique(tables["boxes"], "task")
    return {"narrow": len(tasks) == 1} if tasks else None
