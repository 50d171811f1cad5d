"""Ranks: Friedman's test and Nemenyi's critical difference across tasks (Demsar 2006), and Spearman's correlation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from ablate.statistics.interval import Estimate, Z
from ablate.statistics.levels import ALPHA

MIN_BLOCKS = 10  # below, the laws behind both are not reached (Demsar 2006, section 3.2)


def mean_ranks(losses: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The mean rank of each column of `losses` (blocks, variants), from 1, the lowest; ties share theirs."""
    return stats.rankdata(np.asarray(losses, float), axis=1).mean(axis=0)


def friedman(losses: npt.ArrayLike) -> float:
    """The p-value of Friedman's test that no column of `losses` (blocks, variants) differs; 1 where all are tied."""
    columns = np.asarray(losses, float).T
    if len(columns) < 3 or np.all(columns == columns[0]):
        return 1.0
    return float(stats.friedmanchisquare(*columns).pvalue)


def critical_difference(variants: int, blocks: int) -> float:
    """How far two mean ranks must lie apart to differ at the 5 % level, all pairs considered (Nemenyi 1963)."""
    quantile = float(stats.studentized_range.ppf(1 - ALPHA, variants, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(variants * (variants + 1) / (6 * blocks))


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> Estimate:
    """Spearman's correlation of two samples (n,), n > 3, with Bonett and Wright's 95 % interval (2000).

    NaN where one of the two does not vary.
    """
    x, y = np.asarray(first, float), np.asarray(second, float)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return Estimate(math.nan, math.nan, math.nan)
    value = float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])
    if abs(value) >= 1:
        return Estimate(value, value, value)
    half = Z * math.sqrt((1 + value**2 / 2) / (len(x) - 3))
    return Estimate(value, math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half))
