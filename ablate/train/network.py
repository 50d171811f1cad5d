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
        # The recurrent layer's weights, then the output layer's, each with its shape.
        self.names = [(weight.name, weight.sized(M, N)) for weight in trace.weights]
        self.names += [("W_output", (K, N)), ("b_output", (K,))]
        self.parameters = Parameters(
            [(stack.key, (len(stack.weights), *stack.weights[0].sized(M, N))) for stack in trace.stacks]
            + [("W_output", (K, N)), ("b_output", (K,))]
        )

    def initialise(self, draws: Draws, training: Training) -> None:
        """Draw every weight from N(0, weight_spread), each by its name, so that variants share what they share."""
        pieces = []
        for name, shape in self.names:
            values = torch.from_numpy(draws.generator("weight", name).standard_normal(shape)) * training.weight_spread
            pieces.append(values.flatten() + (training.forget_bias if name == "b_f" else 0.0))
        with torch.no_grad():
            self.parameters.flat.copy_(torch.cat(pieces))

    def __call__(self, x: Tensor) -> Tensor:
        """The output layer's pre-activations, (T, B, K), for an input (T, B, M)."""
        leaves = self.parameters.leaves
        y, _ = self.layer(x, leaves)
        return linear(y, leaves["W_output"], leaves["b_output"])
