"""Standardised differences, and whether they differ between two studies."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from ablate.statistics.independent import MeanTest, mean_test
from ablate.statistics.interval import Array, t_interval


@dataclass(frozen=True)
class Standardised:
    """A mean difference in standard deviations of the reference.

    `influence` holds by how much each draw moves it: the squares sum up to the variance, by the jackknife (Efron and
    Stein 1981), so that the yardstick's own error and its correlation with the difference are counted.
    """

    value: float
    influence: Mapping[Hashable, float]
    df: float
    spread: float  # the yardstick: the reference's standard deviation

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(sum(each**2 for each in self.influence.values()))


def standardised_pairs(losses: npt.ArrayLike, reference: npt.ArrayLike, draws: list[Hashable]) -> Standardised | None:
    """The mean of `losses` (n,) less `reference` (n,) at the same draws; None where the reference does not vary."""
    x, y = np.asarray(losses, float), np.asarray(reference, float)
    if len(x) < 3 or np.ptp(y) == 0:
        return None
    left_x, left_y = _without_each(x), _without_each(y)
    without = (left_x - left_y).mean(axis=1) / left_y.std(axis=1, ddof=1)
    spread = float(y.std(ddof=1))
    influence = dict(zip(draws, _influence(without), strict=True))
    return Standardised(float((x - y).mean()) / spread, influence, len(x) - 1, spread)


def standardised_samples(
    losses: npt.ArrayLike, reference: npt.ArrayLike, draws: list[Hashable], reference_draws: list[Hashable]
) -> Standardised | None:
    """The same of two independent samples (n,) and (m,), whose trials have draws of their own."""
    x, y = np.asarray(losses, float), np.asarray(reference, float)
    if min(len(x), len(y)) < 3 or np.ptp(y) == 0:
        return None
    spread, left = float(y.std(ddof=1)), _without_each(y)
    of_x = _influence(_without_each(x).mean(axis=1) / spread)
    of_y = _influence((x.mean() - left.mean(axis=1)) / left.std(axis=1, ddof=1))
    influence = dict(zip(draws, of_x, strict=True)) | dict(zip(reference_draws, of_y, strict=True))
    return Standardised(float(x.mean() - y.mean()) / spread, influence, min(len(x), len(y)) - 1, spread)


def difference_of(first: Standardised, second: Standardised) -> MeanTest | None:
    """`first` less `second`, with a t-test; None where nothing varies.

    Draws that both have, by their names, move the two together, which the error of the difference counts. Where none
    is shared the two are independent.
    """
    shared = first.influence.keys() & second.influence.keys()
    if not shared:
        return mean_test((first.value, first.error, first.df), (second.value, second.error, second.df))
    every = first.influence.keys() | second.influence.keys()
    moved = [first.influence.get(draw, 0.0) - second.influence.get(draw, 0.0) for draw in every]
    error, value = math.sqrt(sum(each**2 for each in moved)), first.value - second.value
    if error < 1e-12:
        return None
    df = min(first.df, second.df)
    p = float(2 * special.stdtr(df, -abs(value) / error))
    return MeanTest(t_interval(value, error, df), error, df, p)


def _without_each(values: Array) -> Array:
    """The values (n,) without each of them in turn, (n, n - 1)."""
    return np.array([np.delete(values, k) for k in range(len(values))])


def _influence(without: Array) -> list[float]:
    """By how much each draw moves an estimate, from the estimates without each draw, (n,)."""
    n = len(without)
    return (math.sqrt((n - 1) / n) * (without.mean() - without)).tolist()
