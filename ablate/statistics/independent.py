"""Tests of two independent samples: Welch's of their means, Mann and Whitney's of their ranks."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from ablate.statistics.interval import Estimate, standard_error, t_interval


class MeanTest(NamedTuple):
    """A difference of means with its 95 % interval, not widened for the number of comparisons, and its test."""

    difference: Estimate
    error: float  # the difference's standard error
    df: float
    p: float  # two-sided


def welch(first: npt.ArrayLike, second: npt.ArrayLike) -> MeanTest | None:
    """Welch's t-test of `first` (n,) less `second` (m,); None where neither varies, since then no test exists.

    Raises ValueError for a sample of fewer than two values.
    """
    x, y = np.asarray(first, float), np.asarray(second, float)
    if min(len(x), len(y)) < 2:
        raise ValueError("Welch's t-test needs at least two values in each sample")
    return mean_test((float(x.mean()), standard_error(x), len(x) - 1), (float(y.mean()), standard_error(y), len(y) - 1))


def mean_test(first: tuple[float, float, float], second: tuple[float, float, float]) -> MeanTest | None:
    """The t-test of two estimates, each a mean, its standard error and the degrees of freedom behind it.

    The degrees of freedom are Welch's and Satterthwaite's. None where both errors are zero.
    """
    (a, error_a, df_a), (b, error_b, df_b) = first, second
    error = math.hypot(error_a, error_b)
    if error == 0:
        return None
    df = error**4 / (error_a**4 / df_a + error_b**4 / df_b)
    p = float(2 * special.stdtr(df, -abs(a - b) / error))
    return MeanTest(t_interval(a - b, error, df), error, df, p)


def mann_whitney(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """The two-sided p-value of Mann and Whitney's test, exact for small samples without ties."""
    return float(stats.mannwhitneyu(first, second).pvalue)
