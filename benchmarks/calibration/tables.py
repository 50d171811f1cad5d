"""Simulated studies through the analysis tables themselves, from trials to verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ablate.analysis import AnalysisTables
from ablate.analysis.dataframes import where
from ablate.analysis.verdicts import BETTER, WORSE
from ablate.definitions.study_results import StudyResults, TaskMetadata, VariantMetadata
from benchmarks.calibration.laws import Study
from benchmarks.calibration.procedures import FAMILY, Outcomes, judged

MISSED, ANY_MISSED = "a best variant is missed", "any best variant is missed"
NO_CAP = 1e6


def results_of(tasks: Sequence[Study], paired: bool = True, baseline: float | None = NO_CAP) -> StudyResults:
    """Simulated tasks as the results of a study; the reference is V, the others V1, V2 and so on."""
    names = [f"V{k or ''}" for k in range(len(tasks[0].test))]
    parts = []
    for number, task in enumerate(tasks):
        variants, n = task.test.shape
        diverged = np.isnan(task.validation).ravel()
        columns: dict[str, Any] = {
            "task": f"task {number}",
            "variant": np.repeat(names, n),
            "index": np.tile(np.arange(n), variants),
            "state": np.where(diverged, "diverged", "completed"),
            "validation": task.validation.ravel(),
            "test": np.where(diverged, np.nan, task.test.ravel()),
        }
        parts.append(pd.DataFrame(columns))
    return StudyResults(
        name="simulated",
        trials=pd.concat(parts, ignore_index=True),
        curves=pd.DataFrame(),
        samples=pd.DataFrame(),
        tasks=[TaskMetadata(f"task {number}", baseline=baseline) for number in range(len(tasks))],
        variants=[VariantMetadata(name) for name in names],
        expected_trials=tasks[0].test.shape[1],
        configuration={"paired": paired},
    )


def across_tasks(tasks: Sequence[Study]) -> Outcomes:
    """Across tasks: signed ranks over blocks."""
    return judged(AnalysisTables(results_of(tasks))["across_tasks"]["p"].tolist(), tasks[0])


def verdicts(name: str, paired: bool = True, baseline: float | None = NO_CAP) -> Callable[[Sequence[Study]], Outcomes]:
    """Whether any variant is called worse or better in a set, though all are equal."""

    def measured(tasks: Sequence[Study]) -> Outcomes:
        table = where(AnalysisTables(results_of(tasks, paired, baseline))["comparisons"], set=name)
        return {FAMILY: float(any(verdict in (WORSE, BETTER) for verdict in table["verdict"]))}

    return measured


def best_set(name: str) -> Callable[[Sequence[Study]], Outcomes]:
    """The best set: whether the last of the variants that are truly the best is missing, and whether any of them is."""

    def measured(tasks: Sequence[Study]) -> Outcomes:
        table = where(AnalysisTables(results_of(tasks))["best_sets"], set=name)
        shifts = tasks[0].shifts
        best = [f"V{k or ''}" for k in np.flatnonzero(shifts == shifts.min())]
        missing = [each not in set(table["variant"]) for each in best]
        found = {MISSED: float(missing[-1])}
        return found | {ANY_MISSED: float(any(missing)) if len(best) > 1 else math.nan}

    return measured


# Each takes the tasks of one study.
TABLES: dict[str, Callable[[Sequence[Study]], Outcomes]] = {
    "across tasks: signed ranks": across_tasks,
    "verdicts on all trials, paired": verdicts("all"),
    "verdicts on all trials, paired, no baseline": verdicts("all", baseline=None),
    "verdicts on all trials, independent": verdicts("all", paired=False),
    "verdicts on the best tenth, paired": verdicts("best"),
    "best set: all trials": best_set("all"),
    "best set: best tenth": best_set("best"),
}
