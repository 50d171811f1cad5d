"""The shares of variance that single axes and pairs of axes explain, by the surrogate that predicts best."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ablate.importance.forest import Forest
from ablate.importance.gaussian_process import GaussianProcess
from ablate.importance.surrogate import Array, Surrogate

MIN_POINTS, MIN_R2 = 50, 0.5  # below either nothing is claimed
FOLDS = 5
GRID = 50  # values along a marginal


@dataclass(frozen=True, eq=False)
class Importance:
    """What one surrogate says of a response over d axes.

    Args:
        r2: cross-validated; at most 1, and below 0 where a constant would predict better.
        main: the share of the variance that each axis explains alone, (d,).
        pairs: the share of each pair's interaction, by its axes.
        low: the box that the shares are of.
        high: its upper corner.
    """

    surrogate: str
    points: int
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
    def claims(self) -> bool:
        """Whether there are trials enough, and predicted well enough, to claim anything."""
        return self.points >= MIN_POINTS and self.r2 >= MIN_R2

    def marginal(self, axis: int) -> tuple[Array, Array, Array]:
        """The response along an axis, all others averaged out: places in [0, 1], values, standard deviations."""
        places = np.linspace(self.low[axis], self.high[axis], GRID)
        return places, *self.fitted.averages([axis], self.low, self.high).at(places[:, None])

    def surface(self, first: int, second: int, size: int = 25) -> tuple[Array, Array, Array]:
        """The response over two axes, all others averaged out: places along each, and values (size, size)."""
        a, b = (np.linspace(self.low[axis], self.high[axis], size) for axis in (first, second))
        points = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
        values, _ = self.fitted.averages([first, second], self.low, self.high).at(points)
        return a, b, values.reshape(size, size)


def importances(u: Array, y: Array, seed: int = 0, box: tuple[Array, Array] | None = None) -> dict[str, Importance]:
    """What each surrogate says of y (n,) at points u (n, d) of the unit cube, the one that speaks first.

    Both are judged by the same folds; the better cross-validated R^2 speaks.

    Args:
        box: the corners of the part of the cube that shares are wanted of; all of it if None.
    """
    process = GaussianProcess(seed).fit(u, y)
    makers: dict[str, tuple[Surrogate, Callable[[], Surrogate]]] = {
        "forest": (Forest(seed).fit(u, y), lambda: Forest(seed)),
        "gaussian process": (process, lambda: GaussianProcess(seed, start=process)),
    }
    low, high = box if box is not None else (np.zeros(u.shape[1]), np.ones(u.shape[1]))
    found = [
        Importance(name, len(y), cross_validated_r2(make, u, y, seed), *_shares(fitted, low, high), low, high, fitted)
        for name, (fitted, make) in makers.items()
    ]
    return {each.surrogate: each for each in sorted(found, key=lambda each: -each.r2)}


def cross_validated_r2(make: Callable[[], Surrogate], u: Array, y: Array, seed: int = 0) -> float:
    """How much of the variance of y a surrogate predicts on trials that it has not seen, over FOLDS folds."""
    order = np.lexsort((y, *u.T[::-1]))  # the same folds in whatever order the trials come
    u, y = u[order], y[order]
    fold = np.random.default_rng(seed).permutation(len(y)) % FOLDS
    predicted = np.empty(len(y))
    for k in range(FOLDS):
        predicted[fold == k] = make().fit(u[fold != k], y[fold != k]).predict(u[fold == k])
    spread = float(((y - y.mean()) ** 2).sum())
    return 1.0 - float(((y - predicted) ** 2).sum()) / spread if spread > 0 else 0.0


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
