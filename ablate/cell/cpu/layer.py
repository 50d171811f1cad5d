"""The compiled layer: a kernel's time loop between matrix products over all steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sympy
import torch
from torch import Tensor

from ablate.cell.cpu.kernel import Kernel
from ablate.cell.lower import Program
from ablate.cell.reference import State
from ablate.cell.trace import BIAS_KEY, INPUT_KEY


class CompiledLayer:
    """One layer of a variant over whole sequences, as `ReferenceLayer`, on the CPU in single or double precision."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def __call__(self, x: Tensor, weights: Mapping[str, Tensor], state: State | None = None) -> tuple[Tensor, State]:
        """As `ReferenceLayer.__call__`."""
        stacks = {stack.key: weights[stack.key] for stack in self.kernel.program.trace.stacks}
        if state is None:
            N = next(iter(stacks.values())).shape[-1]
            state = (x.new_zeros(x.shape[1], N),) * len(self.kernel.program.trace.states)
        y, *last = _Differentiable.apply(self, list(stacks), x, *state, *stacks.values())  # type: ignore[misc]
        return y, tuple(last)

    def bind(self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> CompiledBoundLayer:
        """As `ReferenceLayer.bind`."""
        return CompiledBoundLayer(self.kernel, weights, gradients)


class CompiledBoundLayer:
    """One layer over its weights, as `ReferenceBoundLayer`. The next pass overwrites the arrays that a pass returns."""

    def __init__(self, kernel: Kernel, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        self.kernel = kernel
        trace = kernel.program.trace
        weights = {key: weight.detach() for key, weight in weights.items()}
        self.like = next(iter(weights.values()))
        self.units, self.maps = self.like.shape[-1], len(trace.maps)
        if any(weight.dtype != self.like.dtype for weight in weights.values()):
            raise TypeError("the weights of a layer must be of one dtype")
        self._arrays = [_as_argument(weights[key].contiguous().numpy()) for key in kernel.weights]
        self.weights_argument = kernel.weights_argument(self._arrays)
        self._vector_gradients = [gradients[vector.name][0] for vector in trace.vectors]
        # Pieces of stacks whose maps lie side by side among all maps' values: their columns there, and the piece.
        self.inputs: list[tuple[slice, Tensor]] = []
        self.biases: list[tuple[slice, Tensor]] = []
        self.gradients: list[tuple[str, slice, Tensor]] = []
        for stack in trace.stacks:
            for columns, places in runs(stack.maps, self.units):
                self.gradients.append((stack.key, columns, gradients[stack.key].flatten(-2)[..., places]))
                piece = weights[stack.key].flatten(-2)[..., places]
                if stack.key == INPUT_KEY:
                    self.inputs.append((columns, piece))
                elif stack.key == BIAS_KEY:
                    self.biases.append((columns, piece))
        self.every_map_is_biased = BIAS_KEY in weights and len(weights[BIAS_KEY]) == self.maps
        self._workspaces: dict[tuple[int, int], _Workspace] = {}
        self._capacity = 0
        self._buffers: dict[str, Tensor] = {}

    def forward(self, x: Tensor, state: State | None = None, training: bool = True) -> tuple[Tensor, State]:
        """As `ReferenceBoundLayer.forward`."""
        workspace = self._workspace(x.shape[0], x.shape[1])
        flat = x.flatten(0, 1)
        self._last_pass = workspace, flat
        if not self.every_map_is_biased:
            workspace.values.zero_()
        for values, bias in workspace.biases:
            values.copy_(bias)
        for values, matrix in workspace.inputs:
            values.addmm_(flat, matrix)
        if state is None:
            workspace.first.zero_()
        else:
            torch.stack(state, out=workspace.first)
        self.kernel.forward(*workspace.forward, self.weights_argument)
        return workspace.y, workspace.last

    def backward(self, d_y: Tensor, d_last: State | None = None, want_d_x: bool = False) -> tuple[Tensor | None, State]:
        """As `ReferenceBoundLayer.backward`."""
        workspace, x = self._last_pass
        if d_last is None:
            workspace.d_state.zero_()
        else:
            torch.stack(d_last, out=workspace.d_state)
        workspace.d_vectors.zero_()
        d_first = self.kernel.backward(*workspace.backward, d_y.numpy(), *workspace.forward, self.weights_argument)
        for gradient, found in zip(self._vector_gradients, workspace.d_vectors, strict=True):
            gradient.copy_(found)
        for d_values, gradient in workspace.bias_gradients:
            torch.mv(d_values, workspace.ones, out=gradient)
        for read, d_values, gradient in workspace.matrix_gradients:
            torch.mm(x.T if read is None else read, d_values, out=gradient)
        return (self._d_x(workspace, x) if want_d_x else None), tuple(torch.from_numpy(d_first))

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As `ReferenceBoundLayer.step`; the arrays that it returns are not overwritten."""
        y, last = self.forward(x[None], state, training=False)
        return y[0].clone(), tuple(each.clone() for each in last)

    def _d_x(self, workspace: _Workspace, x: Tensor) -> Tensor:
        d_x = torch.zeros_like(x)
        for columns, matrix in self.inputs:
            d_x.addmm_(workspace.d_values[:, columns], matrix.T)
        return d_x.view(*workspace.y.shape[:2], -1)

    def _workspace(self, T: int, B: int) -> _Workspace:
        """The arrays for T steps of B sequences, cut from buffers that last."""
        if (T, B) not in self._workspaces:
            steps = (T + 1) * B
            if steps > self._capacity:
                self._capacity = steps
                self._workspaces.clear()
                self._buffers.clear()
            self._workspaces[T, B] = _Workspace(self, T, B)
        return self._workspaces[T, B]

    def buffer(self, name: str, rows: int, *shape: int) -> Tensor:
        """An array over the steps of a workspace, cut from the buffer of this name; `rows` is its numbers a step."""
        if name not in self._buffers:
            self._buffers[name] = self.like.new_empty(rows * self._capacity)
        size = int(np.prod(shape))
        return self._buffers[name][:size].view(shape)


class _Workspace:
    """The arrays of passes over T steps of B sequences; see `codegen.py` for what they hold."""

    def __init__(self, layer: CompiledBoundLayer, T: int, B: int) -> None:
        program = layer.kernel.program
        N, width = layer.units, layer.maps * layer.units
        S, lines = len(program.trace.states), len(program.saved_for_backward)
        values = layer.buffer("values", width, T, B, width)
        d_values = layer.buffer("d_values", width, T, B, width)
        states = layer.buffer("states", S * N, S, T + 1, B, N)
        saved = layer.buffer("saved_for_backward", lines * N, lines, T, B, N)
        self.d_state = layer.buffer("d_state", S * N, S, B, N)
        self.d_vectors = layer.buffer("d_vectors", len(program.trace.vectors) * N, len(program.trace.vectors), N)
        self.values, self.d_values = values.flatten(0, 1), d_values.flatten(0, 1)
        self.ones = layer.like.new_ones(T * B)
        self.first = states[:, 0]
        self.y = states[0, 1:]
        self.last = tuple(states[:, -1])
        read: dict[str, Tensor | None] = {
            product.stack: _read(program, product.vector, states, saved).flatten(0, 1).T
            for stage in program.stages
            for product in stage.products
        }
        read[INPUT_KEY] = None  # comes with each pass
        # What the products over all steps are called with; a view costs as much time as a small product.
        self.inputs = [(self.values[:, columns], matrix) for columns, matrix in layer.inputs]
        self.biases = [(self.values[:, columns], bias) for columns, bias in layer.biases]
        gradients = [(key, self.d_values[:, columns], gradient) for key, columns, gradient in layer.gradients]
        self.bias_gradients = [(d_values.T, gradient) for key, d_values, gradient in gradients if key == BIAS_KEY]
        self.matrix_gradients = [
            (read[key], d_values, gradient) for key, d_values, gradient in gradients if key in read
        ]
        self.forward = [each.numpy() for each in (values, states, saved)]
        self.backward = [each.numpy() for each in (d_values, self.d_vectors, self.d_state)]


def runs(maps: tuple[int, ...], N: int) -> Iterator[tuple[slice, slice]]:
    """The columns of a stack's maps among all maps' values, and their columns in the stack, run by run."""
    first = 0
    for place in range(1, len(maps) + 1):
        if place == len(maps) or maps[place] != maps[place - 1] + 1:
            yield slice(maps[first] * N, (maps[place - 1] + 1) * N), slice(first * N, place * N)
            first = place


def _read(program: Program, vector: sympy.Symbol, states: Tensor, saved: Tensor) -> Tensor:
    """A vector that a product inside the loop reads, at every step: (T, B, N)."""
    if vector in program.trace.states:
        return states[program.trace.states.index(vector), :-1]
    if vector in program.trace.outputs:
        return states[program.trace.outputs.index(vector), 1:]
    return saved[program.saved_for_backward.index(vector)]


def _as_argument(stack: np.ndarray) -> np.ndarray:
    """A stack as an argument of a kernel: matrices as (D, k N), a vector as (N,)."""
    return stack.reshape(stack.shape[0], -1) if stack.ndim == 3 else stack[0]


class _Differentiable(torch.autograd.Function):
    """The passes as one operation of PyTorch; each call has arrays of its own, and gives none of them away."""

    @staticmethod
    def forward(ctx: Any, layer: CompiledLayer, keys: list[str], x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        states = len(layer.kernel.program.trace.states)
        weights = dict(zip(keys, rest[states:], strict=True))
        ctx.gradients = {key: torch.zeros_like(weight) for key, weight in weights.items()}
        ctx.bound = layer.bind(weights, ctx.gradients)
        ctx.save_for_backward(x, *weights.values())  # so that a change in place before `backward` is noticed
        y, last = ctx.bound.forward(x, rest[:states])
        return y.clone(), *(state.clone() for state in last)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, d_y: Tensor, *d_last: Tensor
    ) -> tuple[Any, ...]:
        if torch.is_grad_enabled():  # create_graph=True, which would take these gradients for constants
            raise RuntimeError("kernels have no derivatives of derivatives: use backend='reference'")
        _ = ctx.saved_tensors  # raises if one has been changed
        d_x, d_first = ctx.bound.backward(d_y.contiguous(), d_last, ctx.needs_input_grad[2])
        found = (*d_first, *ctx.gradients.values())  # which the next pass through the same graph overwrites
        return None, None, d_x, *(each.clone() for each in found)
