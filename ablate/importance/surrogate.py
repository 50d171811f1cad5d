"""What a surrogate is: a function fitted to trials on the unit cube, whose averages over some axes are known exactly.

The functional ANOVA (Hutter et al. 2014) needs no more: the variance of the average over all axes but one is that
axis's main effect, and that over all but two holds their interaction beside both main effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Surrogate(Protocol):
    """A regression of y (n,) on points u (n, d) of the unit cube."""

    def fit(self, u: Array, y: Array) -> Self:
        """Fit it; gives itself."""
        ...

    def predict(self, u: Array) -> Array:
        """Its values at points (m, d)."""
        ...

    def averages(self, axes: Sequence[int], low: Array, high: Array) -> Averages:
        """Its average over all axes but these, on the box from low to high (d,)."""
        ...


class Averages(Protocol):
    """The function of some axes that is left when all others are averaged out."""

    def variance(self) -> float:
        """Its variance over the box; the whole variance where no axis is averaged out."""
        ...

    def at(self, points: Array) -> tuple[Array, Array]:
        """Its values at points (m, axes), and their standard deviations by the surrogate."""
        ...
