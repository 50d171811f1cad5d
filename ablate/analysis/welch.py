"""Welch's t-test with Holm's correction, and what a number of trials can tell.

Greff et al. 2017 (section on the comparison of variants) draw every variant's trials independently and use
Welch's t-test, which asks neither equal variances nor equal numbers. Where the draws are paired, that is all
variants try the same hyperparameters, the test still holds but is conservative: scores of one draw rise and
fall together, and that shared part cancels in the difference of the means while the test counts it as noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special  # not scipy.stats, which is slow to import

from ablate.analysis.trials import MIN_TRIALS

ALPHA = 0.05
POWER = 0.8


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


def detectable_difference(n: int, comparisons: int = 1) -> float:
    """The smallest difference of means, in standard deviations, that a test of n against n finds in 4 of 5 studies.

    At the 5 % level, for the strictest of Holm's thresholds (the first step, 0.05 / comparisons). Infinite where
    no test is made. The usual approximation by quantiles of the central t-distribution (Cohen 1988).
    """
    if n < MIN_TRIALS:
        return math.inf
    df = 2 * n - 2
    quantiles = special.stdtrit(df, 1 - ALPHA / 2 / max(1, comparisons)) + special.stdtrit(df, POWER)
    return float(quantiles) * math.sqrt(2 / n)


def _variance(values: npt.NDArray[np.float64]) -> float:
    # Equal numbers leave a variance of rounding errors, from which a huge t would follow: call it zero.
    noise = 8 * np.finfo(float).eps * float(np.abs(values).max())
    return 0.0 if np.ptp(values) <= noise else float(values.var(ddof=1))
