"""The comparisons of Greff et al. (2017), made as they made them; their errors are larger than their p-values say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from ablate.analysis.compared import others
from ablate.analysis.registry import analysis
from ablate.analysis.trials import MIN_TRIALS, best_trials
from ablate.definitions.study_results import StudyResults
from ablate.statistics.families import holm
from ablate.statistics.independent import welch
from ablate.statistics.levels import ALPHA

# How often this procedure calls variants different that are equal, by the law of the scores and the design: in one test
# at the 5 % level, and in any of 40 after Holm's correction. Measured with 200 trials each, see docs/calibration.md.
FALSE_ALARMS = {
    ("normal", "independent"): (0.14, 0.23),
    ("normal", "paired"): (0.05, 0.03),
    ("resampled: music", "independent"): (0.16, 0.38),
    ("resampled: music", "paired"): (0.14, 0.16),
}

_COLUMNS = [
    *("task", "variant", "reference", "n", "n_reference", "mean", "mean_reference", "difference", "low", "high"),
    *("t", "df", "p", "p_holm", "different"),
]


@analysis("paper_comparisons")
def paper_comparisons(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Welch's test of the best tenth of the trials of every variant, with Holm's correction within a task.

    This is the published procedure, kept for comparison with the paper. The best trials are order statistics and no
    sample, so it errs more often than it says: see docs/calibration.md. `comparisons` has what this project concludes.

    Columns:
        reference: the variant that this one is compared with.
        n: best trials of the variant, by validation.
        n_reference: best trials of the reference.
        mean: mean score of the variant's best trials, in the task's unit.
        mean_reference: mean score of the reference's best trials.
        difference: the first less the second.
        low: lower end of Welch's 95 % interval.
        high: its upper end.
        t: Welch's statistic; empty where there is no test.
        df: its degrees of freedom.
        p: its two-sided p-value.
        p_holm: after Holm's correction within the task.
        different: whether the paper's procedure calls it different, at the 5 % level.
    """
    scored = tables["scored_trials"]
    best = best_trials(results, cast(pd.DataFrame, scored[~scored["variant"].isin(results.controls)]))
    rows: list[dict[str, Any]] = []
    for task in results.task_order:
        mine, rest = others(best, task, results.reference)
        found = [{"task": task, "variant": name, **_compare(group, mine)} for name, group in rest]
        for row, p in zip(found, holm([float(row["p"]) for row in found]), strict=True):
            rows.append({**row, "reference": results.reference, "p_holm": p, "different": p < ALPHA})
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"different": bool})


def _compare(trials: pd.DataFrame, reference: pd.DataFrame) -> dict[str, Any]:
    a, b = (table["score"].to_numpy(float) for table in (trials, reference))
    row: dict[str, Any] = {"n": len(a), "n_reference": len(b), "mean": a.mean(), "p": math.nan}
    row["mean_reference"] = b.mean() if len(b) else math.nan
    row["difference"] = row["mean"] - row["mean_reference"]
    test = welch(a, b) if min(len(a), len(b)) >= MIN_TRIALS else None
    if test is None:
        return row
    interval = {"low": test.difference.low, "high": test.difference.high}
    return row | interval | {"t": test.difference.value / test.error, "df": test.df, "p": test.p}
