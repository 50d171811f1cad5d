"""The statistics on plain arrays: against scipy, statsmodels, brute force and answers known beforehand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from ablate.statistics.equivalence import two_one_sided
from ablate.statistics.families import (
    BENJAMINI_HOCHBERG,
    CORRECTIONS,
    HOLM,
    MAX_HOLM,
    adjust,
    adjust_outsider,
    correction_for,
    holm,
)
from ablate.statistics.independent import mann_whitney, welch
from ablate.statistics.interval import (
    excluded_rate,
    mean_interval,
    median_interval,
    probability_interval,
    standard_error,
    superiority_interval,
)
from ablate.statistics.paired import (
    EXACT_PAIRS,
    FLIPS,
    flip_interval,
    flip_intervals,
    sign_flip,
    sign_flips,
    signed_rank,
    smallest_p,
)
from ablate.statistics.planning import confirmation_difference, detectable_difference, trials_needed
from ablate.statistics.ranks import critical_difference, friedman, mean_ranks
from ablate.statistics.selected import Selected, compare_independent, compare_paired

# With ties and zeros, and all sums exact.
integers = st.lists(st.integers(-5, 5), min_size=1, max_size=9)
p_values = st.lists(st.floats(0, 1), max_size=15)


def draws(*sizes: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0.4, 1 + k, size) for k, size in enumerate(sizes)]


# Sign flips


def by_brute_force(differences: list[int]) -> float:
    """The share of all sign patterns whose sum is as far from zero."""
    sums = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in _patterns(len(differences))]
    return float(np.mean([abs(each) >= abs(sum(differences)) for each in sums]))


def _patterns(n: int) -> itertools.product:
    return itertools.product((-1, 1), repeat=n)


@given(integers)
def test_exact_sign_flips_are_those_of_all_patterns(differences):
    assert sign_flip(differences) == by_brute_force(differences)


@given(integers)
def test_signed_ranks_are_the_ranks_under_all_patterns(differences):
    ranks = np.sign(differences) * stats.rankdata(np.abs(differences)) * 2  # whole numbers, so that sums are exact
    assert signed_rank(differences) == by_brute_force(ranks.astype(int).tolist())


@pytest.mark.parametrize("n", [6, 9, 12])
def test_sign_flips_as_scipy_has_them(n):
    (d,) = draws(n)
    theirs = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(d) == pytest.approx(theirs.pvalue)


def test_signed_ranks_as_scipy_has_them():
    for n in (8, 15, 20):
        (d,) = draws(n)
        assert signed_rank(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)
    tied = np.array([0, 0, 1, 1, -1, 2, 3, -3, 4, 5])
    method = stats.PermutationMethod(n_resamples=2**12)  # more than there are, so all
    assert signed_rank(tied) == pytest.approx(stats.wilcoxon(tied, zero_method="pratt", method=method).pvalue)


def test_drawn_patterns_are_close_to_all_of_them():
    for seed in range(5):
        (d,) = draws(EXACT_PAIRS + 1, seed=seed)
        theirs = stats.ttest_1samp(d, 0).pvalue
        assert sign_flip(d) == pytest.approx(theirs, abs=0.03)
    assert sign_flip(np.ones(30)) == smallest_p(30) == 1 / (FLIPS + 1)
    assert sign_flip(np.ones(10)) == smallest_p(10) == 2**-9


@settings(max_examples=20)
@given(st.lists(st.floats(-9, 9).map(lambda x: round(x, 3)), min_size=2, max_size=30), st.randoms())
def test_neither_the_order_of_pairs_nor_the_sign_of_all_nor_the_unit_shows(differences, random):
    d = np.array(differences)
    shuffled = list(differences)
    random.shuffle(shuffled)
    for test in (sign_flip, signed_rank):
        assert test(shuffled) == test(-d) == test(1024 * d) == test(d)
    assert flip_interval(shuffled) == pytest.approx(flip_interval(d), nan_ok=True)
    assert median_interval(shuffled) == median_interval(d) or len(d) < 6


def test_tests_made_together_are_those_made_alone():
    samples = draws(5, 12, 12, 25, 40, 40)
    assert sign_flips(samples) == [sign_flip(d) for d in samples]
    for together, alone in zip(flip_intervals(samples), map(flip_interval, samples), strict=True):
        assert together == pytest.approx(alone, rel=1e-12, nan_ok=True)


@given(st.lists(st.integers(-5, 5), min_size=6, max_size=9))
def test_the_interval_holds_what_sign_flips_do_not_reject(differences):
    d = 360360.0 * np.array(differences)  # divisible by any number of pairs, so that subsets' means are whole
    found = flip_interval(d)
    assert found.value == d.mean()
    if np.ptp(d) > 0:
        assert min(sign_flip(d - found.low), sign_flip(d - found.high)) >= 0.05
        assert max(sign_flip(d - found.low + 0.5), sign_flip(d - found.high - 0.5)) < 0.05


def test_the_interval_of_many_normal_differences_is_students():
    for n in (30, 200):
        (d,) = draws(n)
        assert flip_interval(d) == pytest.approx(mean_interval(d), abs=0.01)
    assert flip_interval([2.0] * 30) == (2.0, 2.0, 2.0)
    assert math.isnan(flip_interval(np.ones(5)).low) and math.isnan(mean_interval([1.0]).low)


# Two samples, families, equivalence


def test_welch_by_hand():
    # Means 3 and 6; variances 2.5 and 10, each over 5: t = -3 / sqrt(0.5 + 2), df = 2.5^2 / (0.5^2 / 4 + 2^2 / 4).
    test = welch([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])
    assert test is not None
    assert (test.difference.value, test.error) == (-3.0, pytest.approx(math.sqrt(2.5)))
    assert (test.df, test.p) == (pytest.approx(6.25 / 1.0625), pytest.approx(0.10753, abs=1e-5))


def test_welch_as_scipy_has_it():
    for n, m in ((5, 5), (6, 40), (200, 20)):
        a, b = draws(n, m)
        ours, theirs = welch(a, b), stats.ttest_ind(a, b, equal_var=False)
        interval = theirs.confidence_interval(0.95)
        assert ours is not None
        assert [ours.df, ours.p, ours.difference.low, ours.difference.high] == pytest.approx(
            [theirs.df, theirs.pvalue, interval.low, interval.high]
        )


def test_samples_that_do_not_vary():
    assert welch([8.4] * 6, [8.4] * 6) is None
    assert welch([0.1 + 0.2] * 3 + [0.3] * 3, [0.3] * 6) is None  # only rounding errors vary
    one_sided = welch([9.0] * 6, [8.1, 8.2, 8.3, 8.4, 8.5, 8.6])
    assert one_sided is not None and one_sided.df == pytest.approx(5.0)
    with pytest.raises(ValueError, match="two values"):
        welch([1.0], [1.0, 2.0])


def test_mann_whitney_is_exact_for_small_samples():
    a, b = draws(5, 6)
    ranks = stats.rankdata([*a, *b])
    sums = np.array([ranks[list(chosen)].sum() for chosen in itertools.combinations(range(11), 5)])
    centre = sums.mean()
    assert mann_whitney(a, b) == pytest.approx(np.mean(abs(sums - centre) >= abs(ranks[:5].sum() - centre)))
    assert mann_whitney(a, b) == stats.mannwhitneyu(a, b, alternative="two-sided").pvalue


@given(p_values.filter(len))
def test_corrections_as_statsmodels_has_them(p):
    assert adjust(p, HOLM) == pytest.approx(multipletests(p, method="holm")[1].tolist())
    assert adjust(p, BENJAMINI_HOCHBERG) == pytest.approx(multipletests(p, method="fdr_bh")[1].tolist())


@given(p_values, st.floats(0, 1))
def test_adjusted_p_values_are_monotone_and_no_smaller(p, other):
    for name in CORRECTIONS:
        adjusted = adjust(p, name)
        ranked = [adjusted[k] for k in np.argsort(p, kind="stable")]
        assert ranked == sorted(ranked) and all(a >= b for a, b in zip(adjusted, p, strict=True))
        assert adjust([*p, math.nan], name)[:-1] == adjusted
        assert other <= adjust_outsider(other, p, name) <= min(1.0, other * (len(p) + 1) + 1e-12)


def test_corrections_at_their_edges():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert (holm([]), holm([0.2]), holm([0.9, 0.8]), holm([0.02, 0.02])) == ([], [0.2], [1.0, 1.0], [0.04, 0.04])
    assert all(map(math.isnan, adjust([math.nan] * 2, BENJAMINI_HOCHBERG)))
    assert (correction_for(MAX_HOLM), correction_for(MAX_HOLM + 1)) == (HOLM, BENJAMINI_HOCHBERG)


def test_equivalence_as_statsmodels_has_it():
    a, b = draws(15, 15)
    d = a - b
    for margin in (0.3, 1.0, 3.0):
        ours = two_one_sided(float(d.mean()), standard_error(d), len(d) - 1, margin)
        assert ours == pytest.approx(ttost_paired(a, b, -margin, margin)[0])
        test = welch(a, b)
        assert test is not None
        theirs = ttost_ind(a, b, -margin, margin, usevar="unequal")[0]
        assert two_one_sided(test.difference.value, test.error, test.df, margin) == pytest.approx(theirs)
    assert math.isnan(two_one_sided(0.0, 1.0, 5, math.nan)) and two_one_sided(0.1, 0.0, 5, 0.2) == 0


# Intervals of shares and medians


@pytest.mark.parametrize(("n", "below"), [(6, 1), (12, 3), (20, 6), (50, 18)])
def test_the_median_lies_between_the_order_statistics_of_the_binomial_law(n, below):
    x = np.arange(1.0, n + 1)
    assert median_interval(x[::-1]) == (np.median(x), below, n + 1 - below)
    assert stats.binom.cdf(below - 1, n, 0.5) <= 0.025 < stats.binom.cdf(below, n, 0.5)
    assert math.isnan(median_interval(x[:5]).low)


@pytest.mark.parametrize(("wins", "n"), [(0, 7), (3, 10), (40, 50), (12, 12)])
def test_wilsons_interval_as_statsmodels_has_it(wins, n):
    found = probability_interval([-1.0] * wins + [1.0] * (n - wins))
    assert found[1:] == pytest.approx(proportion_confint(wins, n, method="wilson"), abs=1e-12)
    assert probability_interval([0.0] * n) == (0.5, 0.5, 0.5)


def test_superiority_counts_pairs_and_does_not_shrink_to_a_point():
    assert superiority_interval([1, 2], [2, 3]).value == (3 + 0.5) / 4
    certain = superiority_interval([1, 2, 3, 4, 5], np.arange(6, 16))
    assert certain.value == certain.high == 1 and 0.5 < certain.low < 0.9
    a, b = draws(5, 10)
    there, back = superiority_interval(a, b), superiority_interval(b, a)
    assert there == pytest.approx((1 - back.value, 1 - back.high, 1 - back.low))


@pytest.mark.parametrize(("found", "tried"), [(0, 6), (0, 60), (3, 40), (5, 5)])
def test_excluded_rates_are_clopper_and_pearsons(found, tried):
    assert excluded_rate(found, tried) == pytest.approx(proportion_confint(found, tried, 0.1, "beta")[1])


# Selected trials


def test_selection_by_hand():
    validation = np.array([3.0, 1.0, math.nan, 2.0, 1.0, 9.0])
    selected = Selected(validation, np.array([30.0, 11.0, 99.0, 22.0, 13.0, 90.0]), 4)
    assert selected.order.tolist() == [1, 4, 3, 0, 5, 2]  # ties in their order, NaN last
    assert selected.chosen.tolist() == [11, 13, 22, 30]
    assert selected.mean == 19
    assert selected.edge == (22 + 30 + 90 + 99) / 4  # two on each side of the cut
    spread = np.var([11, 13, 22, 30], ddof=1)
    assert selected.error**2 == pytest.approx((spread + (1 - 4 / 6) * (19 - 60.25) ** 2) / 4)
    assert selected.pseudo_values[1] == 60.25 + (11 - 60.25) * 6 / 4
    assert selected.pseudo_values[5] == 60.25


@given(st.integers(0, 99), st.integers(2, 30), st.data())
def test_pseudo_values_have_the_mean_of_the_chosen(seed, n, data):
    validation, test = np.random.default_rng(seed).normal(size=(2, n))
    selected = Selected(validation, test, data.draw(st.integers(2, max(2, n // 2))))
    assert selected.pseudo_values.mean() == pytest.approx(selected.mean, abs=1e-9)


def test_selections_are_compared_with_their_own_errors():
    rng = np.random.default_rng(1)
    first, second = (Selected(v, v + 0.1 * rng.normal(size=100), 10) for v in rng.normal(size=(2, 100)))
    paired, independent = compare_paired(first, second), compare_independent(first, second)
    assert paired is not None and independent is not None
    assert paired.difference.value == pytest.approx(independent.difference.value)
    assert independent.error == pytest.approx(math.hypot(first.error, second.error))
    assert paired.df == 9 <= independent.df <= 18
    assert compare_paired(first, first) is None


# Ranks and planning


def test_friedman_as_scipy_has_it_and_nemenyi_as_in_demsars_table():
    losses = np.random.default_rng(0).normal(size=(12, 4))
    assert friedman(losses) == stats.friedmanchisquare(*losses.T).pvalue
    assert mean_ranks([[1.0, 2.0, 2.0], [3.0, 1.0, 2.0]]).tolist() == [2.0, 1.75, 2.25]
    assert friedman(np.ones((12, 3))) == 1
    quantiles = (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)  # Demsar 2006, table 5(a)
    for k, quantile in enumerate(quantiles, 2):
        assert critical_difference(k, 15) == pytest.approx(quantile * math.sqrt(k * (k + 1) / 90), abs=2e-3)


@pytest.mark.parametrize(("n", "comparisons", "correlation"), [(12, 1, 0.0), (24, 8, 0.75), (200, 40, 0.5)])
def test_detectable_differences_have_the_power_that_statsmodels_computes(n, comparisons, correlation):
    level = 0.05 / comparisons
    found = detectable_difference(n, comparisons, correlation)
    effect = found / math.sqrt(2 * (1 - correlation))
    assert TTestPower().power(effect, n, level) == pytest.approx(0.8, abs=0.02)
    unpaired = detectable_difference(n, comparisons, paired=False)
    assert TTestIndPower().power(unpaired, n, level) == pytest.approx(0.8, abs=0.02)
    assert trials_needed(found, comparisons, correlation) == n
    assert trials_needed(unpaired, comparisons, paired=False) == n


def test_what_no_number_of_trials_can_find():
    # Cohen 1988: 64 in each group find half a standard deviation with a power of 0.8.
    assert detectable_difference(64, 1, paired=False) == pytest.approx(0.5, abs=0.005)
    assert detectable_difference(10, 40) == math.inf > detectable_difference(11, 40)
    assert confirmation_difference(1, 10, 1) == math.inf
    assert TTestIndPower().power(confirmation_difference(5, 10, 1), 5, 0.05, 2) == pytest.approx(0.8, abs=0.02)
