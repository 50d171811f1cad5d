"""The contract that every registered variant keeps; a new one is tested by being registered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ablate.cell.backend import Layer, make_layer
from ablate.cell.tracer import trace
from ablate.cell.typeset import latex, text
from ablate.definitions.variant import VARIANTS, Variant
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.training_config import TrainingConfig
from ablate.training.network import Network

M, N, T, B = 4, 3, 5, 2


def blocks(gates: int, peepholes: int = 0, squares: int = 0) -> Callable[[int, int], int]:
    """Gates with a matrix for the input, one for the output and a bias each; vectors and square matrices on top."""
    return lambda N, M: gates * (N * M + N**2 + N) + peepholes * N + squares * N**2


# Parameters of one layer, from the papers: the standard blocks NM + N^2 + N, and what comes on top or is missing.
FORMULAS: dict[str, Callable[[int, int], int]] = {
    **dict.fromkeys(["V", "NIAF", "NOAF", "V-b"], blocks(4, peepholes=3)),
    **dict.fromkeys(["NIG", "NFG", "NOG", "CIFG", "CIFG-f", "CIFG-NOAF"], blocks(3, peepholes=2)),
    **dict.fromkeys(["NP", "NP-b", "Prototype", "Pseudo-LSTM", "sLSTM", "sLSTM-exp"], blocks(4)),
    **dict.fromkeys(["NP-i", "NP-f", "NP-o", "LSTM97", "GRU", "MUT2", "MUT3"], blocks(3)),
    **dict.fromkeys(["PI", "PF", "PO"], blocks(4, peepholes=1)),
    **dict.fromkeys(["UGRNN", "GRU-u", "MGU", "JANET"], blocks(2)),
    **dict.fromkeys(["SRN", "IRNN"], blocks(1)),
    "FGR": blocks(4, peepholes=3, squares=9),
    "GRU-lib": blocks(3, peepholes=1),  # the bias of the reset product
    "MUT1": lambda N, M: 3 * N * M + 2 * N**2 + 3 * N,
    "IndRNN": lambda N, M: N * M + 2 * N,
    "minGRU": lambda N, M: 2 * (N * M + N),
    "minLSTM": lambda N, M: 3 * (N * M + N),
    "MinimalRNN": lambda N, M: N * M + 2 * N**2 + 2 * N,
    **dict.fromkeys(["RAN", "CFN"], lambda N, M: 3 * N * M + 2 * N**2 + 2 * N),
}

every_variant = pytest.mark.parametrize("variant", list(VARIANTS), ids=lambda variant: variant.name)
every_engine = pytest.mark.parametrize("engine", ["reference", "cpu"])


def layer_of(variant: Variant, engine: str = "reference") -> Layer:
    return make_layer(variant.equations, variant.trace, variant.name, engine)


def random_weights(variant: Variant, M: int = M, N: int = N, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights large enough that no gate stands near one half, in the stacks that a layer takes."""
    generator = torch.Generator().manual_seed(seed)
    return {
        stack.key: torch.randn(stack.sized(M, N), generator=generator, dtype=torch.float64).requires_grad_()
        for stack in variant.trace.stacks
    }


