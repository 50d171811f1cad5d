"""The reference backend: a variant's equations run on tensors, on any device and in any dtype.

It is the definition against which every other backend is checked, and the one that can run every variant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import sympy
import torch
from torch import Tensor

from ablate.cell.trace import BIAS_KEY, INPUT_KEY, Trace

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
        state = state or self.zero_state(x, units)
        products = [_Products(segment, x, weights) for segment in self._segments]
        vectors = {vector.name: weights[vector.name][0] for vector in self.trace.vectors}
        step_weights = _StepWeights(products, vectors, self._dead(x, units))
        outputs = []
        for _ in range(x.shape[0]):
            new = self.equations(_INPUT, *state, step_weights)
            # What reads nothing but vector weights is the same for all sequences: (N,).
            new = new if isinstance(new, tuple) else (new,)
            state = tuple(each if each.ndim == 2 else each.expand_as(state[0]) for each in new)
            outputs.append(state[0])
            for each in products:
                each.advance()
        return torch.stack(outputs), state

    def zero_state(self, x: Tensor, units: int) -> State:
        """The state before the first step of an input (T, B, M)."""
        return tuple(x.new_zeros(x.shape[1], units) for _ in self.trace.states)

    def _dead(self, x: Tensor, units: int) -> dict[str, Any]:
        """Something in place of weights that do not exist, since no new state depends on them."""
        some = x.new_full((x.shape[1], units), 0.5)
        maps = {name: lambda *arguments, bias=True: some for name in self.trace.dead_maps}
        return maps | dict.fromkeys(self.trace.dead_vectors, some)

    def bind(self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> ReferenceBoundLayer:
        """This layer over some weights; gradients are written into `gradients`, under the same keys."""
        return ReferenceBoundLayer(self, weights, gradients)


class StepByStep(Protocol):
    """A layer that PyTorch differentiates."""

    def __call__(
        self, x: Tensor, weights: Mapping[str, Tensor], state: State | None = None
    ) -> tuple[Tensor, State]: ...

    def zero_state(self, x: Tensor, units: int) -> State | None: ...


class ReferenceBoundLayer:
    """One layer over its weights: forward and backward in turn, as a training loop needs them."""

    def __init__(self, layer: StepByStep, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        self.layer = layer
        self.weights = {key: weight.detach().requires_grad_() for key, weight in weights.items()}
        self.gradients = gradients

    def forward(self, x: Tensor, state: State | None = None, training: bool = True) -> tuple[Tensor, State]:
        """As `ReferenceLayer.__call__`; without `training` nothing is kept for `backward`."""
        state = state or self.layer.zero_state(x, next(iter(self.weights.values())).shape[-1])
        with torch.set_grad_enabled(training):
            inputs = [each.detach().requires_grad_() for each in (x, *(state or ()))]
            y, last = self.layer(inputs[0], self.weights, tuple(inputs[1:]) or None)
        self._last_pass = inputs, y, last
        return y.detach(), tuple(each.detach() for each in last)

    def backward(self, d_y: Tensor, d_last: State | None = None, want_d_x: bool = False) -> tuple[Tensor | None, State]:
        """Write the gradients of the weights; return those of x, if asked for, and of the initial state.

        Args:
            d_y: (T, B, N), the derivatives of the loss by the last forward pass's outputs.
            d_last: those by its last state, each (B, N); zeros if left out.
            want_d_x: whether the gradient of x is wanted.

        Returns:
            (T, B, M) or None, and each (B, N).
        """
        (x, *initial), y, last = self._last_pass
        results = [y] if d_last is None else [y, *last]
        d_results = [d_y, *(d_last or ())]
        inputs = [*self.weights.values(), *initial, *([x] if want_d_x else [])]
        found = torch.autograd.grad(results, inputs, d_results, materialize_grads=True, allow_unused=True)
        for key, gradient in zip(self.weights, found, strict=False):
            self.gradients[key].copy_(gradient)
        states = found[len(self.weights) : len(self.weights) + len(initial)]
        return (found[-1] if want_d_x else None), states

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One step of B sequences, without gradients.

        Args:
            x: (B, M), the input.
            state: the state before the step, each (B, N); zeros if left out.

        Returns:
            (B, N), the output, and the state after the step, each (B, N).
        """
        y, last = self.forward(x[None], state, training=False)
        return y[0], last


# Stands for x in the equations: its products have been computed, for all steps at once.
_INPUT = object()


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

    def matrices(arguments: tuple[sympy.Expr, ...], maps: list[int]) -> list[tuple[str, list[int]]]:
        keys = [trace.stack_of[argument].key for argument in arguments]
        return [(key, places(key, maps)) for key in keys]

    return [
        _Segment(
            names=[trace.maps[place].name for place in maps],
            matrices=matrices(arguments, maps),
            biases=places(BIAS_KEY, maps) if biased else [],
        )
        for (arguments, biased), maps in together.items()
    ]


class _Products:
    """One segment's matrix products for one batch of sequences."""

    def __init__(self, segment: _Segment, x: Tensor, weights: Mapping[str, Tensor]) -> None:
        self.names = segment.names
        self.values: tuple[Tensor, ...] | None = None  # of this step, once they have been asked for
        bias = _chosen(weights[BIAS_KEY], segment.biases).flatten() if segment.biases else None  # (kN,)
        matrices = {key: _chosen(weights[key], places).flatten(1) for key, places in segment.matrices}  # (., kN)
        self._t, self._B = 0, x.shape[1]
        if INPUT_KEY in matrices:
            # A product for each step, (B, kN), taken in one.
            product = x @ matrices.pop(INPUT_KEY)
            self._addends = (product if bias is None else product + bias).unbind(0)
        else:
            self._addends = (bias,) * x.shape[0]
        self._recurrent = list(matrices.values())

    def evaluate(self, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
        """The values of the segment's maps at this step, each (B, N)."""
        total = self._addends[self._t]
        # A vector weight, and what reads nothing else, is the same for all sequences: (N,).
        vectors = [each if each.ndim == 2 else each.expand(self._B, -1) for each in arguments if each is not _INPUT]
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


class _StepWeights:
    """The argument `w` of the equations: hands out the maps' values at this step, and the vector weights.

    It has no attributes but these, which no name can hide; so they are found as fast as Python finds anything.
    """

    def __init__(self, products: list[_Products], vectors: Mapping[str, Tensor], dead: Mapping[str, Any]) -> None:
        self.__dict__.update(vectors)
        self.__dict__.update(dead)
        for each in products:
            self.__dict__.update({name: _reader(each, k) for k, name in enumerate(each.names)})


def _reader(products: _Products, k: int) -> Callable[..., Tensor]:
    def read(*arguments: Any, bias: bool = True) -> Tensor:
        return (products.values or products.evaluate(arguments))[k]

    return read


def is_ready(trace: Trace, name: str) -> bool:
    """True: nothing is compiled."""
    return True


def prepare(equations: Callable[..., Any], trace: Trace, name: str) -> str:
    """Nothing: every variant runs."""
    return ""


def make_layer(equations: Callable[..., Any], trace: Trace, name: str) -> ReferenceLayer:
    """The layer of a variant."""
    return ReferenceLayer(equations, trace)
