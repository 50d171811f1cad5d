"""Ranks across tasks: Friedman's test and Nemenyi's critical difference (Demsar 2006)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

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
