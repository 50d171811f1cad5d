"""The reference engine: a variant's equations run on tensors, on any device and in any dtype.

It is the definition against which every other engine is checked, and the engine that can run every variant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy
import torch
from torch import Tensor

from ablate.cell.trace import INPUT_KEY, Trace

State = tuple[Tensor, ...]


class ReferenceLayer:
    """One layer of a variant over whole sequences.

    Maps that read the same vectors share one product, and the products with the input leave the time loop; beyond
    that the equations are run as they are written, a step at a time.
    """

    def __init__(self, equations: Callable[..., Any], trace: Trace) -> None:
        self.equations = equations
        self.trace = trace
        self._segments = _segments(trace)

    def __call__(self, x: Tensor, weights: Mapping[str, Tensor], state: State | None = None) -> tuple[Tensor, State]:
        """Run the layer.

        Args:
            x: (T, B, M), the input.
            weights: the arrays of `Trace.stacks` by their keys.
            state: the state before the first step, each (B, N); zeros if left out.

        Returns:
            (T, B, N), the cell's first state at every step, and the state after the last step.
        """
        units = next(iter(weights.values())).shape[-1]
        state = state or tuple(x.new_zeros(x.shape[1], units) for _ in self.trace.states)
        products = [_Products(segment, x, weights) for segment in self._segments]
        step = _Step(products, {vector.name: weights[vector.name][0] for vector in self.trace.vectors})
        outputs = []
        for _ in range(x.shape[0]):
            new = self.equations(_INPUT_TAKEN, *state, step)
            state = new if isinstance(new, tuple) else (new,)
            outputs.append(state[0])
            step.advance()
        return torch.stack(outputs), state

    def bind(self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> ReferencePasses:
        """The passes of this layer over some weights; gradients are written into `gradients`, under the same keys."""
        return ReferencePasses(self, weights, gradients)


class ReferencePasses:
    """Forward and backward through one layer, in turn, as a training loop needs them."""

    def __init__(self, layer: ReferenceLayer, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        self.layer = layer
        self.weights = {key: weight.detach().requires_grad_() for key, weight in weights.items()}
        self.gradients = gradients

    def forward(self, x: Tensor, state: State | None = None, training: bool = True) -> tuple[Tensor, State]:
        """As `ReferenceLayer.__call__`; without `training` no way back is kept."""
        units = next(iter(self.weights.values())).shape[-1]
        state = state or tuple(x.new_zeros(x.shape[1], units) for _ in self.layer.trace.states)
        with torch.set_grad_enabled(training):
            read = [each.detach().requires_grad_() for each in (x, *state)]
            y, last = self.layer(read[0], self.weights, tuple(read[1:]))
        self._last = read, y, last
        return y.detach(), tuple(each.detach() for each in last)

    def backward(self, d_y: Tensor, d_last: State | None = None, want_d_x: bool = False) -> tuple[Tensor | None, State]:
        """Write the gradients of the weights; return those of x, if asked for, and of the first state.

        Args:
            d_y: (T, B, N), the derivatives of the loss by the last forward pass's outputs.
            d_last: those by its last state, each (B, N); zeros if left out.
            want_d_x: whether the gradient of x is wanted.
        """
        (x, *first), y, last = self._last
        through = [y] if d_last is None else [y, *last]
        arriving = [d_y, *(d_last or ())]
        into = [*self.weights.values(), *first, *([x] if want_d_x else [])]
        found = torch.autograd.grad(through, into, arriving, materialize_grads=True)
        for key, gradient in zip(self.weights, found, strict=False):
            self.gradients[key].copy_(gradient)
        states = found[len(self.weights) : len(self.weights) + len(first)]
        return (found[-1] if want_d_x else None), states


# Stands for x in the equations: by then its products have been taken, for all steps at once.
_INPUT_TAKEN = object()


@dataclass(frozen=True)
class _Segment:
    """Maps that read the same vectors, so that each of these is multiplied once for all of them."""

    names: list[str]
    matrices: list[tuple[str, list[int]]]  # for each vector that is read: its stack, and the maps' places in it
    biases: list[int]  # places in the stack of biases; none for maps without


def _segments(trace: Trace) -> list[_Segment]:
    together: dict[tuple[tuple[sympy.Expr, ...], bool], list[int]] = {}
    for place, each in enumerate(trace.maps):
        together.setdefault((each.arguments, each.bias is not None), []).append(place)
    stacks = {stack.key: stack.maps for stack in trace.stacks}

    def places(key: str, maps: list[int]) -> list[int]:
        return [stacks[key].index(place) for place in maps]

    return [
        _Segment(
            names=[trace.maps[place].name for place in maps],
            matrices=[(str(argument), places(str(argument), maps)) for argument in arguments],
            biases=places("bias", maps) if biased else [],
        )
        for (arguments, biased), maps in together.items()
    ]


class _Products:
    """One segment's matrix products for one batch of sequences."""

    def __init__(self, segment: _Segment, x: Tensor, weights: Mapping[str, Tensor]) -> None:
        self.names = segment.names
        self.values: tuple[Tensor, ...] | None = None  # of this step, once they have been asked for
        bias = _chosen(weights["bias"], segment.biases).flatten() if segment.biases else None  # (kN,)
        matrices = {key: _chosen(weights[key], places).flatten(1) for key, places in segment.matrices}  # (., kN)
        self._t = 0
        if INPUT_KEY in matrices:
            # A product for each step, (B, kN), taken in one.
            product = x @ matrices.pop(INPUT_KEY)
            self._addends = (product if bias is None else product + bias).unbind(0)
        else:
            self._addends = (bias,) * x.shape[0]
        self._recurrent = list(matrices.values())

    def take(self, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
        """The values of the segment's maps at this step, each (B, N)."""
        total = self._addends[self._t]
        vectors = [argument for argument in arguments if argument is not _INPUT_TAKEN]
        for vector, matrix in zip(vectors, self._recurrent, strict=True):
            total = vector @ matrix if total is None else torch.addmm(total, vector, matrix)
        assert total is not None  # a map reads at least one vector
        values = self.values = total.chunk(len(self.names), dim=1)
        return values

    def advance(self) -> None:
        self._t += 1
        self.values = None


def _chosen(stack: Tensor, places: list[int]) -> Tensor:
    """Some of a stack's weights, without a copy where they lie side by side."""
    first, last = places[0], places[-1]
    if places == list(range(first, last + 1)):
        return stack[..., first : last + 1, :]
    return stack[..., places, :]


class _Step:
    """The argument `w` of the equations: hands out the maps' values at this step, and the vector weights."""

    def __init__(self, products: list[_Products], vectors: dict[str, Tensor]) -> None:
        self._products = products
        # As attributes of this object they are found as fast as Python finds anything.
        self.__dict__.update(vectors)
        for each in products:
            self.__dict__.update({name: _reader(each, k) for k, name in enumerate(each.names)})

    def advance(self) -> None:
        for each in self._products:
            each.advance()


def _reader(products: _Products, k: int) -> Callable[..., Tensor]:
    def read(*arguments: Any, bias: bool = True) -> Tensor:
        return (products.values or products.take(arguments))[k]

    return read
