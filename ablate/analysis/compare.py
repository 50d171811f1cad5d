"""Which variants differ from the reference: Welch's t-test with Holm's correction.

Greff et al. 2017 (section on the comparison of variants) draw every variant's trials independently and use
Welch's t-test, which asks neither equal variances nor equal numbers. Where the draws are paired, that is all
variants try the same hyperparameters, the test still holds but is conservative: scores of one draw rise and
fall together, and that shared part cancels in the difference of the means while the test counts it as noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special  # not scipy.stats, which is slow to import

from ablate.analysis.frames import groups, sign_of
from ablate.analysis.trials import MIN_TRIALS, with_score

ALPHA = 0.05
POWER = 0.8

WORSE, BETTER, SAME = "worse", "better", "no significant difference"
TOO_FEW, NO_REFERENCE, NO_VARIANCE = "too few trials", "reference missing", "no variance"
TESTED = (WORSE, BETTER, SAME)

_COLUMNS = [
    *("task", "variant", "reference", "n", "n_reference", "mean", "mean_reference", "difference", "low", "high"),
    *("t", "df", "p", "p_holm", "verdict"),
]


@dataclass(frozen=True)
class Welch:
    """Welch's t-test of two samples: the difference of means (first less second) and what is known of it."""

    difference: float
    low: float  # the 95 % confidence interval, not corrected for the number of comparisons
    high: float
    t: float
    df: float  # by Welch and Satterthwaite
    p: float  # two-sided


def welch(a: npt.ArrayLike, b: npt.ArrayLike) -> Welch | None:
    """Welch's t-test of samples `a` (n,) and `b` (m,); None where neither varies, since then no test exists.

    Raises ValueError for a sample of fewer than two values.
    """
    x, y = np.asarray(a, float), np.asarray(b, float)
    if min(len(x), len(y)) < 2:
        raise ValueError("Welch's t-test needs at least two values in each sample")
    vx, vy = _variance(x) / len(x), _variance(y) / len(y)
    if vx + vy == 0:
        return None
    difference, error = float(x.mean() - y.mean()), math.sqrt(vx + vy)
    df = (vx + vy) ** 2 / (vx**2 / (len(x) - 1) + vy**2 / (len(y) - 1))
    half = float(special.stdtrit(df, 1 - ALPHA / 2)) * error
    t = difference / error
    return Welch(difference, difference - half, difference + half, t, df, float(2 * special.stdtr(df, -abs(t))))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979): adjusted p-values in the order given; NaN stays and is not counted.

    The k-th smallest of m p-values is multiplied by m - k + 1, made no smaller than the one before, and capped at 1.
    """
    tests = sorted((value, place) for place, value in enumerate(p) if not math.isnan(value))
    adjusted = [math.nan] * len(p)
    running = 0.0
    for rank, (value, place) in enumerate(tests):
        running = max(running, min(1.0, (len(tests) - rank) * value))
        adjusted[place] = running
    return adjusted


def compare(trials: pd.DataFrame, reference: str = "V", directions: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Every variant against the reference on each task, by `score`: a row for each pair that has a trial.

    `trials` may be raw or hold `score` already, as `scored` and `best_fraction` return them. `difference` is the
    variant's mean less the reference's, `low` to `high` its 95 % confidence interval. Holm's correction runs
    over the tests of one task. `verdict` is "worse", "better" or "no significant difference" at the 5 % level,
    or why there is none: "too few trials", "reference missing", "no variance".
    """
    table = with_score(trials, directions).dropna(subset="score")
    # Sorted, since the last digit of a mean depends on the order of its terms.
    table = table.sort_values(["task", "variant", "index"])
    rows: list[dict[str, object]] = []
    for (task,), of_task in groups(table, "task"):
        scores = {name: group["score"].to_numpy() for (name,), group in groups(of_task, "variant")}
        home = scores.pop(reference, np.empty(0))
        found = [_compare_one(values, home) for values in scores.values()]
        corrected = holm([float(row["p"]) for row in found])
        for variant, row, p_holm in zip(scores, found, corrected, strict=True):
            verdict = row["verdict"]
            if not math.isnan(p_holm):
                worse = row["difference"] * sign_of(task, directions) > 0
                verdict = SAME if p_holm >= ALPHA else WORSE if worse else BETTER
            names = {"task": task, "variant": variant, "reference": reference}
            rows.append({**row, **names, "p_holm": p_holm, "verdict": verdict})
    return pd.DataFrame(rows, columns=_COLUMNS)


def detectable(n: int, comparisons: int = 1) -> float:
    """The smallest difference of means, in standard deviations, that a test of n against n finds in 4 of 5 studies.

    At the 5 % level, for the strictest of Holm's thresholds (the first step, 0.05 / comparisons). Infinite where
    no test is made. The usual approximation by quantiles of the central t-distribution (Cohen 1988).
    """
    if n < MIN_TRIALS:
        return math.inf
    df = 2 * n - 2
    quantiles = special.stdtrit(df, 1 - ALPHA / 2 / max(1, comparisons)) + special.stdtrit(df, POWER)
    return float(quantiles) * math.sqrt(2 / n)


def _compare_one(values: npt.NDArray[np.float64], home: npt.NDArray[np.float64]) -> dict:
    row = {"n": len(values), "n_reference": len(home), "mean": values.mean()}
    row |= dict.fromkeys(("low", "high", "t", "df", "p"), math.nan)
    row["mean_reference"] = home.mean() if len(home) else math.nan
    row["difference"] = row["mean"] - row["mean_reference"]
    if len(home) == 0:
        return {**row, "verdict": NO_REFERENCE}
    if min(len(values), len(home)) < MIN_TRIALS:
        return {**row, "verdict": TOO_FEW}
    test = welch(values, home)
    return {**row, "verdict": NO_VARIANCE} if test is None else {**row, **vars(test), "verdict": SAME}


def _variance(values: npt.NDArray[np.float64]) -> float:
    # Equal numbers leave a variance of rounding errors, from which a huge t would follow: call it zero.
    noise = 8 * np.finfo(float).eps * float(np.abs(values).max())
    return 0.0 if np.ptp(values) <= noise else float(values.var(ddof=1))
