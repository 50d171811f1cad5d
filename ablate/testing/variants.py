"""The contract that every variant keeps, as plain functions that raise AssertionError with what is wrong.

`check_variant(VARIANTS["my-cell"])` runs all of them; a test may as well take each from the two lists below.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ablate.cell.engine import Layer, choose_engine, make_layer
from ablate.cell.trace import trace
from ablate.cell.typeset import formula, latex, text
from ablate.definitions.variant import VARIANTS, Variant
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.training_config import TrainingConfig
from ablate.testing.learning import check_learns
from ablate.training.batches import Batch
from ablate.training.losses import loss_and_errors
from ablate.training.network import Network

M, N, T, B = 4, 3, 5, 2


def check_variant(variant: Variant) -> None:
    """Run every check, on each backend that can run the variant.

    Raises:
        AssertionError: the first check that fails, by its name.
    """
    for check in CHECKS:
        check(variant)
    for backend in backends_of(variant):
        for each in CHECKS_OF_A_BACKEND:
            each(variant, backend)


def backends_of(variant: Variant) -> tuple[str, ...]:
    """The backends that can run a variant: always the reference, the compiled one where its equations allow."""
    chosen, _ = choose_engine(variant.trace, variant.name, "cpu")
    return ("reference",) if chosen == "reference" else ("reference", chosen)


def check_parameter_count(variant: Variant) -> None:
    """The count of the trace is that of its formula as it is written out, and that of the arrays that a layer takes."""
    for units, inputs in ((1, 1), (7, 3), (100, 88)):
        written = sum(_term(term, inputs, units) for term in formula(variant.trace).split(" + "))
        counted = variant.trace.parameters(inputs, units)
        _require(variant, counted == written, f"{counted} parameters, but {formula(variant.trace)} is {written}")
    arrays = sum(array.numel() for array in _weights(variant).values())
    _require(variant, arrays == variant.trace.parameters(M, N), f"the layer's arrays hold {arrays} numbers")


def check_traces_are_equal(variant: Variant) -> None:
    """Running the equations once more says the same."""
    _require(variant, trace(variant.equations, variant.name) == variant.trace, "two traces of its equations differ")


def check_parent_differs(variant: Variant) -> None:
    """A variant that changes one thing about its parent is not the same as it."""
    if variant.parent:
        parent = VARIANTS[variant.parent]
        same = text(parent.trace) == text(variant.trace) and parent.initial == variant.initial
        _require(variant, not same, f"it has the equations and initial weights of its parent {parent.name}")


def check_equations_are_written_out(variant: Variant) -> None:
    """Every weight of the cell appears in its equations, as text and as LaTeX that Matplotlib can set."""
    from matplotlib.mathtext import MathTextParser

    plain = " ".join(text(variant.trace))
    for weight in variant.trace.weights:
        _require(variant, weight.name in plain, f"{weight.name} is not in its equations: {plain}")
    for line in latex(variant.trace):
        MathTextParser("path").parse(f"${line}$")


def check_backends_agree(variant: Variant) -> None:
    """Gradients of two layers in both directions, on sequences of different lengths, are those of the reference."""
    generator = np.random.default_rng(0)
    lengths = np.array([6, 2, 4])
    inside = np.arange(6)[:, None] < lengths
    x = (generator.standard_normal((6, 3, M)) * inside[:, :, None]).astype(np.float32)
    targets = generator.integers(0, 3, (6, 3, 1)).astype(np.uint8)
    batch = Batch(torch.from_numpy(x), targets, lengths)

    def gradients(backend: str) -> dict[str, torch.Tensor]:
        network = Network(variant, _layer(variant, backend), M, 7, 3, layers=2, bidirectional=True)
        network.initialise(_streams(variant), TrainingConfig(init_std=0.4), 6)
        outputs = network.forward(batch.x, batch.lengths)
        loss_and_errors("cross_entropy", outputs, batch)
        network.backward(outputs)
        return network.parameters.gradients

    expected, *others = (gradients(backend) for backend in backends_of(variant))
    for found in others:
        for key, gradient in expected.items():
            _close(variant, f"the gradient of {key}", found[key], gradient, rtol=2e-3, atol=1e-4)


def check_learns_scales(variant: Variant) -> None:
    """A trial of it learns a small task."""
    check_learns(variant, backends_of(variant)[-1])


def check_long_sequences_stay_finite(variant: Variant) -> None:
    """As a trial starts, with inputs of a piano roll's density: outputs and gradients of 1,000 steps are finite."""
    network = Network(variant, _layer(variant, backends_of(variant)[-1]), 20, 33, 1)
    network.initialise(_streams(variant), TrainingConfig(), 1000)
    x = (torch.rand(1000, 1, 20, generator=torch.Generator().manual_seed(0)) < 0.05).float()
    outputs = network.forward(x, np.array([1000]))
    network.backward(torch.ones_like(outputs) / 1000)
    _require(variant, bool(torch.isfinite(outputs).all()), "its outputs are not finite over 1,000 steps")
    finite = bool(torch.isfinite(network.parameters.gradient).all())
    _require(variant, finite, "its gradients are not finite over 1,000 steps")


