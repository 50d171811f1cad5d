"""What was compared although nothing differs, and what the tests said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import records
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import SET_NAMES
from ablate.report.registry import section


@section("controls", "Controls: what should not differ", position=34, tables=("controls", "control_rates"))
def controls(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    if tables["controls"].empty:
        return None
    return {"rates": records(tables["control_rates"]), "controls": records(tables["controls"]), "sets": SET_NAMES}