def random_input(T: int = T, B: int = B, M: int = M) -> torch.Tensor:
    return torch.randn(T, B, M, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()


@every_variant
@every_engine
def test_shapes(variant: Variant, engine: str) -> None:
    layer = layer_of(variant, engine)
    y, state = layer(random_input(), random_weights(variant))
    assert y.shape == (T, B, N)
    assert [each.shape for each in state] == [(B, N)] * len(variant.trace.states)
    assert torch.equal(state[0], y[-1])


@every_variant
@every_engine
def test_gradients_equal_finite_differences(variant: Variant, engine: str) -> None:
    layer = layer_of(variant, engine)
    weights = random_weights(variant)
    state = tuple(random_input(1, B, N)[0].detach().requires_grad_() for _ in variant.trace.states)
    keys = list(weights)

    def run(x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, last = layer(x, dict(zip(keys, rest, strict=False)), rest[len(keys) :])
        return (y, *last)

    assert torch.autograd.gradcheck(run, (random_input(3), *weights.values(), *state))


@every_variant
def test_parameter_count_is_the_papers(variant: Variant) -> None:
    formula = FORMULAS[variant.name]
    for units, inputs in ((1, 1), (7, 3), (100, 88)):
        assert variant.trace.parameters(inputs, units) == formula(units, inputs)
    weights = random_weights(variant)
    assert sum(stack.numel() for stack in weights.values()) == formula(N, M)


@every_variant
@every_engine
def test_every_weight_is_used(variant: Variant, engine: str) -> None:
    """No weight exists that the cell does not need: each row of each has a gradient."""
    weights = random_weights(variant)
    y, _ = layer_of(variant, engine)(random_input(), weights)
    y.pow(2).sum().backward()
    for stack in variant.trace.stacks:
        for k, weight in enumerate(stack.weights):
            assert stack.weight(weights[stack.key].grad, k).abs().max() > 0, weight.name


@every_variant
def test_finite_over_a_thousand_steps(variant: Variant) -> None:
    """As a trial starts it, with inputs of a piano roll's density: values and gradients stay finite."""
    units, inputs = 33, 20
    network = Network(variant, layer_of(variant, "cpu"), inputs, units, 1)
    network.initialise(RandomStreams(0, TrialId("music", variant.name, 0)), TrainingConfig(), 1000)
    x = (torch.rand(1000, 1, inputs, generator=torch.Generator().manual_seed(0)) < 0.05).float()
    outputs = network.forward(x, np.array([1000]))
    network.backward(torch.ones_like(outputs) / 1000)
    assert torch.isfinite(outputs).all()
    assert torch.isfinite(network.parameters.gradient).all()


@every_variant
def test_the_parent_differs_in_something(variant: Variant) -> None:
    if variant.parent:
        parent = VARIANTS[variant.parent]
        assert text(parent.trace) != text(variant.trace) or parent.initial != variant.initial


def test_no_two_variants_are_the_same() -> None:
    said = [(*text(variant.trace), str(dict(variant.initial))) for variant in VARIANTS]
    assert len(set(said)) == len(said)


@every_variant
def test_two_traces_are_equal(variant: Variant) -> None:
    assert trace(variant.equations, variant.name) == variant.trace


@every_variant
@every_engine
def test_sequences_of_a_batch_do_not_touch(variant: Variant, engine: str) -> None:
    layer, weights, x = layer_of(variant, engine), random_weights(variant), random_input()
    together, _ = layer(x, weights)
    for column in range(B):
        alone, _ = layer(x[:, column : column + 1], weights)
        torch.testing.assert_close(alone[:, 0], together[:, column])


@every_variant
@every_engine
def test_state_carries_a_sequence_on(variant: Variant, engine: str) -> None:
    layer, weights, x = layer_of(variant, engine), random_weights(variant), random_input()
    whole, last = layer(x, weights)
    first, state = layer(x[:2], weights)
    second, end = layer(x[2:], weights, state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for one, other in zip(end, last, strict=True):
        torch.testing.assert_close(one, other)


@every_variant
def test_equations_are_written_out(variant: Variant) -> None:
    """Every weight of the cell appears in its equations, as text and as LaTeX that Matplotlib can set."""
    from matplotlib.mathtext import MathTextParser

    plain = " ".join(text(variant.trace))
    for weight in variant.trace.weights:
        assert weight.name in plain
    for line in latex(variant.trace):
        MathTextParser("path").parse(f"${line}$")


@every_variant
@every_engine
def test_float32_follows_float64(variant: Variant, engine: str) -> None:
    layer, weights, x = layer_of(variant, engine), random_weights(variant), random_input()
    exact, _ = layer(x, weights)
    single, _ = layer(x.float(), {key: value.float() for key, value in weights.items()})
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-5)
