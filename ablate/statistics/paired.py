"""Tests of paired differences by flipping their signs.

If two variants are exchangeable given the draw, each difference is as likely with either sign. The p-value is the
share of sign patterns whose statistic is at least as far from zero as the one that was found. So the test is exact
whatever the distribution, with ties and with values at a cap; it tests exchangeability, not equal means.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from ablate.statistics.interval import Estimate
from ablate.statistics.levels import ALPHA

Array = npt.NDArray[np.float64]

EXACT_PAIRS = 20  # up to so many differences that are not zero, all 2^n patterns are counted
FLIPS = 100_000  # patterns that are drawn beyond
_CHUNK = 10_000
_NEAR = 2 * ALPHA  # a p-value that is above after _CHUNK patterns is not drawn any further
_ROUNDING = 1e-9  # sums that differ by less, relative to all differences, are the same


def sign_flip(differences: npt.ArrayLike) -> float:
    """The two-sided p-value of the mean of `differences` (n,); 1 where all are zero.

    Exact for up to EXACT_PAIRS differences other than zero; beyond by FLIPS patterns from a fixed seed, the one that
    was found among them, so that p is never 0. Fewer are drawn once p is certain to be above the level.
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


def flip_interval(differences: npt.ArrayLike) -> Estimate:
    """The mean of `differences` (n,), and the shifts of it that `sign_flip` does not reject.

    So it covers what it promises for any differences that are symmetric about their centre, as those of exchangeable
    variants are, however far their tails reach. A sign pattern splits the differences in two, and is as far from zero
    as what was found where the centre lies between the two means (Hartigan 1969). Without ends below six values, of
    which no pattern is rare enough.
    """
    return flip_intervals([differences])[0]


def flip_intervals(samples: Sequence[npt.ArrayLike]) -> list[Estimate]:
    """`flip_interval` of several samples, which need not be of one size; together they take less time."""
    ordered = [np.sort(np.asarray(sample, float)) for sample in samples]  # the order of the pairs must not show
    ordered = [d[np.argsort(-np.abs(d), kind="stable")] for d in ordered]  # nor the sign of all
    drawn = iter(_halves_drawn([d for d in ordered if 2 ** (len(d) - 1) > FLIPS]))
    return [_centre(d, *(next(drawn) if 2 ** (len(d) - 1) > FLIPS else _halves(d))) for d in ordered]


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


def _centre(d: Array, counts: Array, sums: Array) -> Estimate:
    """The mean and its interval, from the counts and sums of one half of each pattern."""
    n, patterns = len(d), len(sums)
    place = math.ceil(round(ALPHA * patterns, 6)) - 1
    if place < 1:
        return Estimate(float(d.mean()) if n else math.nan, math.nan, math.nan)
    whole = (counts > 0) & (counts < n)
    place -= patterns - int(whole.sum())  # all signs alike split nothing, and are as far from zero for any centre
    first, second = sums[whole] / counts[whole], (d.sum() - sums[whole]) / (n - counts[whole])
    mean = float(d.mean())
    low = np.partition(np.minimum(first, second), place)[place]
    high = -np.partition(-np.maximum(first, second), place)[place]
    # Rounded, since the last digit of a sum depends on what else is summed at once.
    decimals = 12 - math.floor(math.log10(np.abs(d).max() or 1.0))
    low, high = round(float(low), decimals), round(float(high), decimals)
    return Estimate(mean, min(low, mean), max(high, mean))


def _halves(d: Array) -> tuple[Array, Array]:
    """How many differences one half of each pattern has, and their sum; of a pattern and its opposite only one."""
    counts, sums = np.zeros(1), np.zeros(1)
    for value in d[:-1]:
        counts, sums = np.concatenate([counts, counts + 1]), np.concatenate([sums, sums + value])
    return counts, sums


def _halves_drawn(samples: list[Array]) -> list[tuple[Array, Array]]:
    """The same of FLIPS patterns and of the one that was found, which is all signs alike."""
    if not samples:
        return []
    columns = _columns(samples)
    sizes, which = np.unique([len(d) for d in samples], return_inverse=True)
    of_size = (np.arange(len(columns.T)) < sizes[:, None]).astype(float)
    counts, sums = np.zeros((len(samples), 1 + FLIPS)), np.zeros((len(samples), 1 + FLIPS))
    for chunk, pattern in enumerate(_patterns(len(columns.T))):
        at = slice(1 + chunk * _CHUNK, 1 + (chunk + 1) * _CHUNK)
        sums[:, at], counts[:, at] = columns @ pattern, (of_size @ pattern)[which]
    return list(zip(counts, sums, strict=True))


def _columns(samples: list[Array]) -> Array:
    """Samples below one another, the short ones filled up with zeros."""
    most = max(map(len, samples))
    return np.stack([np.pad(each, (0, most - len(each))) for each in samples])


def _patterns(n: int) -> Iterator[Array]:
    """FLIPS patterns of n zeros and ones from a fixed seed, (n, _CHUNK) at a time."""
    for chunk in range(FLIPS // _CHUNK):
        rng = np.random.default_rng(np.random.SeedSequence([int.from_bytes(b"sign flips"), chunk]))
        # Drawn pair by pair, so that the pattern of the first pairs is the same however many there are.
        yield np.unpackbits(np.frombuffer(rng.bytes(n * _CHUNK // 8), np.uint8)).reshape(n, _CHUNK).astype(float)


def _drawn(sizes: list[Array], thresholds: Array) -> list[float]:
    columns = _columns(sizes)
    totals = columns.sum(axis=1)
    as_far, drawn = np.zeros(len(sizes), int), np.zeros(len(sizes), int)
    for pattern in _patterns(len(columns.T)):
        # What is far from any threshold after the first patterns stays so, and needs no more of them.
        open_ = (1 + as_far) / (1 + drawn) <= _NEAR if drawn.any() else np.ones(len(sizes), bool)
        sums = 2.0 * (columns[open_] @ pattern) - totals[open_, None]  # with a minus where the pattern has a zero
        as_far[open_] += (np.abs(sums) >= thresholds[open_, None]).sum(axis=1)
        drawn[open_] += _CHUNK
    return [float(p) for p in (1 + as_far) / (1 + drawn)]
