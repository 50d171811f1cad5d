"""The network of a trial: one recurrent layer and an output layer, with their initial weights."""

from __future__ import annotations

import torch
from torch import Tensor

from ablate.cell.engine import Layer
from ablate.plan.config import Training
from ablate.plan.coordinates import Draws
from ablate.train.parameters import Parameters
from variants import Variant


class Network:
    """A recurrent layer of N units under an output layer of K units.

    Its gradients are taken pass by pass and written where the optimiser reads them: the framework's graph would cost
    more than the arithmetic of layers this small.

    Args:
        variant: the recurrent cell.
        layer: the engine that runs it.
        M, N, K: the sizes of input, recurrent layer and output.
    """

    def __init__(self, variant: Variant, layer: Layer, M: int, N: int, K: int) -> None:
        self.variant = variant
        stacks = variant.trace.stacks
        self.parameters = Parameters(
            [*((stack.key, stack.sized(M, N)) for stack in stacks), ("W_output", (K, N)), ("b_output", (K,))]
        )
        weights, gradients = self.parameters.weights, self.parameters.gradients
        keys = [stack.key for stack in stacks]
        self._recurrent = layer.bind({key: weights[key] for key in keys}, {key: gradients[key] for key in keys})

    def initialise(self, draws: Draws, training: Training, longest: int) -> None:
        """Draw every weight from N(0, weight_spread), each by its name, so that variants share what they share.

        Where a variant says how a weight starts, that holds; `longest` is the longest training sequence, in frames.
        """
        for name, weight in self.named_weights().items():
            generator = draws.generator("weight", name)
            values = generator.standard_normal(tuple(weight.shape)) * training.weight_spread
            if name in self.variant.initial:
                values = self.variant.initial[name](values, generator, longest)
            elif name == "b_f":
                values += training.forget_bias
            weight.copy_(torch.from_numpy(values))

    def named_weights(self) -> dict[str, Tensor]:
        """Every weight by its name in the equations, a view in the shape that it has there."""
        weights = self.parameters.weights
        named = {
            weight.name: stack.weight(weights[stack.key], k)
            for stack in self.variant.trace.stacks
            for k, weight in enumerate(stack.weights)
        }
        return named | {name: weights[name] for name in ("W_output", "b_output")}

    def forward(self, x: Tensor, training: bool = True) -> Tensor:
        """The output layer's pre-activations, (T, B, K), for an input (T, B, M)."""
        weights = self.parameters.weights
        self._y, _ = self._recurrent.forward(x, training=training)
        T, B, N = self._y.shape
        return torch.addmm(weights["b_output"], self._y.reshape(-1, N), weights["W_output"].T).view(T, B, -1)

    def backward(self, d_outputs: Tensor) -> None:
        """Write the gradients of every weight, given those of the last outputs."""
        weights, gradients = self.parameters.weights, self.parameters.gradients
        d, y = d_outputs.flatten(0, 1), self._y.flatten(0, 1)
        torch.mm(d.T, y, out=gradients["W_output"])
        torch.sum(d, 0, out=gradients["b_output"])
        self._recurrent.backward(torch.mm(d, weights["W_output"]).view(self._y.shape))
