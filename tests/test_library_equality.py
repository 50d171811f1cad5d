"""Our cells against the framework's own and torchrecurrent's, with copied weights: outputs and gradients."""

from __future__ import annotations

import pytest
import torch
import torchrecurrent
from torch import Tensor

from ablate.definitions.variant import VARIANTS, Variant
from ablate.testing.layers import layer_of, random_weights

M, N, T, B = 6, 5, 20, 3
every_backend = pytest.mark.parametrize("backend", ["reference", "cpu"])

# Our maps in the order in which the library stacks its gates: input products, recurrent products, biases of each.
LSTM = (torch.nn.LSTM, "NP", ["i", "f", "z", "o"], ["i", "f", "z", "o"])
GRU = (torch.nn.GRU, "GRU-lib", ["r", "u", "n"], ["r", "u", "m"])


def named(variant: Variant, stacks: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights by their names in the equations."""
    return {
        weight.name: stack.weight(stacks[stack.key], k)
        for stack in variant.trace.stacks
        for k, weight in enumerate(stack.weights)
    }


@pytest.mark.parametrize(("library", "name", "inputs", "recurrents"), [LSTM, GRU], ids=["LSTM", "GRU"])
@every_backend
def test_equals_library(
    library: type[torch.nn.Module], name: str, inputs: list[str], recurrents: list[str], backend: str
) -> None:
    variant = VARIANTS[name]
    stacks = random_weights(variant, M, N)

    def stacked(prefix: str, maps: list[str], weights: dict[str, Tensor]) -> Tensor:
        return torch.cat([weights[f"{prefix}_{each}"] for each in maps])

    ours = named(variant, {key: value.detach() for key, value in stacks.items()})
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
    y_ours, _ = layer_of(variant, backend)(x_ours, stacks)
    y_theirs, _ = theirs(x_theirs)
    torch.testing.assert_close(y_ours, y_theirs)

    weighting = torch.randn_like(y_ours)
    (y_ours * weighting).sum().backward()
    (y_theirs * weighting).sum().backward()
    gradients = named(variant, {key: value.grad for key, value in stacks.items()})
    torch.testing.assert_close(x_ours.grad, x_theirs.grad)
    torch.testing.assert_close(stacked("W", inputs, gradients), theirs.weight_ih_l0.grad)
    torch.testing.assert_close(stacked("R", recurrents, gradients), theirs.weight_hh_l0.grad)
    torch.testing.assert_close(stacked("b", inputs, gradients), theirs.bias_ih_l0.grad)
    torch.testing.assert_close(stacked("b", recurrents, gradients), theirs.bias_hh_l0.grad)


# Our weights in the order in which each of torchrecurrent's parameters stacks them; 0 where ours has none. It keeps
# two biases for a gate, of which only the sum counts; the ones that are not listed are zero.
TORCHRECURRENT: dict[str, tuple[str, dict[str, str]]] = {
    "V": (
        "PeepholeLSTM",
        {"weight_ih": "W_i W_f W_z W_o", "weight_hh": "R_i R_f R_z R_o", "weight_ph": "p_i p_f p_o"}
        | {"bias_ih": "b_i b_f b_z b_o"},
    ),
    # Its original LSTM squashes by tanh, where the paper of 1997 has 4 sigmoid - 2 and 2 sigmoid - 1: it is NP-f.
    "NP-f": ("OriginalLSTM", {"weight_ih": "W_i W_z W_o", "weight_hh": "R_i R_z R_o", "bias_ih": "b_i b_z b_o"}),
    # Its projection of the input has a bias, for which the paper, with its bare x, has no place.
    "MUT1": (
        "MUT1",
        {"weight_ih": "W_z W_r W_p", "weight_hh": "R_r R_n", "bias_ih": "b_z b_r 0", "bias_hh": "0 b_n"},
    ),
    "MUT2": ("MUT2", {"weight_ih": "W_z W_p W_n", "weight_hh": "R_z R_r R_n", "bias_ih": "b_z b_r b_n"}),
    "MUT3": ("MUT3", {"weight_ih": "W_z W_r W_n", "weight_hh": "R_z R_r R_n", "bias_ih": "b_z b_r b_n"}),
    "MGU": ("MGU", {"weight_ih": "W_f W_n", "weight_hh": "R_f R_n", "bias_ih": "b_f b_n"}),
    "UGRNN": ("UGRNN", {"weight_ih": "W_n W_u", "weight_hh": "R_n R_u", "bias_ih": "b_n b_u"}),
    "JANET": ("JANET", {"weight_ih": "W_f W_n", "weight_hh": "R_f R_n", "bias_ih": "b_f b_n"}),
    "IndRNN": ("IndRNN", {"weight_ih": "W_h", "vector_u": "u", "bias_ih": "b_h"}),
    "RAN": ("RAN", {"weight_ih": "W_n W_i W_f", "weight_hh": "R_i R_f", "bias_ih": "b_i b_f"}),
    # Its input has a bias of its own, which would let a net without input move.
    "CFN": ("CFN", {"weight_ih": "W_f W_i W_n", "weight_hh": "R_f R_i", "bias_ih": "b_f b_i 0"}),
    "MinimalRNN": (
        "MinimalRNN",
        {"weight_ih": "W_z", "weight_hh": "R_u", "weight_mm": "R_2u", "bias_ih": "b_z", "bias_hh": "b_u"},
    ),
}


@pytest.mark.parametrize("name", TORCHRECURRENT)
@every_backend
def test_equals_torchrecurrent(name: str, backend: str) -> None:
    variant = VARIANTS[name]
    cell, places = TORCHRECURRENT[name]
    theirs = getattr(torchrecurrent, f"{cell}Cell")(
        M, N, **({"nonlinearity": "relu"} if cell == "IndRNN" else {})
    ).double()
    stacks = random_weights(variant, M, N)
    ours = named(variant, {key: value.detach() for key, value in stacks.items()}) | {"0": torch.zeros(N).double()}
    parameters = dict(theirs.named_parameters())
    with torch.no_grad():
        for key in set(parameters) - {"beta"}:  # JANET's shift of 1, which is a parameter there
            copied = [ours[word] for word in places.get(key, "").split()]
            parameters[key].copy_(torch.cat(copied) if copied else torch.zeros_like(parameters[key]))

    x = torch.randn(T, B, M, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y_ours, _ = layer_of(variant, backend)(x, stacks)
    outputs, state = [], None
    for frame in x:
        state = theirs(frame, state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    y_theirs = torch.stack(outputs)
    torch.testing.assert_close(y_ours, y_theirs, rtol=1e-5, atol=1e-8)

    weighting = torch.randn_like(y_ours)
    (y_ours * weighting).sum().backward()
    (y_theirs * weighting).sum().backward()
    gradients = named(variant, {key: value.grad for key, value in stacks.items()})
    for key, words in places.items():
        parts = parameters[key].grad.split(N)
        for word, part in zip(words.split(), parts, strict=True):
            if word != "0":
                torch.testing.assert_close(gradients[word], part, rtol=1e-5, atol=1e-8)
