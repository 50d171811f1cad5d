"""Which variants differ from the reference, and what the number of trials can tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ablate.analysis.dataframes import groups, records, where
from ablate.analysis.registry import analysis
from ablate.analysis.trials import MIN_TRIALS, SETS
from ablate.analysis.welch import ALPHA, detectable_difference, holm, welch
from ablate.definitions.study_results import StudyResults

# Verdicts: those of a test, and why there is none.
WORSE, BETTER, SAME = "worse", "better", "no significant difference"
TOO_FEW, NO_REFERENCE, NO_VARIANCE = "too few trials", "reference missing", "no variance"
TESTED = (WORSE, BETTER, SAME)

_COLUMNS = [
    *("task", "variant", "reference", "n", "n_reference", "mean", "mean_reference", "difference", "low", "high"),
    *("t", "df", "p", "p_holm", "verdict", "set"),
]


@analysis("comparisons")
def comparisons(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every variant against the reference by `score`: a row for each task, set and variant that has a trial.

    Each task and set is a family of tests of its own for Holm's correction.

    Columns:
        reference: the variant that this one is compared with.
        n: trials of the variant.
        n_reference: trials of the reference.
        mean: mean score of the variant.
        mean_reference: mean score of the reference.
        difference: the variant's mean less that of the reference.
        low: lower end of the 95 % confidence interval of the difference, not corrected for the number of comparisons.
        high: its upper end.
        t: the statistic of Welch's test; empty where there is no test.
        df: its degrees of freedom by Welch and Satterthwaite.
        p: its two-sided p-value.
        p_holm: the same after Holm's correction within the task and set.
        verdict: "worse", "better" or "no significant difference" at the 5 % level by `p_holm`; or why there is no
            test: "too few trials", "reference missing", "no variance".
        set: all scored trials, or the best of them by validation.
    """
    # Sorted, since the last digit of a mean depends on the order of its terms.
    table = tables["trial_subsets"].sort_values(["task", "variant", "index"])
    rows = []
    for name in SETS:
        for (task,), trials in groups(where(table, set=name), "task"):
            rows += [{**row, "set": name} for row in _family(results, task, trials)]
    return pd.DataFrame(rows, columns=_COLUMNS)


@analysis("power")
def power(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What the number of trials can tell, a row for each task and set.

    Columns:
        set: all scored trials, or the best of them by validation.
        comparisons: how many tests were made.
        n: the fewest trials in a group of one of them.
        detectable: the difference, in standard deviations, that a test finds in four of five studies; infinite where
            no test was made.
    """
    columns = ["task", "set", "comparisons", "n", "detectable"]
    rows = []
    for (task, name), group in groups(tables["comparisons"], "task", "set"):
        pairs = records(group)
        tested = [pair for pair in pairs if pair["verdict"] in TESTED]
        n = min(min(pair["n"], pair["n_reference"]) for pair in tested or pairs)
        effect = detectable_difference(n, len(tested)) if tested else math.inf
        rows.append(dict(zip(columns, (task, name, len(tested), n, effect), strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _family(results: StudyResults, task: str, trials: pd.DataFrame) -> list[dict[str, Any]]:
    """The comparisons of one task and set."""
    scores = {name: group["score"].to_numpy() for (name,), group in groups(trials, "variant")}
    reference = scores.pop(results.reference, np.empty(0))
    found = [_compare(values, reference) for values in scores.values()]
    corrected = holm([float(row["p"]) for row in found])
    for variant, row, p_holm in zip(scores, found, corrected, strict=True):
        row |= {"task": task, "variant": variant, "reference": results.reference, "p_holm": p_holm}
        if not math.isnan(p_holm):
            worse = row["difference"] * results.sign(task) > 0
            row["verdict"] = SAME if p_holm >= ALPHA else WORSE if worse else BETTER
    return found


def _compare(values: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> dict[str, Any]:
    row: dict[str, Any] = {"n": len(values), "n_reference": len(reference), "mean": values.mean()}
    row |= dict.fromkeys(("low", "high", "t", "df", "p"), math.nan)
    row["mean_reference"] = reference.mean() if len(reference) else math.nan
    row["difference"] = row["mean"] - row["mean_reference"]
    if len(reference) == 0:
        return {**row, "verdict": NO_REFERENCE}
    if min(len(values), len(reference)) < MIN_TRIALS:
        return {**row, "verdict": TOO_FEW}
    test = welch(values, reference)
    return {**row, "verdict": NO_VARIANCE} if test is None else {**row, **vars(test), "verdict": SAME}
