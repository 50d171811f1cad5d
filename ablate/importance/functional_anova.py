"""The shares of variance that single axes and pairs of axes explain, by the surrogate that predicts best."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from ablate.importance.forest import Forest
from ablate.importance.gaussian_process import GaussianProcess
from ablate.importance.surrogate import Array, Surrogate

MIN_POINTS, MIN_R2 = 50, 0.5  # below either nothing is claimed
MIN_INSIDE = 20  # trials within a region, by which the surrogate is judged there
ACCURACY = 0.05  # of a share, to which the surrogates recover functions that are known, from 200 points without noise
ROUNDING = 1e-9  # of a response's size: what differs by less does not differ
FOLDS = 5
GRID = 25  # values along a marginal
SURFACE = 15  # values along either side of a surface


@dataclass(frozen=True, eq=False)
class Importance:
    """What one surrogate says of a response over d axes.

    Args:
        points: trials that it was fitted to.
        inside: how many of them lie within the box.
        r2: cross-validated, of the trials within the box; at most 1, and below 0 where a constant would predict better.
        main: the share of the variance that each axis explains alone, (d,).
        pairs: the share of each pair's interaction, by its axes.
        low: the box that the shares are of.
        high: its upper corner.
    """

    surrogate: str
    points: int
    inside: int
    r2: float
    main: Array
    pairs: dict[tuple[int, int], float]
    low: Array
    high: Array
    fitted: Surrogate = field(repr=False)

    @property
    def remainder(self) -> float:
        """The share of interactions of more than two axes."""
        return max(0.0, 1.0 - float(self.main.sum()) - sum(self.pairs.values()))

    @property
    def enough(self) -> bool:
        """Whether there are trials enough to claim anything."""
        return self.points >= MIN_POINTS and self.inside >= MIN_INSIDE

    @property
    def claims(self) -> bool:
        """Whether there are trials enough, and predicted well enough, to claim anything."""
        return self.enough and self.r2 >= MIN_R2

    def marginal(self, axis: int, size: int = GRID) -> tuple[Array, Array, Array]:
        """The response along an axis, all others averaged out: places in [0, 1], values, standard deviations."""
        places = np.linspace(self.low[axis], self.high[axis], size)
        return places, *self.fitted.averages([axis], self.low, self.high).at(places[:, None])

    def surface(self, first: int, second: int, size: int = SURFACE) -> tuple[Array, Array, Array]:
        """The response over two axes, all others averaged out: places along each, and values (size, size).

        The places are the middles of cells, so that a mean over them is one over the box.
        """
        middles = (np.arange(size) + 0.5) / size
        a, b = (self.low[axis] + (self.high[axis] - self.low[axis]) * middles for axis in (first, second))
        points = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
        values, _ = self.fitted.averages([first, second], self.low, self.high).at(points)
        return a, b, values.reshape(size, size)


@dataclass(frozen=True, eq=False)
class Fit:
    """A surrogate of all trials, and what its like predicted of each trial without having seen it."""

    surrogate: str
    fitted: Surrogate
    u: Array
    y: Array
    predicted: Array

    def importance(self, low: Array, high: Array) -> Importance:
        """The shares within a box, with the R^2 of the trials in it."""
        inside = ((self.u >= low) & (self.u <= high)).all(axis=1)
        r2 = _r2(self.y[inside], self.predicted[inside])
        shares = _shares(self.fitted, low, high)
        return Importance(self.surrogate, len(self.y), int(inside.sum()), r2, *shares, low, high, self.fitted)


def fits(u: Array, y: Array, seed: int = 0) -> list[Fit]:
    """Both surrogates of y (n,) at points u (n, d) of the unit cube, judged by the same folds."""
    process = GaussianProcess(seed).fit(u, y)
    makers: dict[str, tuple[Surrogate, Callable[[], Surrogate]]] = {
        "forest": (Forest(seed).fit(u, y), lambda: Forest(seed)),
        "gaussian process": (process, lambda: GaussianProcess(seed, start=process)),
    }
    return [Fit(name, fitted, u, y, _predicted(make, u, y, seed)) for name, (fitted, make) in makers.items()]


def importances(u: Array, y: Array, seed: int = 0, box: tuple[Array, Array] | None = None) -> dict[str, Importance]:
    """What each surrogate says of y (n,) at points u (n, d) of the unit cube, the one that speaks first.

    The better cross-validated R^2 speaks.

    Args:
        box: the corners of the part of the cube that shares are wanted of; all of it if None.
    """
    low, high = box if box is not None else (np.zeros(u.shape[1]), np.ones(u.shape[1]))
    return ranked(each.importance(low, high) for each in fits(u, y, seed))


def share_error(r2: float) -> float:
    """How far a share may be off where a surrogate has this R^2.

    What it does not predict is noise, or what it has missed of an axis.
    """
    return max(ACCURACY, 1 - r2)


def ranked(found: Iterable[Importance]) -> dict[str, Importance]:
    """By the name of the surrogate, the one that speaks first: the better R^2."""
    return {each.surrogate: each for each in sorted(found, key=lambda each: -each.r2)}


def cross_validated_r2(make: Callable[[], Surrogate], u: Array, y: Array, seed: int = 0) -> float:
    """How much of the variance of y a surrogate predicts on trials that it has not seen, over FOLDS folds."""
    return _r2(y, _predicted(make, u, y, seed))


def _r2(y: Array, predicted: Array) -> float:
    """At most 1; 0 of a constant, and of one that only rounding tells from it."""
    if not len(y) or np.ptp(y) <= ROUNDING * np.abs(y).max():
        return 0.0
    mean = math.fsum(y) / len(y)  # exact sums, in which the order of the trials does not show
    return 1.0 - math.fsum((y - predicted) ** 2) / math.fsum((y - mean) ** 2)


def _predicted(make: Callable[[], Surrogate], u: Array, y: Array, seed: int) -> Array:
    """What is predicted of each trial from the other folds, (n,)."""
    order = np.lexsort((y, *u.T[::-1]))  # the same folds, and products in one order, in whatever order the trials come
    u, y = u[order], y[order]
    fold = np.random.default_rng(seed).permutation(len(y)) % FOLDS
    predicted = np.empty(len(y))
    for k in range(FOLDS):
        predicted[order[fold == k]] = make().fit(u[fold != k], y[fold != k]).predict(u[fold == k])
    return predicted


def good_box(u: Array, y: Array, share: float = 0.25) -> tuple[Array, Array]:
    """The corners of the box that holds the middle four fifths, along each axis, of the best `share` of the trials."""
    best = u[np.argsort(y, kind="stable")[: max(int(share * len(y)), 2)]]
    low, high = np.quantile(best, [0.1, 0.9], axis=0)
    return low, np.maximum(high, low + 1e-3)


def _shares(fitted: Surrogate, low: Array, high: Array) -> tuple[Array, dict[tuple[int, int], float]]:
    d = len(low)
    whole = fitted.averages(range(d), low, high).variance()
    if whole <= 0:
        return np.zeros(d), dict.fromkeys(itertools.combinations(range(d), 2), 0.0)
    main = np.array([fitted.averages([axis], low, high).variance() for axis in range(d)]) / whole
    pairs = {
        (a, b): max(0.0, fitted.averages([a, b], low, high).variance() / whole - main[a] - main[b])
        for a, b in itertools.combinations(range(d), 2)
    }
    return main, pairs
