"""The network of a trial: recurrent layers and an output layer, with their initial weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ablate.cell.initial import LongestMemory
from ablate.cell.layer import BoundLayer, Layer
from ablate.cell.reference import State
from ablate.definitions.variant import Variant
from ablate.plan.random_streams import RandomStreams
from ablate.plan.training_config import NATIVE, TrainingConfig
from ablate.training.parameters import Parameters


class Network:
    """Recurrent layers of N units under an output layer of K units.

    A bidirectional layer is two, of which one reads each sequence from its end; what is above sees both (Graves and
    Schmidhuber 2005). Gradients are taken pass by pass and written where the optimiser reads them: the framework's
    graph would cost more than the arithmetic of layers this small.

    Args:
        variant: the recurrent cell.
        layer: the backend that runs it.
        M, N, K: the sizes of input, recurrent layer and output.
        layers: recurrent layers, one above the other.
    """

    def __init__(
        self, variant: Variant, layer: Layer, M: int, N: int, K: int, layers: int = 1, bidirectional: bool = False
    ) -> None:
        self.variant, self.bidirectional = variant, bidirectional
        self.M, self.N, self.K = M, N, K
        directions = ["", "backward."] if bidirectional else [""]
        sizes = [M] + [N * len(directions)] * (layers - 1)
        # Of the cells of each layer: what goes before the names of their weights, and the size of their input.
        self._prefixes = [
            [((f"{depth + 1}." if depth else "") + direction, size) for direction in directions]
            for depth, size in enumerate(sizes)
        ]
        shapes = {
            prefix + stack.key: stack.sized(size, N)
            for cells in self._prefixes
            for prefix, size in cells
            for stack in variant.trace.stacks_for(size, N)
        }
        # The memory of a forward pass, roughly, in numbers a frame: values of four maps, their gates and states.
        self.numbers_per_frame = 8 * N * len(directions) * layers
        output = {"W_output": (K, N * len(directions)), "b_output": (K,)}
        self.parameters = Parameters([*shapes.items(), *output.items()])
        self._layers = [[self._bind_layer(layer, prefix, size) for prefix, size in cells] for cells in self._prefixes]
        # Layer by layer, for each direction: what goes before the names of its weights, the size of its input, itself.
        self.cells = [
            [(*cell, bound) for cell, bound in zip(cells, layers, strict=True)]
            for cells, layers in zip(self._prefixes, self._layers, strict=True)
        ]

    def _bind_layer(self, layer: Layer, prefix: str, size: int) -> BoundLayer:
        layer = self.variant.trace.layer_for(layer, size, self.N)
        keys = [stack.key for stack in self.variant.trace.stacks_for(size, self.N)]
        weights, gradients = self.parameters.weights, self.parameters.gradients
        return layer.bind({key: weights[prefix + key] for key in keys}, {key: gradients[prefix + key] for key in keys})

    def initialise(self, streams: RandomStreams, training: TrainingConfig, longest: int) -> None:
        """Draw every weight from N(0, init_std), each by its name, so that variants share what they share.

        Where a variant says how a weight starts, that holds; `longest` is the longest training sequence, in frames.
        """
        native = training.initialisation == NATIVE
        made = {
            prefix + name: values
            for cells in self._prefixes
            for prefix, size in cells
            for name, values in self.variant.trace.own_weights(
                size, self.N, streams.generator("weight", prefix)
            ).items()
        }
        for name, weight in self.named_weights().items():
            generator = streams.generator("weight", name)
            values = generator.standard_normal(tuple(weight.shape)) * training.init_std
            in_equations = name.rpartition(".")[2]
            if name in made:
                values = made[name]
            elif (start := self.variant.start_of(in_equations, native)) is not None:
                values = start(values, generator, longest)
            elif in_equations == "b_f":
                values += training.forget_bias
            weight.copy_(torch.from_numpy(values))

    def bounds(self, training: TrainingConfig, longest: int) -> list[tuple[int, int, float]]:
        """The runs of the parameters that their cell's paper bounds, as `make_optimiser` takes them."""
        found = []
        for name, weight in self.named_weights().items() if training.initialisation == NATIVE else ():
            start = self.variant.start_of(name.rpartition(".")[2], native=True)
            if isinstance(start, LongestMemory):
                first = int(weight.storage_offset())
                assert weight.is_contiguous()
                found.append((first, first + weight.numel(), start.bound(longest)))
        return found

    def named_weights(self) -> dict[str, Tensor]:
        """Every weight by its name in the equations, a view in the shape that it has there.

        A prefix says where it is, if that is not the first layer forwards: `2.W_z`, `backward.W_z`.
        """
        weights = self.parameters.weights
        named = {
            prefix + weight.name: stack.weight(weights[prefix + stack.key], k)
            for cells in self._prefixes
            for prefix, size in cells
            for stack in self.variant.trace.stacks_for(size, self.N)
            for k, weight in enumerate(stack.weights)
        }
        return named | {name: weights[name] for name in ("W_output", "b_output")}

    def forward(
        self,
        x: Tensor,
        lengths: npt.NDArray[np.int64],
        training: bool = True,
        state: Sequence[State] | None = None,
    ) -> Tensor:
        """The output layer's pre-activations, (T, B, K).

        Args:
            x: (T, B, M), the input.
            lengths: (B,), the frames of each sequence.
            training: whether `backward` will follow.
            state: the state of each layer before the first frame, as `last_state` gives it; zeros if left out.
        """
        weights = self.parameters.weights
        if self.bidirectional:
            self._reverse = _Reversal(lengths, len(x))
        self._last = []
        for depth, (forwards, *backwards) in enumerate(self._layers):
            y, last = forwards.forward(x, state[depth] if state else None, training)
            self._last.append(last)
            for cells in backwards:
                y = torch.cat((y, self._reverse(cells.forward(self._reverse(x), None, training)[0])), 2)
            x = y
        self._y = x
        T, B, width = x.shape
        return torch.addmm(weights["b_output"], x.reshape(-1, width), weights["W_output"].T).view(T, B, -1)

    def last_state(self) -> list[State]:
        """The state of each layer after the last forward pass, to go on from; of layers that read forwards."""
        return [tuple(each.clone() for each in state) for state in self._last]

    def backward(self, d_outputs: Tensor) -> None:
        """Write the gradients of every weight, given those of the last outputs."""
        weights, gradients = self.parameters.weights, self.parameters.gradients
        d, y = d_outputs.flatten(0, 1), self._y.flatten(0, 1)
        torch.mm(d.T, y, out=gradients["W_output"])
        torch.sum(d, 0, out=gradients["b_output"])
        d_y = torch.mm(d, weights["W_output"]).view(self._y.shape)
        for depth in reversed(range(len(self._layers))):
            forwards, *backwards = self._layers[depth]
            parts = d_y.split(self.N, 2)
            d_x, _ = forwards.backward(parts[0].contiguous(), want_d_x=depth > 0)
            for cells, part in zip(backwards, parts[1:], strict=True):
                d_back, _ = cells.backward(self._reverse(part).contiguous(), want_d_x=depth > 0)
                if d_x is not None and d_back is not None:
                    d_x = d_x + self._reverse(d_back)
            if d_x is not None:
                d_y = d_x


class _Reversal:
    """Reverses the sequences of a batch in time, (T, B, ...), each within its length; padding stays behind them."""

    def __init__(self, lengths: npt.NDArray[np.int64], T: int) -> None:
        self._index: tuple[Tensor, Tensor] | None = None
        if (lengths != T).any():
            steps = np.arange(T)[:, None]
            from_end = lengths - 1 - steps
            index = np.where(from_end >= 0, from_end, steps)
            self._index = torch.from_numpy(index), torch.arange(len(lengths))

    def __call__(self, x: Tensor) -> Tensor:
        return x.flip(0) if self._index is None else x[self._index]
