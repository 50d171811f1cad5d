"""Estimates with their 95 % confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from ablate.statistics.levels import ALPHA

Array = npt.NDArray[np.float64]

Z = float(special.ndtri(1 - ALPHA / 2))


class Estimate(NamedTuple):
    """A number with the ends of its interval; NaN where there are too few values for it."""

    value: float
    low: float
    high: float


def mean_interval(values: npt.ArrayLike) -> Estimate:
    """The mean of `values` (n,) with Student's interval."""
    x = np.asarray(values, float)
    return t_interval(float(x.mean()), standard_error(x), len(x) - 1)


def t_interval(value: float, error: float, df: float) -> Estimate:
    """An estimate with `df` degrees of freedom behind its standard error."""
    if not df > 0 or math.isnan(error):
        return Estimate(value, math.nan, math.nan)
    half = float(special.stdtrit(df, 1 - ALPHA / 2)) * error
    return Estimate(value, value - half, value + half)


def median_interval(values: npt.ArrayLike) -> Estimate:
    """The median of `values` (n,) between two of them, by the binomial law of how many lie below it.

    Exact for any continuous distribution, and so wider than 95 % for small n; without ends below six values.
    """
    x = np.sort(np.asarray(values, float))
    n = len(x)
    below = int(stats.binom.ppf(ALPHA / 2, n, 0.5))  # P(fewer than this many below the median) is at most ALPHA / 2
    if below < 1:
        return Estimate(float(np.median(x)), math.nan, math.nan)
    return Estimate(float(np.median(x)), float(x[below - 1]), float(x[n - below]))


def share_interval(found: int, tried: int) -> Estimate:
    """The share of `found` among `tried`, with Wilson's score interval, which holds its level near 0 and 1 too."""
    interval = stats.binomtest(found, tried).proportion_ci(1 - ALPHA, method="wilson")
    return Estimate(found / tried, float(interval.low), float(interval.high))


def probability_interval(first_less_second: npt.ArrayLike) -> Estimate:
    """The probability that the first of a pair is less than the second, half of the ties counted, by Wilson's score.

    Ties vary less than wins and losses; the number of pairs is raised by as much.
    """
    d = np.asarray(first_less_second, float)
    n = len(d)
    p = float(np.mean(d < 0) + np.mean(d == 0) / 2)
    variance = p * (1 - p)
    less = variance - float(np.mean(d == 0)) / 4
    if less <= 0 < variance:  # nothing but ties
        return Estimate(p, p, p)
    effective = n * variance / less if variance > 0 else n
    spread = Z * math.sqrt(variance / effective + Z**2 / (4 * effective**2))
    scale = 1 + Z**2 / effective
    centre = p + Z**2 / (2 * effective)
    return Estimate(p, (centre - spread) / scale, (centre + spread) / scale)


def superiority_interval(first: npt.ArrayLike, second: npt.ArrayLike) -> Estimate:
    """The probability that a value of `first` (n,) is less than one of `second` (m,), half of the ties counted.

    The interval is Newcombe's fifth method (2006, Statistics in Medicine 25, 559): it keeps its level with five values
    in each sample and near 0 and 1, where a bootstrap interval shrinks to a point.
    """
    x, y = np.asarray(first, float), np.asarray(second, float)
    n, m = len(x), len(y)
    below = (x[:, None] < y[None, :]).mean() + (x[:, None] == y[None, :]).mean() / 2
    theta, extra = float(below), (n + m) / 2 - 1

    def distance(p: float) -> float:
        """How far a true probability p is from the one that was found, in standard errors."""
        variance = p * (1 - p) / (n * m) * (1 + extra * ((1 - p) / (2 - p) + p / (1 + p)))
        return abs(p - theta) - Z * math.sqrt(variance)

    return Estimate(theta, _root(distance, 0.0, theta), _root(distance, 1.0, theta))


def excluded_rate(found: int, tried: int) -> float:
    """The rate above which so few findings in so many tries would be rarer than ALPHA (Clopper and Pearson, one side).

    None in six excludes rates above 39 %, and none in sixty those above 5 %.
    """
    return 1.0 if found >= tried else float(special.betaincinv(found + 1, tried - found, 1 - ALPHA))


def standard_error(values: npt.ArrayLike) -> float:
    """Of the mean of `values` (n,); NaN for one value."""
    x = np.asarray(values, float)
    return math.sqrt(variance(x) / len(x)) if len(x) > 1 else math.nan


def variance(values: Array) -> float:
    """The sample's variance; 0 where nothing but rounding errors vary, from which a huge t would follow."""
    noise = 8 * np.finfo(float).eps * float(np.abs(values).max())
    return 0.0 if np.ptp(values) <= noise else float(values.var(ddof=1))


def _root(distance: Callable[[float], float], outer: float, inner: float) -> float:
    """Where the distance is zero between a true value that is too far off, and the estimate itself."""
    if distance(outer) <= 0:
        return outer
    for _ in range(60):
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if distance(middle) > 0 else (outer, middle)
    return (outer + inner) / 2
