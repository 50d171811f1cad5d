"""The contract that every variant keeps, as plain functions that raise AssertionError with what is wrong.

`check_variant(VARIANTS["my-cell"])` runs all of them; a test may as well take each from CHECKS
and, for a backend, from `ablate.testing.layers.CHECKS_OF_A_BACKEND`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import torch

from ablate.cell.backend import choose_backend
from ablate.cell.tracer import trace
from ablate.cell.typeset import formula, latex, text
from ablate.definitions.variant import VARIANTS, Variant
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.training_config import TrainingConfig
from ablate.testing.layers import CHECKS_OF_A_BACKEND, M, N, layer_of, random_weights, require, require_close
from ablate.testing.learning import check_learns
from ablate.training.batches import Batch
from ablate.training.losses import loss_and_errors
from ablate.training.network import Network


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
    chosen, _ = choose_backend(variant.equations, variant.trace, variant.name, "cpu")
    return ("reference",) if chosen == "reference" else ("reference", chosen)


def check_parameter_count(variant: Variant) -> None:
    """The count of the trace is that of its formula as it is written out, and that of the arrays that a layer takes."""
    for units, inputs in ((1, 1), (7, 3), (100, 88)):
        written = sum(_term(term, inputs, units) for term in formula(variant.trace).split(" + "))
        counted = variant.trace.parameters(inputs, units)
        require(variant, counted == written, f"{counted} parameters, but {formula(variant.trace)} is {written}")
    arrays = sum(array.numel() for array in random_weights(variant).values())
    require(variant, arrays == variant.trace.parameters(M, N), f"the layer's arrays hold {arrays} numbers")


def check_traces_are_equal(variant: Variant) -> None:
    """Running the equations once more says the same."""
    require(variant, trace(variant.equations, variant.name) == variant.trace, "two traces of its equations differ")


def check_parent_differs(variant: Variant) -> None:
    """A variant that changes one thing about its parent is not the same as it."""
    if variant.parent:
        parent = VARIANTS[variant.parent]
        same = text(parent.trace) == text(variant.trace) and parent.initial == variant.initial
        require(variant, not same, f"it has the equations and initial weights of its parent {parent.name}")


def check_equations_are_written_out(variant: Variant) -> None:
    """Every weight of the cell appears in its equations, as text and as LaTeX that Matplotlib can set."""
    from matplotlib.mathtext import MathTextParser

    plain = " ".join(text(variant.trace))
    for weight in variant.trace.weights:
        require(variant, weight.name in plain, f"{weight.name} is not in its equations: {plain}")
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
        network = Network(variant, layer_of(variant, backend), M, 7, 3, layers=2, bidirectional=True)
        network.initialise(_streams(variant), TrainingConfig(init_std=0.4), 6)
        outputs = network.forward(batch.x, batch.lengths)
        loss_and_errors("cross_entropy", outputs, batch)
        network.backward(outputs)
        return network.parameters.gradients

    expected, *others = (gradients(backend) for backend in backends_of(variant))
    for found in others:
        for key, gradient in expected.items():
            require_close(variant, f"the gradient of {key}", found[key], gradient, rtol=2e-3, atol=1e-4)


def check_learns_scales(variant: Variant) -> None:
    """A trial of it learns a small task."""
    check_learns(variant, backends_of(variant)[-1])


def check_long_sequences_stay_finite(variant: Variant) -> None:
    """As a trial starts, with inputs of a piano roll's density: outputs and gradients of 1,000 steps are finite."""
    network = Network(variant, layer_of(variant, backends_of(variant)[-1]), 20, 33, 1)
    network.initialise(_streams(variant), TrainingConfig(), 1000)
    x = (torch.rand(1000, 1, 20, generator=torch.Generator().manual_seed(0)) < 0.05).float()
    outputs = network.forward(x, np.array([1000]))
    network.backward(torch.ones_like(outputs) / 1000)
    require(variant, bool(torch.isfinite(outputs).all()), "its outputs are not finite over 1,000 steps")
    finite = bool(torch.isfinite(network.parameters.gradient).all())
    require(variant, finite, "its gradients are not finite over 1,000 steps")


CHECKS: tuple[Callable[[Variant], None], ...] = (
    check_parameter_count,
    check_traces_are_equal,
    check_parent_differs,
    check_equations_are_written_out,
    check_backends_agree,
    check_long_sequences_stay_finite,
    check_learns_scales,
)


def _term(term: str, M: int, N: int) -> int:
    """The value of one term of a formula, such as `4 NM`, `N^2` or `7 N`."""
    match = re.fullmatch(r"(?:(\d+) )?(NM|N\^2|N)", term)
    if match is None:
        raise AssertionError(f"{term!r} is no term of a parameter count")
    return int(match[1] or 1) * {"NM": N * M, "N^2": N * N, "N": N}[match[2]]


def _streams(variant: Variant) -> RandomStreams:
    return RandomStreams(0, TrialId("music", variant.name, 0))
