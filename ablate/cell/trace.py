"""What a variant's equations say: maps, vector weights, point-wise equations and states.

The trace is all that the rest of the project knows of a cell: its weights with their shapes, its stages, its
parameter count, its LaTeX and (from the same expressions) its kernels. `tracer.py` makes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import sympy

from ablate.cell.names import INPUT, written

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from ablate.cell.layer import Layer

# Keys of stacks that no vector weight, whose key is its name, can have.
INPUT_KEY = "W x"
BIAS_KEY = "+ b"


@dataclass(frozen=True)
class Weight:
    """One weight: a matrix of a map, its bias, or a vector (a peephole)."""

    name: str
    shape: tuple[str, ...]  # in the letters N (units) and M (inputs), or in numbers

    def sized(self, M: int, N: int) -> tuple[int, ...]:
        """The shape in numbers."""
        letters = {"M": M, "N": N}
        return tuple(letters[each] if each in letters else int(each) for each in self.shape)


@dataclass(frozen=True)
class AffineMap:
    """An affine map, such as W_z x + R_z y + b_z; `symbol` stands for its value in the equations."""

    name: str
    arguments: tuple[sympy.Expr, ...]  # what it reads
    matrices: tuple[Weight, ...]  # one for each argument
    bias: Weight | None
    stage: int  # 0 if it can be computed from x and the previous state alone
    symbol: sympy.Symbol


@dataclass(frozen=True)
class Equation:
    """One point-wise equation: a name and what it stands for."""

    symbol: sympy.Symbol
    expression: sympy.Expr
    stage: int  # the last matrix products that it waits for


@dataclass(frozen=True)
class WeightStack:
    """The weights of several maps that read the same vector, kept side by side in one array and multiplied at once.

    The array of k matrices is (what they read, k, N), each matrix transposed, so that one row holds all that one
    number of the vector is multiplied by; the array of k biases is (k, N), that of a vector weight (1, N).
    """

    key: str
    weights: tuple[Weight, ...]
    maps: tuple[int, ...]  # the maps, by their place in `Trace.maps`; empty for a vector weight
    reads: sympy.Expr | None = None  # the vector that the matrices are multiplied by

    def sized(self, M: int, N: int) -> tuple[int, ...]:
        """The shape of the array in numbers."""
        units, *reads = self.weights[0].sized(M, N)
        return (*reads, len(self.weights), units)

    def weight(self, array: Any, k: int) -> Any:
        """The k-th weight in the shape that it has in the equations: a view of the array."""
        return array[:, k].T if len(self.weights[0].shape) == 2 else array[k]

    def joined(self, weights: Sequence[Tensor]) -> Tensor:
        """The array of weights in the shapes that they have in the equations: the inverse of `weight`, as a copy."""
        from torch import stack

        return stack([each.T if each.ndim == 2 else each for each in weights], -2)


@dataclass(frozen=True)
class Trace:
    """What a variant's equations say.

    Values that no new state depends on are left out, and so are weights that only such values read. Their names are
    in `dead_values`, `dead_maps` and `dead_vectors`.
    """

    states: tuple[sympy.Symbol, ...]  # the previous state, in the order of the arguments
    maps: tuple[AffineMap, ...]  # first those that read x alone, then x and more, then no x
    vectors: tuple[Weight, ...]  # vector weights: peepholes
    equations: tuple[Equation, ...]  # in the order of computation
    outputs: tuple[sympy.Symbol, ...]  # the new state, in the order of the arguments; the first is the output
    dead_values: tuple[str, ...] = ()
    dead_maps: tuple[str, ...] = ()
    dead_vectors: tuple[str, ...] = ()

    code: str = ""  # a digest of the source of a cell that has no equations
    compiles: ClassVar[bool] = True  # whether there are equations, of which kernels may be made

    # What a trace answers for given sizes; a cell that is no equations, `ModuleTrace`, has its own answers.

    def stacks_for(self, M: int, N: int) -> tuple[WeightStack, ...]:
        """The weights of a layer in the order in which they are stored."""
        return self.stacks

    def layer_for(self, layer: Layer, M: int, N: int, training: bool = True) -> Layer:
        """The layer of a backend for these sizes; training is whether its gradients will be taken."""
        return layer

    def own_weights(self, M: int, N: int, generator: np.random.Generator) -> Mapping[str, npt.NDArray[np.float64]]:
        """Initial weights that the cell makes by itself, by name; all others start as the study says."""
        return {}

    @property
    def state_names(self) -> tuple[str, ...]:
        """The states by their names in the equations."""
        return tuple(written(state) for state in self.states)

    @property
    def dead(self) -> tuple[str, ...]:
        """What the equations write and no new state depends on, as they write it: `q`, `w.q`."""
        return (*self.dead_values, *(f"w.{name}" for name in (*self.dead_maps, *self.dead_vectors)))

    @property
    def stages(self) -> int:
        """Rounds of matrix products that wait for one another."""
        return 1 + max((m.stage for m in self.maps), default=0)

    @cached_property
    def stacks(self) -> tuple[WeightStack, ...]:
        """The weights in the order in which they are stored, those that share a product side by side."""
        readers: dict[sympy.Expr, list[tuple[int, Weight]]] = {}
        for place, each in enumerate(self.maps):
            for argument, matrix in zip(each.arguments, each.matrices, strict=True):
                readers.setdefault(argument, []).append((place, matrix))
        stacks: dict[str, WeightStack] = {}
        # x first: its product is taken over all steps at once.
        for argument in sorted(readers, key=lambda argument: argument != INPUT):
            key = INPUT_KEY if argument == INPUT else f"R {argument}"
            while key in stacks:  # two expressions that print alike
                key += "'"
            maps, weights = zip(*readers[argument], strict=True)
            stacks[key] = WeightStack(key, weights, maps, argument)
        biased = [(place, each.bias) for place, each in enumerate(self.maps) if each.bias]
        if biased:
            stacks[BIAS_KEY] = WeightStack(BIAS_KEY, tuple(w for _, w in biased), tuple(k for k, _ in biased))
        return (*stacks.values(), *(WeightStack(vector.name, (vector,), ()) for vector in self.vectors))

    @cached_property
    def stack_of(self) -> dict[sympy.Expr, WeightStack]:
        """The stack of matrices that each vector is multiplied by."""
        return {stack.reads: stack for stack in self.stacks if stack.reads is not None}

    @property
    def weights(self) -> tuple[Weight, ...]:
        """Every weight, in the order in which they are stored."""
        return tuple(weight for stack in self.stacks for weight in stack.weights)

    def parameters(self, M: int, N: int) -> int:
        """How many numbers the weights of one layer hold."""
        return sum(math.prod(weight.sized(M, N)) for weight in self.weights)

    def operations(self, M: int, N: int) -> tuple[int, int]:
        """What one step of one sequence takes: operations in matrix products, and point-wise ones.

        A multiplication, an addition and a function count as one each.
        """
        matrices = [matrix for each in self.maps for matrix in each.matrices]
        sums = sum(len(each.arguments) - 1 + (each.bias is not None) for each in self.maps)
        pointwise = sum(int(sympy.count_ops(equation.expression)) for equation in self.equations)
        return 2 * sum(math.prod(matrix.sized(M, N)) for matrix in matrices), N * (sums + pointwise)
