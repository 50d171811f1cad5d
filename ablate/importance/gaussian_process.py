"""A Gaussian process as a surrogate: smooth, with a length scale for each axis and a noise.

Its kernel is a product over the axes, and so its averages are sums of products of one-dimensional integrals. These are
taken by Gauss and Legendre's rule, exact to rounding for length scales within the bounds; no sampling is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.linalg import cho_solve

from ablate.importance.surrogate import Array

LENGTHS = (0.05, 20.0)  # bounds of the length scales, on axes from 0 to 1
NOISES = (1e-6, 2.0)  # of the noise's variance, where that of y is 1
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)


class GaussianProcess:
    """A surrogate with a squared exponential kernel.

    Args:
        start: a process that is fitted already, from whose kernel the search begins.
    """

    def __init__(self, seed: int = 0, start: GaussianProcess | None = None) -> None:
        self._seed, self._start = seed, start
        self._process: Any = None
        self._length = self._weights = self._points = np.empty(0)
        self._scale, self._mean, self._variance = 1.0, 0.0, 1.0

    def fit(self, u: Array, y: Array) -> Self:
        """As `Surrogate.fit`."""
        # Slow to import.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        if self._start is None:
            kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF([0.5] * u.shape[1], LENGTHS) + WhiteKernel(1e-2, NOISES)
            restarts = 2
        else:
            kernel, restarts = self._start._process.kernel_, 0
        order = np.lexsort((y, *u.T[::-1]))  # so that the order of the trials does not show in any digit
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound: an axis without effect
            self._process = GaussianProcessRegressor(
                kernel, normalize_y=True, n_restarts_optimizer=restarts, random_state=self._seed
            ).fit(u[order], y[order])
        fitted = self._process
        self._points = fitted.X_train_
        self._length = np.broadcast_to(fitted.kernel_.k1.k2.length_scale, u.shape[1])
        self._variance = float(fitted.kernel_.k1.k1.constant_value)
        self._weights = self._variance * fitted.alpha_.ravel()
        self._mean, self._scale = float(fitted._y_train_mean), float(fitted._y_train_std)
        return self

    def predict(self, u: Array) -> Array:
        """As `Surrogate.predict`."""
        return self._process.predict(u)

    def averages(self, axes: Sequence[int], low: Array, high: Array) -> ProcessAverages:
        """As `Surrogate.averages`."""
        return ProcessAverages(self, list(axes), low, high)

    def kernel(self, axis: int, values: Array) -> Array:
        """The kernel's factor of one axis between values (m,) and the trials, (m, n)."""
        return np.exp(-((values[:, None] - self._points[:, axis]) ** 2) / (2 * self._length[axis] ** 2))

    def nodes(self, axis: int, low: Array, high: Array) -> tuple[Array, Array]:
        """Where an average along an axis is taken, and the weights, whose sum is 1."""
        return low[axis] + (high[axis] - low[axis]) * (NODES + 1) / 2, WEIGHTS / 2


class ProcessAverages:
    """As `Averages`, of the process's mean."""

    def __init__(self, process: GaussianProcess, axes: list[int], low: Array, high: Array) -> None:
        self._process, self._axes = process, axes
        self._rest = np.ones(len(process._points))  # of each trial's kernel, what averaging leaves
        self._rest_of_prior = 1.0
        self._means = self._rest.copy()
        self._squares = np.ones((len(self._rest), len(self._rest)))
        for axis in range(len(low)):
            nodes, weights = process.nodes(axis, low, high)
            factor = process.kernel(axis, nodes)
            mean = weights @ factor
            self._means = self._means * mean
            if axis in axes:
                self._squares = self._squares * (factor.T @ (weights[:, None] * factor))
            else:
                self._rest = self._rest * mean
                self._squares = self._squares * np.outer(mean, mean)
                apart = np.exp(-((nodes[:, None] - nodes) ** 2) / (2 * process._length[axis] ** 2))
                self._rest_of_prior *= float(weights @ apart @ weights)

    def variance(self) -> float:
        """As `Averages.variance`."""
        weights = self._process._weights
        mean = float(weights @ self._means)
        return max(float(weights @ self._squares @ weights) - mean**2, 0.0) * self._process._scale**2

    def at(self, points: Array) -> tuple[Array, Array]:
        """As `Averages.at`: the deviation is the posterior's."""
        process = self._process
        factors = [process.kernel(axis, points[:, k]) for k, axis in enumerate(self._axes)]
        near = np.prod(factors, axis=0) * self._rest
        values = process._mean + process._scale * (near @ process._weights)
        covariance = process._variance * near
        explained = (covariance * cho_solve((process._process.L_, True), covariance.T).T).sum(axis=1)
        variance = np.maximum(process._variance * self._rest_of_prior - explained, 0.0)
        return values, process._scale * np.sqrt(variance)
