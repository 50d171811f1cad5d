"""The compiled layer: a kernel's time loop between products over all steps, differentiable in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
import torch
from torch import Tensor

from ablate.cell.kernel import Kernel, run_backward, run_forward
from ablate.cell.lower import Program
from ablate.cell.reference import State
from ablate.cell.trace import INPUT_KEY


class CompiledLayer:
    """One layer of a variant over whole sequences, as `ReferenceLayer`, on the CPU in single or double precision."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        trace = kernel.program.trace
        self.states = len(trace.states)
        self.maps = len(trace.maps)
        self.keys = [stack.key for stack in trace.stacks]
        # For each stack the maps whose weights it holds, in its order; none for a vector weight.
        self.readers = {stack.key: stack.maps for stack in trace.stacks}
        self.vectors = {vector.name: place for place, vector in enumerate(trace.vectors)}
        self._places = {
            product.stack: _place(kernel.program, product.vector)
            for stage in kernel.program.stages
            for product in stage.products
        }

    def __call__(self, x: Tensor, weights: Mapping[str, Tensor], state: State | None = None) -> tuple[Tensor, State]:
        """As `ReferenceLayer.__call__`."""
        stacks = [weights[key] for key in self.keys]
        if state is None:
            state = (x.new_zeros(x.shape[1], stacks[0].shape[-1]),) * self.states
        y, *last = _TimeLoop.apply(self, x, *state, *stacks)  # type: ignore[misc]
        return y, tuple(last)

    def before_the_loop(self, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """What is known of each map's value before the time loop, its bias and its product with x: (T B, K N)."""
        N = next(iter(weights.values())).shape[-1]
        inputs, biases = self.readers.get(INPUT_KEY, ()), self.readers.get("bias", ())
        everything = tuple(range(self.maps))
        if inputs == biases == everything:
            return torch.addmm(weights["bias"].flatten(), x, weights[INPUT_KEY].flatten(1))
        values = x.new_zeros(x.shape[0], self.maps, N)
        if biases:
            values[:, list(biases)] = weights["bias"]
        if inputs:
            values[:, list(inputs)] += (x @ weights[INPUT_KEY].flatten(1)).view(x.shape[0], len(inputs), N)
        return values.flatten(1)

    def what_was_read(self, key: str, x: Tensor, states: np.ndarray, kept: np.ndarray) -> Tensor:
        """The vector that a stack of matrices multiplies, at every step: (T B, D)."""
        if key == INPUT_KEY:
            return x
        array, place = self._places[key]
        if array == "kept":
            return torch.from_numpy(kept[:, place]).flatten(0, 1)
        steps = slice(0, -1) if array == "before" else slice(1, None)
        return torch.from_numpy(states[place, steps]).flatten(0, 1)

    def derivatives_of(self, key: str, d_values: Tensor) -> Tensor:
        """The derivatives by the values of a stack's maps, (T B, k N); a view where the maps lie side by side."""
        maps = self.readers[key]
        N = d_values.shape[1] // self.maps
        if maps == tuple(range(maps[0], maps[-1] + 1)):
            return d_values[:, maps[0] * N : (maps[-1] + 1) * N]
        return d_values.view(d_values.shape[0], self.maps, N)[:, list(maps)].flatten(1)


def _place(program: Program, vector: sympy.Symbol) -> tuple[str, int]:
    """Where a vector is kept: among the states before or after a step, or among the lines, and its place there."""
    if vector in program.trace.states:
        return "before", program.trace.states.index(vector)
    if vector in program.trace.outputs:
        return "after", program.trace.outputs.index(vector)
    return "kept", program.kept.index(vector)


class _TimeLoop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: CompiledLayer, x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        first, weights = rest[: layer.states], dict(zip(layer.keys, rest[layer.states :], strict=True))
        T, B, _ = x.shape
        values = layer.before_the_loop(x.flatten(0, 1), weights).view(T, B, -1).numpy()
        arrays = {key: weight.numpy() for key, weight in weights.items()}
        states, kept = run_forward(layer.kernel, values, [state.numpy() for state in first], arrays)
        ctx.layer, ctx.loop = layer, (values, states, kept, arrays)
        ctx.save_for_backward(x)
        history = torch.from_numpy(states)
        return history[0, 1:], *history[:, -1].clone()

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, d_y: Tensor, *d_last: Tensor
    ) -> tuple[Any, ...]:
        layer: CompiledLayer = ctx.layer
        values, states, kept, arrays = ctx.loop
        x = ctx.saved_tensors[0].flatten(0, 1)
        d_values, d_vectors, d_first = run_backward(
            layer.kernel, d_y.contiguous().numpy(), torch.stack(d_last).numpy(), values, states, kept, arrays
        )
        flat = torch.from_numpy(d_values).flatten(0, 1)  # (T B, K N)
        gradients = []
        for key in layer.keys:
            shape = arrays[key].shape
            if key in layer.vectors:
                gradients.append(torch.from_numpy(d_vectors[layer.vectors[key]]).view(shape))
            elif key == "bias":
                gradients.append(layer.derivatives_of(key, flat).sum(0).view(shape))
            else:
                read = layer.what_was_read(key, x, states, kept)
                gradients.append((read.T @ layer.derivatives_of(key, flat)).view(shape))
        d_x = None
        if ctx.needs_input_grad[1]:
            matrix = torch.from_numpy(arrays[INPUT_KEY]).flatten(1)
            d_x = (layer.derivatives_of(INPUT_KEY, flat) @ matrix.T).view_as(ctx.saved_tensors[0])
        return None, d_x, *torch.from_numpy(d_first), *gradients
