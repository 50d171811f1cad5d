"""A random forest as a surrogate, as in Hutter et al. (2014) and Greff et al. (2017).

A tree is constant on the boxes of its leaves, so its averages are sums over leaves, and exact. The forest's average is
the mean of its trees'; variances are those of each tree, whose mean shares the paper reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ablate.importance.surrogate import Array

TREES = 100
MIN_LEAF = 3  # trials in a leaf: the variance of a tree that learns each trial by heart is that of its noise as well


class Forest:
    """A surrogate of trees."""

    def __init__(self, seed: int = 0) -> None:
        from sklearn.ensemble import RandomForestRegressor  # slow to import

        self._forest = RandomForestRegressor(TREES, min_samples_leaf=MIN_LEAF, random_state=seed)
        self._trees: list[_Leaves] = []

    def fit(self, u: Array, y: Array) -> Self:
        """As `Surrogate.fit`."""
        # In a fixed order, since the trees draw rows by their place.
        order = np.lexsort((y, *u.T[::-1]))
        self._forest.fit(u[order], y[order])
        self._trees = [_leaves(tree.tree_, u.shape[1]) for tree in self._forest.estimators_]
        return self

    def predict(self, u: Array) -> Array:
        """As `Surrogate.predict`."""
        return self._forest.predict(u)

    def averages(self, axes: Sequence[int], low: Array, high: Array) -> ForestAverages:
        """As `Surrogate.averages`."""
        return ForestAverages([tree.clipped(low, high) for tree in self._trees], list(axes), low, high)


@dataclass(frozen=True, eq=False)
class _Leaves:
    """The leaves of a tree: boxes from low to high (leaves, d), and the value on each."""

    low: Array
    high: Array
    value: Array

    def clipped(self, low: Array, high: Array) -> _Leaves:
        """What of the leaves lies in a box."""
        inside_low, inside_high = np.maximum(self.low, low), np.minimum(self.high, high)
        keep = (inside_low < inside_high).all(axis=1)
        return _Leaves(inside_low[keep], inside_high[keep], self.value[keep])

    def average(self, axes: list[int], low: Array, high: Array) -> tuple[list[Array], Array]:
        """The average over all other axes: the cuts along each axis, and the values on the cells between them."""
        share = (self.high - self.low) / (high - low)
        others = [axis for axis in range(len(low)) if axis not in axes]
        weight = self.value * share[:, others].prod(axis=1)
        cuts = [np.unique(np.concatenate([self.low[:, axis], self.high[:, axis]])) for axis in axes]
        covers = [
            ((self.low[:, [axis]] <= cut[:-1]) & (self.high[:, [axis]] >= cut[1:])).astype(float)
            for axis, cut in zip(axes, cuts, strict=True)
        ]
        if len(axes) == 1:
            return cuts, weight @ covers[0]
        return cuts, (covers[0] * weight[:, None]).T @ covers[1]


def _leaves(tree: Any, d: int) -> _Leaves:
    low, high = np.zeros((tree.node_count, d)), np.ones((tree.node_count, d))
    for node in range(tree.node_count):  # parents come before their children
        left, right, axis, cut = (
            part[node] for part in (tree.children_left, tree.children_right, tree.feature, tree.threshold)
        )
        if left < 0:
            continue
        for child in (left, right):
            low[child], high[child] = low[node], high[node]
        high[left, axis] = min(high[node, axis], cut)
        low[right, axis] = max(low[node, axis], cut)
    leaf = tree.children_left < 0
    return _Leaves(low[leaf], high[leaf], tree.value[leaf, 0, 0])


class ForestAverages:
    """As `Averages`; one or two axes, or all of them for the whole variance."""

    def __init__(self, trees: list[_Leaves], axes: list[int], low: Array, high: Array) -> None:
        self._trees, self._axes, self._low, self._high = trees, axes, low, high

    def variances(self) -> Array:
        """The variance of each tree's average, (trees,)."""
        return np.array([self._variance(tree) for tree in self._trees])

    def variance(self) -> float:
        """As `Averages.variance`: the mean over trees."""
        return float(self.variances().mean())

    def at(self, points: Array) -> tuple[Array, Array]:
        """As `Averages.at`: the deviation is that between trees."""
        values = np.stack([self._at(tree, points) for tree in self._trees])
        return values.mean(axis=0), values.std(axis=0)

    def _variance(self, tree: _Leaves) -> float:
        if len(self._axes) == len(self._low):
            weight = ((tree.high - tree.low) / (self._high - self._low)).prod(axis=1)
            values = tree.value
        else:
            cuts, values = tree.average(self._axes, self._low, self._high)
            sides = [np.diff(cut) / np.ptp(cut) for cut in cuts]
            weight = sides[0] if len(sides) == 1 else np.outer(*sides)
        mean = (weight * values).sum()
        return float((weight * (values - mean) ** 2).sum())

    def _at(self, tree: _Leaves, points: Array) -> Array:
        cuts, values = tree.average(self._axes, self._low, self._high)
        places = tuple(
            np.clip(np.searchsorted(cut, points[:, k], side="right") - 1, 0, len(cut) - 2) for k, cut in enumerate(cuts)
        )
        return values[places]
