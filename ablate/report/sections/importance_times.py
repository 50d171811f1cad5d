"""The time of a training along each hyperparameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import where
from ablate.analysis.responses import SECONDS
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section(
    "importance_times",
    "the time of a trial along each hyperparameter",
    position=85,
    tables=("importance_marginals",),
    figure="importance_times",
)
def importance_times(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    return {} if len(where(tables["importance_marginals"], response=SECONDS)) else None
