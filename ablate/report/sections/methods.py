"""How the numbers were made: protocol, command, settings, data, versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.trials import MIN_TRIALS
from ablate.definitions.study_results import StudyResults
from ablate.plan.dotted_names import flat
from ablate.report.formatting import decimals
from ablate.report.registry import section


@section("methods", "How the numbers were made", position=100, tables=("boxes",))
def methods(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    return {
        "min_trials": MIN_TRIALS,
        "tasks": [results.task(task) for task in results.task_order],
        "configuration": [(name, _plain(value)) for name, value in flat(results.configuration)],
        "decimals": decimals(tables["boxes"]),
    }


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == {} else str(value)
