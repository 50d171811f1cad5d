"""Where the equations stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section


@section("variants", "The variants", position=90)
def variants(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    return {}
