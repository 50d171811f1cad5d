"""What the trials of one task and variant come to, under the names that the report's summary has for it.

The report computes the same from tables; a tracker has rows, and is told of them one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ablate.plan.confirmation import best_setting
from ablate.trackers.tracker import Row

_SCORES = ("best_validation", "best_test", "median_validation", "median_test")
NAMES = (*_SCORES, "completed", "diverged", "failed", "total_seconds")  # of the numbers


def summarise(rows: Sequence[Row], direction: str) -> dict[str, float]:
    """The numbers of one task and variant; one that is not known is left out.

    - `best_validation`, `best_test`: of the completed trial with the best validation score, the honest choice.
    - `median_validation`, `median_test`: of the trial in the middle by test score, those without one last; with an
      even number the better of the middle two.
    - `completed`, `diverged`, `failed`: trials in each state. `total_seconds`: of all trials.

    Args:
        direction: of the task's score, "minimize" or "maximize".
    """
    sign = -1 if direction == "maximize" else 1
    ranked = sorted((row for row in rows if finite(row["test"])), key=lambda row: (sign * row["test"], row["index"]))
    unscored = (row for row in rows if row["state"] != "failed" and not finite(row["test"]))
    ranked += sorted(unscored, key=lambda row: (row["state"], row["index"]))  # completed ones before diverged ones
    chosen = {
        "best": best_setting(rows, direction),
        "median": ranked[(len(ranked) - 1) // 2] if ranked else None,
    }
    found = {
        f"{name}_{score}": row[score]
        for name, row in chosen.items()
        for score in ("validation", "test")
        if row is not None and finite(row[score])
    }
    states = [row["state"] for row in rows]
    found |= {state: float(states.count(state)) for state in ("completed", "diverged", "failed")}
    return found | {"total_seconds": math.fsum(row["seconds"] or 0.0 for row in rows)}


def finite(value: Any) -> bool:
    """Whether there is a number that is one."""
    return value is not None and math.isfinite(value)
