"""The network of a trial: one recurrent layer and an output layer, with their initial weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from ablate.cell.engine import Layer
from ablate.cell.trace import Trace
from ablate.plan.config import Training
from ablate.plan.coordinates import Draws
from ablate.train.parameters import Parameters


class Network:
    """A recurrent layer of N units under an output layer of K units.

    Args:
        trace: the variant's trace.
        layer: the engine that runs it.
        M, N, K: the sizes of input, recurrent layer and output.
    """

    def __init__(self, trace: Trace, layer: Layer, M: int, N: int, K: int) -> None:
        self.trace = trace
        self.layer = layer
        self.parameters = Parameters(
            [*((stack.key, stack.sized(M, N)) for stack in trace.stacks), ("W_output", (K, N)), ("b_output", (K,))]
        )

    def initialise(self, draws: Draws, training: Training) -> None:
        """Draw every weight from N(0, weight_spread), each by its name, so that variants share what they share."""
        with torch.no_grad():
            for name, weight in self.named_weights().items():
                values = draws.generator("weight", name).standard_normal(tuple(weight.shape)) * training.weight_spread
                weight.copy_(torch.from_numpy(values + (training.forget_bias if name == "b_f" else 0.0)))

    def named_weights(self) -> dict[str, Tensor]:
        """Every weight by its name in the equations, a view in the shape that it has there."""
        leaves = self.parameters.leaves
        named = {
            weight.name: stack.weight(leaves[stack.key], k)
            for stack in self.trace.stacks
            for k, weight in enumerate(stack.weights)
        }
        return named | {name: leaves[name] for name in ("W_output", "b_output")}

    def __call__(self, x: Tensor) -> Tensor:
        """The output layer's pre-activations, (T, B, K), for an input (T, B, M)."""
        leaves = self.parameters.leaves
        y, _ = self.layer(x, leaves)
        return linear(y, leaves["W_output"], leaves["b_output"])