def check_shapes(variant: Variant, backend: str) -> None:
    """Outputs are (T, B, N), each state (B, N), and the first state is the last output."""
    y, state = _layer(variant, backend)(_input(), _weights(variant))
    _require(variant, y.shape == (T, B, N), f"outputs have the shape {tuple(y.shape)}, not {(T, B, N)}")
    shapes = [tuple(each.shape) for each in state]
    _require(variant, shapes == [(B, N)] * len(variant.trace.states), f"states have the shapes {shapes}")
    _require(variant, torch.equal(state[0], y[-1]), "its first state is not its last output")


def check_gradients(variant: Variant, backend: str) -> None:
    """Gradients of inputs, weights and first states equal finite differences."""
    layer, weights = _layer(variant, backend), _weights(variant)
    state = tuple(_input(1, B, N)[0].detach().requires_grad_() for _ in variant.trace.states)
    keys = list(weights)

    def run(x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, last = layer(x, dict(zip(keys, rest, strict=False)), rest[len(keys) :])
        return (y, *last)

    try:
        torch.autograd.gradcheck(run, (_input(3), *weights.values(), *state))
    except RuntimeError as error:  # GradcheckError is one
        raise AssertionError(f"{variant.name}: gradients of {backend} are not finite differences: {error}") from error


def check_every_weight_is_used(variant: Variant, backend: str) -> None:
    """No weight exists that the cell does not need: each has a gradient."""
    weights = _weights(variant)
    y, _ = _layer(variant, backend)(_input(), weights)
    y.pow(2).sum().backward()
    for stack in variant.trace.stacks:
        for k, weight in enumerate(stack.weights):
            used = bool(stack.weight(weights[stack.key].grad, k).abs().max() > 0)
            _require(variant, used, f"the output does not depend on {weight.name}")


def check_sequences_do_not_touch(variant: Variant, backend: str) -> None:
    """Each sequence of a batch comes out as it does alone."""
    layer, weights, x = _layer(variant, backend), _weights(variant), _input()
    together, _ = layer(x, weights)
    for b in range(B):
        alone, _ = layer(x[:, b : b + 1], weights)
        _close(variant, f"sequence {b} alone", alone[:, 0], together[:, b])


def check_state_carries_on(variant: Variant, backend: str) -> None:
    """Two parts of a sequence, the state handed over between them, are the whole."""
    layer, weights, x = _layer(variant, backend), _weights(variant), _input()
    whole, last = layer(x, weights)
    first, state = layer(x[:2], weights)
    second, end = layer(x[2:], weights, state)
    _close(variant, "the output in two parts", torch.cat([first, second]), whole)
    for one, other in zip(end, last, strict=True):
        _close(variant, "the last state of two parts", one, other)


def check_float32_follows_float64(variant: Variant, backend: str) -> None:
    """Single precision gives what double precision does, to its own accuracy."""
    layer, weights, x = _layer(variant, backend), _weights(variant), _input()
    exact, _ = layer(x, weights)
    single, _ = layer(x.float(), {key: value.float() for key, value in weights.items()})
    _close(variant, "float32", single.double(), exact, rtol=1e-4, atol=1e-5)


CHECKS: tuple[Callable[[Variant], None], ...] = (
    check_parameter_count,
    check_traces_are_equal,
    check_parent_differs,
    check_equations_are_written_out,
    check_backends_agree,
    check_long_sequences_stay_finite,
    check_learns_scales,
)
CHECKS_OF_A_BACKEND: tuple[Callable[[Variant, str], None], ...] = (
    check_shapes,
    check_gradients,
    check_every_weight_is_used,
    check_sequences_do_not_touch,
    check_state_carries_on,
    check_float32_follows_float64,
)


def _require(variant: Variant, holds: bool, problem: str) -> None:
    if not holds:
        raise AssertionError(f"{variant.name}: {problem}")


def _close(variant: Variant, what: str, found: torch.Tensor, expected: torch.Tensor, **tolerances: Any) -> None:
    torch.testing.assert_close(found, expected, **tolerances, msg=lambda words: f"{variant.name}: {what}: {words}")


def _term(term: str, M: int, N: int) -> int:
    """The value of one term of a formula, such as `4 NM`, `N^2` or `7 N`."""
    match = re.fullmatch(r"(?:(\d+) )?(NM|N\^2|N)", term)
    if match is None:
        raise AssertionError(f"{term!r} is no term of a parameter count")
    return int(match[1] or 1) * {"NM": N * M, "N^2": N * N, "N": N}[match[2]]


def _layer(variant: Variant, backend: str) -> Layer:
    return make_layer(variant.equations, variant.trace, variant.name, backend)


def _weights(variant: Variant) -> dict[str, torch.Tensor]:
    """Weights large enough that no gate stands near one half, in the stacks that a layer takes."""
    generator = torch.Generator().manual_seed(0)
    return {
        stack.key: torch.randn(stack.sized(M, N), generator=generator, dtype=torch.float64).requires_grad_()
        for stack in variant.trace.stacks
    }


def _input(T: int = T, B: int = B, M: int = M) -> torch.Tensor:
    return torch.randn(T, B, M, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()


def _streams(variant: Variant) -> RandomStreams:
    return RandomStreams(0, TrialId("music", variant.name, 0))
