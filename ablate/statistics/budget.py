"""What a search of m draws is expected to find, from n draws that were made."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from opda.nonparametric import EmpiricalDistribution
from scipy import special

from ablate.statistics.levels import ALPHA

Array = npt.NDArray[np.float64]

_SIMULATED = 300  # draws: up to so many the tighter bands, whose level is simulated, take seconds at most


class TuningCurve(NamedTuple):
    """The median of the best of m draws, with the ends of its band: infinite where the draws say nothing, (n,) each."""

    median: Array
    low: Array
    high: Array


def tuning_curve(losses: npt.ArrayLike) -> TuningCurve:
    """The median over searches of the least loss among m draws, for m = 1 to n, with a band that covers all m at once.

    The band holds in at least 95 % of searches, by confidence bands of the distribution of one draw (Lourie et al.
    2023, arXiv:2311.09480; `opda`), and needs nothing of that distribution. Beyond n / 10 draws or so the best that was
    found says nothing of what could be found: the lower end is then -inf.

    Args:
        losses: (n,), of independent draws; NaN, for a draw that has none, is the worst.
    """
    x = np.asarray(losses, float)
    ordered = np.concatenate([np.sort(np.where(np.isnan(x), np.inf, x)), [np.inf, -np.inf]])
    return TuningCurve(*(ordered[ranks] for ranks in _tuning_ranks(len(x))))


@lru_cache(maxsize=64)
def _tuning_ranks(n: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Median, low and high end as ranks among n draws, from 0; n stands for +inf and n + 1 for -inf.

    The bands rest on ranks alone, so that they are the same for any scores.
    """
    method = "ld_equal_tailed" if n <= _SIMULATED else "ks"
    options = {"method": method, "generator": np.random.default_rng(0), "n_jobs": 1}
    bands = EmpiricalDistribution.confidence_bands(np.arange(n, dtype=float), 1 - ALPHA, **options)
    few, middle, many = (band.quantile_tuning_curve(np.arange(1, n + 1), minimize=True) for band in bands)
    return tuple(
        np.where(np.isinf(ranks), np.where(ranks > 0, n, n + 1), np.where(np.isinf(ranks), 0, ranks)).astype(int)
        for ranks in (middle, many, few)
    )


def expected_best(validation: npt.ArrayLike, test: npt.ArrayLike) -> Array:
    """The expected test score of the trial that validation chooses among m of n draws, for m = 1 to n, shape (n,).

    Drawn without replacement: the i-th best by validation is the best of m with probability C(n - i, m - 1) / C(n, m).

    Args:
        validation: (n,), lower is better; NaN comes last. Equal ones are told apart by their order.
        test: (n,).
    """
    ranked = np.asarray(test, float)[np.argsort(np.asarray(validation, float), kind="stable")]
    n = len(ranked)
    return ranked @ _chances(n)


@lru_cache(maxsize=4)
def _chances(n: int) -> Array:
    """The probability that the i-th best of n draws is the best of m, shape (i, m)."""
    factorials = special.gammaln(np.arange(n + 1) + 1.0)  # their logarithms
    i, m = np.arange(1, n + 1)[:, None], np.arange(1, n + 1)[None, :]
    worse, others = n - i, m - 1
    logarithm = factorials[worse] - factorials[others] - factorials[np.maximum(worse - others, 0)]
    logarithm -= factorials[n] - factorials[m] - factorials[n - m]
    return np.exp(np.where(others <= worse, logarithm, -math.inf))
