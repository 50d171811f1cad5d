"""Importance by functional ANOVA, against functions whose shares are known."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from ablate.importance.forest import Forest
from ablate.importance.functional_anova import cross_validated_r2, good_box, importances
from ablate.importance.gaussian_process import GaussianProcess

WHOLE = np.zeros(3), np.ones(3)


def ishigami(u):
    x = 2 * np.pi * u - np.pi
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def g(u):
    a = np.array([0, 1, 4.5, 9])
    return np.prod((np.abs(4 * u - 2) + a) / (1 + a), axis=1)


@dataclass
class Known:
    """A function of d axes, with the shares of its variance."""

    function: Callable
    main: tuple[float, ...]
    pairs: dict[tuple[int, int], float]


# Sobol's shares: analytic, save the last two, by 2^22 points.
KNOWN = {
    "ishigami": Known(ishigami, (0.314, 0.442, 0.0), {(0, 2): 0.244}),
    "g": Known(g, (0.716, 0.179, 0.024, 0.007), {(0, 1): 0.060}),
    "additive": Known(lambda u: u @ [3.0, 2.0, 1.0, 0.0], (9 / 14, 4 / 14, 1 / 14, 0.0), {}),
    "product": Known(lambda u: u[:, 0] * u[:, 1] + 0 * u[:, 2], (3 / 7, 3 / 7, 0.0), {(0, 1): 1 / 7}),
    "cliff": Known(lambda u: 3.0 * (u[:, 0] > 0.6) + u[:, 1] + 0 * u[:, 2], (0.963, 0.037, 0.0), {}),
    "plateau": Known(
        lambda u: np.minimum(5 * (u[:, 0] - 0.5) ** 2 + u[:, 1] + 0 * u[:, 2], 0.6),
        (0.253, 0.384, 0.0),
        {(0, 1): 0.363},
    ),
}


def worst_error(known: Known, seed: int, n: int = 200) -> float:
    """How far the surrogate that speaks is off, over all main effects and pairs."""
    u = np.random.default_rng(seed).random((n, len(known.main)))
    speaks = next(iter(importances(u, known.function(u), seed).values()))
    assert speaks.claims
    pairs = {pair: known.pairs.get(pair, 0.0) for pair in speaks.pairs}
    errors = [*np.abs(speaks.main - known.main), *(abs(speaks.pairs[pair] - pairs[pair]) for pair in pairs)]
    for share, truth in zip(speaks.main, known.main, strict=True):
        assert truth > 0 or share < 0.02, "noise is given an effect"
    return float(max(errors))


@pytest.mark.parametrize("name", KNOWN)
def test_known_shares(name):
    assert worst_error(KNOWN[name], seed=1) < 0.05


@pytest.mark.calibration
@pytest.mark.parametrize("name", KNOWN)
def test_known_shares_on_many_seeds(name):
    """Half a minute a function."""
    assert sum(worst_error(KNOWN[name], seed) < 0.05 for seed in range(20)) >= 18


def test_the_shares_of_g_are_those_of_its_formula():
    """Of a product over the axes each factor has the variance 1 / (3 (1 + a)^2) about 1."""
    single = 1 / (3 * (1 + np.array([0, 1, 4.5, 9])) ** 2)
    whole = np.prod(1 + single) - 1
    np.testing.assert_allclose(KNOWN["g"].main, single / whole, atol=1e-3)
    assert KNOWN["g"].pairs[0, 1] == pytest.approx(single[0] * single[1] / whole, abs=1e-3)


def brute(surrogate, axes: list[int], low, high, size: int = 60) -> float:
    """The variance of an average over all other axes, by a grid of midpoints."""
    d = len(low)
    middles = (np.arange(size) + 0.5) / size
    grid = np.stack(np.meshgrid(*[low[k] + (high[k] - low[k]) * middles for k in range(d)], indexing="ij"), axis=-1)
    values = surrogate.predict(grid.reshape(-1, d)).reshape([size] * d)
    return float(values.mean(axis=tuple(k for k in range(d) if k not in axes)).var())


@pytest.mark.parametrize("box", [WHOLE, (np.array([0.1, 0.4, 0.0]), np.array([0.6, 0.9, 0.3]))])
def test_averages_of_a_process_are_those_of_its_predictions(box):
    u = np.random.default_rng(0).random((80, 3))
    process = GaussianProcess().fit(u, ishigami(u))
    for axes in ([0], [1], [2], [0, 1], [0, 2], [0, 1, 2]):
        assert process.averages(axes, *box).variance() == pytest.approx(brute(process, axes, *box), rel=0.01, abs=1e-3)


def cells_of(tree, low, high) -> tuple[list, list]:
    """Midpoints and widths, along each axis, of the cells on which a tree is constant within a box."""
    middles, widths = [], []
    for k in range(len(low)):
        cuts = tree.tree_.threshold[tree.tree_.feature == k]
        cuts = np.unique([low[k], *cuts[(cuts > low[k]) & (cuts < high[k])], high[k]])
        middles.append((cuts[:-1] + cuts[1:]) / 2)
        widths.append(np.diff(cuts) / np.ptp(cuts))
    return middles, widths


@pytest.mark.parametrize("box", [WHOLE, (np.array([0.1, 0.4, 0.0]), np.array([0.6, 0.9, 0.3]))])
def test_averages_of_a_forest_are_those_of_its_trees(box):
    """By brute force: the tree's own predictions on every cell between its cuts."""
    u = np.random.default_rng(0).random((80, 3))
    forest = Forest().fit(u, ishigami(u))
    for tree, place in zip(forest._forest.estimators_[:5], range(5), strict=True):
        middles, widths = cells_of(tree, *box)
        grid = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1)
        values = tree.predict(grid.reshape(-1, 3)).reshape(grid.shape[:-1])
        for axes in ([0], [1], [2], [0, 2], [0, 1, 2]):
            marginal = values
            for k in reversed(range(3)):
                if k not in axes:
                    marginal = np.tensordot(marginal, widths[k], axes=([k], [0]))
            weight = functools.reduce(np.multiply.outer, [widths[k] for k in axes])
            mean = (weight * marginal).sum()
            truth = (weight * (marginal - mean) ** 2).sum()
            assert forest.averages(axes, *box).variances()[place] == pytest.approx(truth, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("make", [Forest, GaussianProcess])
@pytest.mark.parametrize("box", [WHOLE, (np.array([0.1, 0.4, 0.0]), np.array([0.6, 0.9, 0.3]))])
def test_marginals_are_means_of_predictions_over_random_points(make, box):
    rng = np.random.default_rng(0)
    u = rng.random((120, 3))
    surrogate = make().fit(u, u[:, 0] + u[:, 1] * u[:, 2])
    low, high = box
    for place in low[1] + (high[1] - low[1]) * np.array([0.11, 0.52, 0.87]):
        points = low + (high - low) * rng.random((8000, 3))
        points[:, 1] = place
        values, _ = surrogate.averages([1], low, high).at(np.array([[place]]))
        assert values[0] == pytest.approx(surrogate.predict(points).mean(), abs=0.01)


@pytest.mark.parametrize("make", [Forest, GaussianProcess])
def test_a_marginal_is_the_average_and_its_band_holds_the_function(make):
    rng = np.random.default_rng(2)
    u = rng.random((150, 2))
    surrogate = make().fit(u, np.sin(3 * u[:, 0]) + u[:, 1] + rng.normal(0, 0.05, 150))
    places = np.linspace(0.05, 0.95, 20)[:, None]
    values, deviations = surrogate.averages([0], np.zeros(2), np.ones(2)).at(places)
    truth = np.sin(3 * places[:, 0]) + 0.5
    assert np.abs(values - truth).max() < 0.12
    assert (deviations > 0).all()
    assert np.mean(np.abs(values - truth) < 3 * deviations) > 0.8


def test_the_order_of_the_trials_changes_no_digit():
    u = np.random.default_rng(3).random((60, 3))
    y = ishigami(u)
    shuffled = np.random.default_rng(4).permutation(60)
    one, other = importances(u, y), importances(u[shuffled], y[shuffled])
    assert list(one) == list(other)
    for name, found in one.items():
        assert found.r2 == other[name].r2
        np.testing.assert_array_equal(found.main, other[name].main)


def test_the_forest_speaks_where_it_predicts_better_and_nothing_is_claimed_of_noise():
    rng = np.random.default_rng(5)
    u = rng.random((200, 3))
    assert next(iter(importances(u, 3.0 * (u[:, 0] > 0.6) + u[:, 1]))) == "forest"
    assert next(iter(importances(u, ishigami(u)))) == "gaussian process"
    assert not any(found.claims for found in importances(u, rng.normal(size=200)).values())
    assert not any(found.claims for found in importances(u[:49], u[:49, 0]).values())


def test_a_constant_response_has_no_shares():
    u = np.random.default_rng(6).random((60, 2))
    for found in importances(u, np.full(60, 3.0)).values():
        assert (found.main == 0).all() and not found.claims


def test_rounding_is_no_response():
    """Trials that all end at the baseline, whose mean is not the last digit's, and pooled ones that differ in it."""
    u = np.random.default_rng(6).random((60, 2))
    for y in (np.full(60, 13.7512345678901), 13.7512345678901 * (1 + 1e-15 * u[:, 0])):
        for box in (None, good_box(u, y)):
            assert all(found.r2 == 0 and not found.claims for found in importances(u, y, box=box).values())


def test_the_region_of_good_trials_asks_another_question():
    """A cliff that all good trials are beyond decides everything, and nothing among them."""
    u = np.random.default_rng(7).random((300, 2))
    y = 10.0 * (u[:, 0] < 0.5) + u[:, 1]
    low, high = good_box(u, y)
    assert low[0] > 0.5
    whole, good = (next(iter(importances(u, y, box=box).values())) for box in (None, (low, high)))
    assert whole.main[0] > 0.95 and good.main[1] > 0.9


def test_a_region_is_judged_by_the_trials_in_it():
    """A cliff is easy to predict, the noise beyond it is not: of the good trials nothing may be claimed."""
    rng = np.random.default_rng(10)
    u = rng.random((300, 2))
    y = 10.0 * (u[:, 0] < 0.5) + rng.normal(size=300)
    whole, good = (next(iter(importances(u, y, box=box).values())) for box in (None, good_box(u, y)))
    assert whole.claims and whole.main[0] > 0.9
    assert good.inside >= 20 and not good.claims and good.r2 < 0.2


def test_cross_validation_is_of_unseen_trials():
    rng = np.random.default_rng(8)
    u, y = rng.random((100, 2)), rng.normal(size=100)
    assert cross_validated_r2(Forest, u, y) < 0.1 < Forest().fit(u, y)._forest.score(u, y)


def test_shares_and_remainder_make_one():
    u = np.random.default_rng(9).random((100, 3))
    for found in importances(u, ishigami(u)).values():
        total = found.main.sum() + sum(found.pairs.values()) + found.remainder
        assert total == pytest.approx(1.0, abs=0.02)
        assert set(found.pairs) == set(itertools.combinations(range(3), 2))
