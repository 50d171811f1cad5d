"""Tests of paired differences by flipping their signs.

If two variants are exchangeable given the draw, each difference is as likely with either sign. The p-value is the
share of sign patterns whose statistic is at least as far from zero as the one that was found. So the test is exact
whatever the distribution, with ties and with values at a cap; it tests exchangeability, not equal means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]

EXACT_PAIRS = 20  # up to so many differences that are not zero, all 2^n patterns are counted
FLIPS = 100_000  # patterns that are drawn beyond
_CHUNK = 10_000
_ROUNDING = 1e-9  # sums that differ by less, relative to all differences, are the same


def sign_flip(differences: npt.ArrayLike) -> float:
    """The two-sided p-value of the mean of `differences` (n,); 1 where all are zero.

    Exact for up to EXACT_PAIRS differences other than zero; beyond by FLIPS patterns from a fixed seed, the one that
    was found among them, so that p is never 0.
    """
    return sign_flips([differences])[0]


def sign_flips(samples: Sequence[npt.ArrayLike]) -> list[float]:
    """`sign_flip` of several samples, which need not be of one size; together they take less time."""
    sizes, thresholds = [], []
    for sample in samples:
        d = np.asarray(sample, float)
        size = np.sort(np.abs(d[d != 0]))[::-1]  # so that the order of the pairs does not show in what is drawn
        sizes.append(size)
        thresholds.append(abs(d.sum()) - _ROUNDING * size.sum())
    found = [_exact(*pair) if len(pair[0]) <= EXACT_PAIRS else 0.0 for pair in zip(sizes, thresholds, strict=True)]
    many = [k for k, size in enumerate(sizes) if len(size) > EXACT_PAIRS]
    if many:
        drawn = _drawn([sizes[k] for k in many], np.array([thresholds[k] for k in many]))
        for k, p in zip(many, drawn, strict=True):
            found[k] = p
    return found


def signed_rank(differences: npt.ArrayLike) -> float:
    """Wilcoxon's signed-rank test of `differences` (n,), two-sided, with zeros by Pratt (1959).

    Zeros are ranked with the rest and then left out; ties share their mean rank. The p-value is that of the ranks
    under sign flips, so it is exact with zeros and ties too, where tables and the normal law are not.
    """
    return sign_flip(signed_ranks(differences))


def signed_ranks(differences: npt.ArrayLike) -> Array:
    """The rank of each difference's size, from 1, with the difference's sign; 0 for zeros."""
    d = np.asarray(differences, float)
    return np.sign(d) * stats.rankdata(np.abs(d))


def smallest_p(pairs: int) -> float:
    """The smallest p-value that so many pairs can reach: all signs alike."""
    return min(1.0, 2.0 ** (1 - pairs)) if pairs <= EXACT_PAIRS else 1 / (FLIPS + 1)


def _exact(sizes: Array, threshold: float) -> float:
    """By meeting in the middle: every sum is one of the first half's sums and one of the second half's."""
    if threshold <= 0:
        return 1.0
    middle = len(sizes) // 2
    first, second = _sums(sizes[:middle]), np.sort(_sums(sizes[middle:]))
    above = len(second) - np.searchsorted(second, threshold - first)
    return min(1.0, 2 * int(above.sum()) / 2 ** len(sizes))  # patterns come in pairs of opposite sums


def _sums(sizes: Array) -> Array:
    """The sums of all sign patterns, (2^n,)."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return sums


def _drawn(sizes: list[Array], thresholds: Array) -> list[float]:
    most = max(map(len, sizes))
    columns = np.stack([np.pad(size, (0, most - len(size))) for size in sizes])
    as_far = np.zeros(len(sizes), int)
    for chunk in range(FLIPS // _CHUNK):
        rng = np.random.default_rng(np.random.SeedSequence([int.from_bytes(b"sign flips"), chunk]))
        # Drawn pair by pair, so that the pattern of the first pairs is the same however many there are.
        bits = np.unpackbits(np.frombuffer(rng.bytes(most * _CHUNK // 8), np.uint8)).reshape(most, _CHUNK)
        as_far += (np.abs(columns @ (2.0 * bits - 1.0)) >= thresholds[:, None]).sum(axis=1)
    return [float(p) for p in (1 + as_far) / (1 + FLIPS)]
