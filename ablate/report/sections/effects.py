"""The answer in one picture, with how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import unique, where
from ablate.analysis.verdicts import TESTED
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section("effects", "how far each variant is from {reference}", position=15, tables=("comparisons",), figure="effects")
def effects(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    table = where(tables["comparisons"], set="all").dropna(subset="difference")
    sets = set(tables["comparisons"].loc[tables["comparisons"]["verdict"].isin(TESTED), "set"]) | {"all"}
    return {"narrow": len(unique(table, "task")) == 1, "questions": len(sets)} if len(table) else None
