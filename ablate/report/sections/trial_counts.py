"""How many trials ended, how long they took, and why some failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import records
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section("trial_counts", "Trials, time and size", position=70, tables=("trial_counts", "summary", "failures"))
def trial_counts(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    return {
        "counts": records(tables["trial_counts"]),
        "costs": {(row["task"], row["variant"]): row for row in records(tables["summary"])},
        "failures": records(tables["failures"]),
    }
