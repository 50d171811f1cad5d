"""Which hyperparameters the score depends on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import unique, where
from ablate.analysis.importance import WHOLE
from ablate.analysis.responses import SCORE
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section(
    "importance_shares",
    "what the score depends on",
    position=83,
    tables=("importance",),
    figure="importance_shares",
)
def importance_shares(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    table = where(tables["importance"], response=SCORE, region=WHOLE)
    return {"narrow": len(unique(table, "task")) == 1} if True in set(table["claimed"]) else None
