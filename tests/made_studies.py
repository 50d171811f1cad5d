"""Studies made by hand, for tests of what is computed from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import StudyResults, TaskMetadata

NOTHING = pd.DataFrame()


def trials(variant: str, tests: list[float | str], task: str = "t", validations: list[float] | None = None):
    """Rows from test scores; a word instead of a score is the state of a trial without one."""
    rows = []
    for index, test in enumerate(tests):
        done = not isinstance(test, str)
        rows.append(
            {
                "task": task,
                "variant": variant,
                "index": index,
                "state": "completed" if done else test,
                "test": test if done else math.nan,
                "validation": (validations[index] if validations else test) if done else math.nan,
                "best_epoch": 1 if done else math.nan,
                "parameters": 100 + index,
                "seconds": 2.0,
            }
        )
    return pd.DataFrame(rows)


def analysed(*parts: pd.DataFrame, reference: str = "V", expected: int = 0, **task: Any) -> AnalysisTables:
    """The tables of a study with these trials; what is said of a task holds for task t."""
    table = pd.concat(parts, ignore_index=True)
    tasks = [TaskMetadata("t", **task)]
    return AnalysisTables(StudyResults("s", table, NOTHING, NOTHING, tasks, [], expected, reference))


def spread(mean: float, n: int = 8) -> list[float]:
    return list(mean + np.linspace(-0.1, 0.1, n))


def of_set(table: pd.DataFrame, name: str, index: str = "variant") -> pd.DataFrame:
    """The rows of the set "all" or "best"."""
    return table[table["set"].eq(name)].set_index(index)
