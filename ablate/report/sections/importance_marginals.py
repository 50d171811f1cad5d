"""The score along each hyperparameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import where
from ablate.analysis.responses import SCORE
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section(
    "importance_marginals",
    "the score along each hyperparameter",
    position=84,
    tables=("importance_marginals",),
    figure="importance_marginals",
)
def importance_marginals(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    return {} if len(where(tables["importance_marginals"], response=SCORE)) else None
