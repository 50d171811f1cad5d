"""How the best trials learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import unique
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section("curves", "how the best trials learnt", position=40, tables=("learning_curves",), figure="curves")
def curves(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    table = tables["learning_curves"]
    narrow = len(unique(table, "task")) == 1 and len(unique(table, "variant")) < 4
    return {"narrow": narrow} if len(table) else None
