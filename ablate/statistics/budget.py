"""What a search of m draws is expected to find, from n draws that were made."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]


def expected_best(validation: npt.ArrayLike, test: npt.ArrayLike) -> Array:
    """The expected test score of the trial that validation chooses among m of n draws, for m = 1 to n, shape (n,).

    Drawn without replacement: the i-th best by validation is the best of m with probability C(n - i, m - 1) / C(n, m).

    Args:
        validation: (n,), lower is better; NaN comes last. Equal ones are told apart by their order.
        test: (n,).
    """
    ranked = np.asarray(test, float)[np.argsort(np.asarray(validation, float), kind="stable")]
    n = len(ranked)
    i, m = np.arange(1, n + 1)[:, None], np.arange(1, n + 1)[None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        logarithm = _log_choose(n - i, m - 1) - _log_choose(n, m)
    return ranked @ np.exp(np.where(m - 1 <= n - i, logarithm, -math.inf))


def _log_choose(n: npt.ArrayLike, k: npt.ArrayLike) -> Array:
    n, k = np.asarray(n, float), np.asarray(k, float)
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
