"""Gaussian noise: its distribution out into the tails, the independence of streams, and that a number has a place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.training.noise import BLOCK, Noise, normal_pair, threefry

Array = npt.NDArray[Any]
N = 1_000_000  # values of a stream
EPOCHS = 8


def key_of(epoch: int = 1, index: int = 0, seed: int = 0) -> Array:
    return RandomStreams(seed, TrialId("music", "V", index)).key("noise", epoch)


def drawn(key: Array, size: int, position: int = 0, std: float = 1.0) -> Array:
    x = np.zeros(size, np.float32)
    Noise(key, std, position).add_to(x)
    return x


@pytest.fixture(scope="module")
def values() -> Array:
    """Of several epochs, in double precision."""
    return np.stack([drawn(key_of(epoch), N) for epoch in range(1, EPOCHS + 1)]).astype(np.float64)


# The words. Known answers are those of Random123's file kat_vectors.


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_has_its_known_answers(
    counter: tuple[int, int], key: tuple[int, int], answer: tuple[int, int]
) -> None:
    assert threefry(*map(np.uint32, (*counter, *key))) == answer


# The transform.


def test_no_words_give_what_is_not_finite() -> None:
    """All distances that there are near the ends, many between, and all directions near each quadrant's ends."""
    ends = np.concatenate([np.arange(3000), 2**32 - 1 - np.arange(3000)])
    powers = (2 ** np.arange(32)[:, None] + np.arange(-40, 41)).ravel()
    spread = np.arange(0, 2**32, 65_521)
    words = np.unique(np.concatenate([ends, powers, spread]) % 2**32).astype(np.uint32)
    directions = np.array([0, 1, 2, 3, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1], np.uint32)
    for direction in directions:
        pairs = np.array([normal_pair(word, direction) for word in words])
        assert np.isfinite(pairs).all() and np.abs(pairs).max() < 6.77


@settings(max_examples=500)
@given(*[st.integers(0, 2**32 - 1)] * 2)
def test_a_pair_is_box_and_mullers(one: int, other: int) -> None:
    """To the rounding of single precision, and of the logarithm near 0."""
    distance = math.sqrt(-2 * math.log(min((one + 0.5) / 2**32, 1)))
    signed = other - 2**32 if other >= 2**31 else other
    angle = math.pi / 4 * (1 + signed / 2**31)
    signs = (-1) ** (other & 1), (-1) ** (other >> 1 & 1)
    expected = signs[0] * distance * math.cos(angle), signs[1] * distance * math.sin(angle)
    found = normal_pair(np.uint32(one), np.uint32(other))
    assert found == pytest.approx(expected, abs=4e-4 if distance < 1e-2 else 2e-5)


# The distribution.


def test_moments(values: Array) -> None:
    """The first six, each within four standard errors, of all values and of each epoch's."""
    for x in (values.ravel(), *values):
        for power, moment, square in ((1, 0, 1), (2, 1, 3), (3, 0, 15), (4, 3, 105), (5, 0, 945), (6, 15, 10_395)):
            error = math.sqrt((square - moment**2) / x.size)
            assert abs(np.prod([x] * power, axis=0).mean() - moment) < 4 * error, power


def test_the_distribution_is_normal(values: Array) -> None:
    """By Kolmogorov and Smirnov, who look at its middle, and by Anderson and Darling, who look at its tails."""
    p_values = []
    for x in values:
        p_values.append(stats.kstest(x, "norm").pvalue)
        ordered = stats.norm.cdf(np.sort(x))
        n = x.size
        weights = 2 * np.arange(1, n + 1) - 1
        statistic = -n - (weights * (np.log(ordered) + np.log1p(-ordered[::-1]))).sum() / n
        assert statistic < 6.0  # 3.86 at 0.01; 6.0 at 0.001
    assert min(p_values) > 1e-3 and stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_equally_likely_bins_are_hit_equally(values: Array) -> None:
    """Ten thousand of them, over all epochs."""
    bins = np.floor(stats.norm.cdf(values.ravel()) * 10_000).astype(np.int64)
    assert 1e-4 < stats.chisquare(np.bincount(bins, minlength=10_000)).pvalue < 1 - 1e-4


