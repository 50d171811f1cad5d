"""Our cells against the framework's own, with copied weights: outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.test_variants import every_engine, layer_of, random_weights
from variants import VARIANTS

M, N, T, B = 6, 5, 20, 3

# Our maps in the order in which the library stacks its gates: input products, recurrent products, biases of each.
LSTM = (torch.nn.LSTM, "NP", ["i", "f", "z", "o"], ["i", "f", "z", "o"])
GRU = (torch.nn.GRU, "GRU-lib", ["r", "u", "n"], ["r", "u", "m"])


@pytest.mark.parametrize(("library", "name", "inputs", "recurrents"), [LSTM, GRU], ids=["LSTM", "GRU"])
@every_engine
def test_equals_library(
    library: type[torch.nn.Module], name: str, inputs: list[str], recurrents: list[str], engine: str
) -> None:
    variant = VARIANTS[name]
    stacks = random_weights(variant, M, N)

    def named(values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            weight.name: stack.weight(values[stack.key], k)
            for stack in variant.trace.stacks
            for k, weight in enumerate(stack.weights)
        }

    def stacked(prefix: str, maps: list[str], weights: dict[str, Tensor]) -> Tensor:
        return torch.cat([weights[f"{prefix}_{each}"] for each in maps])

    ours = named({key: value.detach() for key, value in stacks.items()})
    theirs = library(M, N).double()
    # The library keeps two biases for each gate, of which only the sum counts; where a gate's recurrent product has
    # a bias of its own, the second one is that.
    second = [ours[f"b_{r}"] if r != i else torch.zeros(N) for i, r in zip(inputs, recurrents, strict=True)]
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(stacked("W", inputs, ours))
        theirs.weight_hh_l0.copy_(stacked("R", recurrents, ours))
        theirs.bias_ih_l0.copy_(stacked("b", inputs, ours))
        theirs.bias_hh_l0.copy_(torch.cat(second))

    x = torch.randn(T, B, M, dtype=torch.float64)
    x_ours, x_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y_ours, _ = layer_of(variant, engine)(x_ours, stacks)
    y_theirs, _ = theirs(x_theirs)
    torch.testing.assert_close(y_ours, y_theirs)

    weighting = torch.randn_like(y_ours)
    (y_ours * weighting).sum().backward()
    (y_theirs * weighting).sum().backward()
    gradients = named({key: value.grad for key, value in stacks.items()})
    torch.testing.assert_close(x_ours.grad, x_theirs.grad)
    torch.testing.assert_close(stacked("W", inputs, gradients), theirs.weight_ih_l0.grad)
    torch.testing.assert_close(stacked("R", recurrents, gradients), theirs.weight_hh_l0.grad)
    torch.testing.assert_close(stacked("b", inputs, gradients), theirs.bias_ih_l0.grad)
    torch.testing.assert_close(stacked("b", recurrents, gradients), theirs.bias_hh_l0.grad)
