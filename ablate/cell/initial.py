"""Initial weights that a variant brings along, where its paper says so; all others are the study's.

A variant names them with its decorator, by weight: `initial={"b_f": Plus(1)}` where the cell is not itself without
them, and `native={"R_*": Orthogonal()}` for studies that ask for `initialisation = "native"`. Each takes the study's
own draw for the weight, so that variants share what they have in common, and gives what the variant starts with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Initial(Protocol):
    """How a weight starts; `str()` of it says so in a few words."""

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        """The initial value.

        Args:
            drawn: the study's own draw, in the weight's shape.
            generator: the stream of random numbers of this weight in this trial, behind that draw.
            longest: frames of the longest training sequence.
        """
        ...


@dataclass(frozen=True)
class AsMade:
    """What the cell, a module of PyTorch, makes by itself."""

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        return drawn

    def __str__(self) -> str:
        return "its module makes it"


@dataclass(frozen=True)
class Plus:
    """The study's draw, shifted: a bias that opens a gate (Gers et al. 2000; Jozefowicz et al. 2015)."""

    shift: float  # what is added to the draw

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        return drawn + self.shift

    def __str__(self) -> str:
        return f"the study's draw {'+' if self.shift >= 0 else '-'} {abs(self.shift):g}"


@dataclass(frozen=True)
class Constant:
    """One number."""

    value: float  # of every entry

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        return np.full_like(drawn, self.value)

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True)
class Identity:
    """The identity matrix, so that a state stays as it is (Le et al. 2015)."""

    scale: float = 1.0  # of the diagonal

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        return self.scale * np.eye(*drawn.shape)

    def __str__(self) -> str:
        return "the identity" if self.scale == 1 else f"{self.scale:g} times the identity"


@dataclass(frozen=True)
class Normal:
    """A normal draw of a spread of its own."""

    std: float  # the standard deviation

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        return generator.normal(0.0, self.std, drawn.shape)

    def __str__(self) -> str:
        return f"N(0, {self.std:g}²)"


@dataclass(frozen=True)
class Orthogonal:
    """A random orthogonal matrix, which keeps the length of what it is given (Saxe et al. 2014)."""

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        q, r = np.linalg.qr(generator.standard_normal(drawn.shape))
        return q * np.sign(np.diagonal(r))  # so that every orthogonal matrix is as likely as any other

    def __str__(self) -> str:
        return "a random orthogonal matrix"


@dataclass(frozen=True)
class UniformBySize:
    """A uniform draw on [-1, 1] / sqrt(n), n the numbers that a unit reads: that of PyTorch's linear layers."""

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        end = drawn.shape[-1] ** -0.5
        return generator.uniform(-end, end, drawn.shape)

    def __str__(self) -> str:
        return "uniform on [-1, 1] / sqrt(n), n the numbers that a unit reads"


@dataclass(frozen=True)
class Uniform:
    """A uniform draw."""

    low: float  # the smallest value
    high: float  # the largest one

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        return generator.uniform(self.low, self.high, drawn.shape)

    def __str__(self) -> str:
        return f"uniform on [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class LongestMemory:
    """A uniform draw on [0, b], with b such that a state that is multiplied by it at each step of the longest sequence
    comes to twice itself; and the bound b in training (Li et al. 2018, for rectified units)."""

    def bound(self, longest: int) -> float:
        """What no entry of the weight exceeds in training, in absolute value."""
        return 2.0 ** (1 / longest)

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        return generator.uniform(0.0, self.bound(longest), drawn.shape)

    def __str__(self) -> str:
        return "uniform on [0, 2^(1/T)], the bound in training, T the longest sequence"


@dataclass(frozen=True)
class Chrono:
    """Memories of all lengths up to that of the sequences: the log of a uniform draw (Tallec and Ollivier 2018)."""

    def __call__(self, drawn: Array, generator: np.random.Generator, longest: int) -> Array:
        return np.log(generator.uniform(1, max(longest - 1, 2), drawn.shape))

    def __str__(self) -> str:
        return "log of a uniform draw on [1, longest sequence - 1] (chrono)"