def test_tails() -> None:
    """As many values lie beyond as the binomial distribution allows: at 5 sigmas 29 of 100 million."""
    sigmas, chunks, tail = (1, 2, 3, 3.5, 4, 4.5, 5, 5.5), 100, np.empty(0, np.float32)
    counts = {1: np.zeros(len(sigmas), int), -1: np.zeros(len(sigmas), int)}
    for k in range(chunks):
        x = drawn(key_of(), N, k * N)
        for sign, beyond in counts.items():
            tail = sign * x
            for row, sigma in enumerate(sigmas):
                tail = tail[tail > sigma]
                beyond[row] += len(tail)
    for beyond in counts.values():
        for count, sigma in zip(beyond, sigmas, strict=True):
            assert stats.binomtest(int(count), chunks * N, float(stats.norm.sf(sigma))).pvalue > 1e-4, sigma


# Independence.


def correlation(a: Array, b: Array) -> float:
    """In standard errors."""
    return float((a * b).mean() * math.sqrt(a.size) / (a.std() * b.std()))


@pytest.mark.parametrize("lag", [1, 2, 3, 8, 16, 32, 63, 64, 65, 88, 127, 128, 129, 1000, 65_536])
def test_values_are_independent_of_those_before(values: Array, lag: int) -> None:
    """In value, size and square; among the lags are those of a pair, of a block and of a frame of music."""
    for view in (values, np.abs(values) - math.sqrt(2 / math.pi), values**2 - 1):
        assert abs(correlation(view[:, :-lag], view[:, lag:])) < 4.5


def test_neighbouring_streams_are_independent(values: Array) -> None:
    """Epochs, trials and seeds, also at a lag."""
    others = [drawn(key_of(*name), N).astype(np.float64) for name in ((1, 1), (1, 0, 1), (2, 1), (1, 2))]
    streams = [*values, *others]
    errors = []
    for k, a in enumerate(streams):
        for b in streams[:k]:
            for lag in (0, 1, 64, 128):
                one, other = a[lag:], b[: b.size - lag]
                errors += [correlation(one, other), correlation(one**2 - 1, other**2 - 1)]
    assert max(map(abs, errors)) < 5
    assert stats.kstest(errors, "norm").pvalue > 1e-3


def test_keys_that_differ_in_one_bit_give_independent_streams() -> None:
    first = drawn(np.zeros(2, np.uint32), 1_000_000).astype(np.float64)
    for word in (0, 1):
        for bit in (0, 1, 15, 31):
            key = np.zeros(2, np.uint32)
            key[word] = 1 << bit
            assert abs(correlation(first, drawn(key, first.size).astype(np.float64))) < 4.5


# Places.


@settings(max_examples=100)
@given(st.lists(st.integers(0, 3 * BLOCK), min_size=1, max_size=12), st.integers(0, 2**40))
def test_a_number_is_the_same_in_any_parts(sizes: list[int], position: int) -> None:
    whole = drawn(key_of(), sum(sizes), position, 0.7)
    noise, parts = Noise(key_of(), 0.7, position), [np.zeros(size, np.float32) for size in sizes]
    for part in parts:
        noise.add_to(part)
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert noise.position == position + sum(sizes)


def test_noise_is_added() -> None:
    x = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    expected = x + np.float32(0.3) * drawn(key_of(), 60).reshape(x.shape)
    Noise(key_of(), 0.3).add_to(x)
    np.testing.assert_allclose(x, expected, rtol=1e-6)
    before = x.copy()
    Noise(key_of(), 0.0).add_to(x)
    np.testing.assert_array_equal(x, before)


def test_the_numbers_stay_what_they_are() -> None:
    """On any processor, and beyond the first 2^32 pairs; others would need another version of the numbers."""
    assert drawn(np.array([1, 2], np.uint32), 4).tolist() == KEPT
    assert drawn(np.array([1, 2], np.uint32), 4, 2**33).tolist() == KEPT_BEYOND


KEPT = [1.9550390243530273, -0.37886661291122437, 1.0030208826065063, -0.4839504361152649]
KEPT_BEYOND = [0.5861331224441528, 0.7210457921028137, 0.9010307192802429, -0.5286398530006409]
