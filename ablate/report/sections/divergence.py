"""How often training diverges, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section("divergence", "where training diverges", position=72, tables=("divergence_rates",), figure="divergence")
def divergence(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    table = tables["divergence_rates"]
    return None if table.query("diverged > 0").empty else {}
