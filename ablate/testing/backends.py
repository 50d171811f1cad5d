"""The contract of a backend, as functions that raise AssertionError; for any test framework, or none.

    from ablate.testing.backends import check_backend

    check_backend(my_module.make_layer, variant)

A backend is right if it computes what the reference computes from the same equations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from ablate.cell.layer import Layer
from ablate.cell.reference import ReferenceLayer
from ablate.cell.self_check import Case, difference, evaluate, random_case
from ablate.cell.trace import Trace

MakeLayer = Callable[[Callable[..., Any], Trace, str], Layer]


class Cell(Protocol):
    """What a check needs of a variant."""

    @property
    def name(self) -> str: ...

    @property
    def equations(self) -> Callable[..., Any]: ...

    @property
    def trace(self) -> Trace: ...


def check_backend(
    make_layer: MakeLayer, variant: Cell, dtype: torch.dtype = torch.float64, tolerance: float = 1e-7
) -> None:
    """Run every check of a backend on one variant.

    Args:
        make_layer: as `Backend.make_layer`.
        variant: the cell, with its name, equations and trace.
        dtype: the precision that the backend computes in.
        tolerance: of each array, relative to its largest number.

    Raises:
        AssertionError: the message names the variant, the check, the array and the error.
    """
    for check in (
        check_gradients,
        check_bound_layer,
        check_zero_state,
        check_steps,
        check_passes_do_not_touch,
        check_sequences_do_not_touch,
    ):
        check(make_layer, variant, dtype, tolerance)


def check_gradients(make_layer: MakeLayer, variant: Cell, dtype: torch.dtype, tolerance: float) -> None:
    """Outputs, last state and all gradients are those of the reference, for several sizes."""
    for T, B, M, N in ((1, 1, 1, 1), (5, 1, 3, 4), (7, 3, 2, 17), (20, 4, 5, 8)):
        case = random_case(variant.trace, T, 0, M, N, B)
        found = evaluate(_layer(make_layer, variant), variant.trace, case.to(dtype))
        for name, expected in evaluate(_reference(variant), variant.trace, case).items():
            _compare(variant, f"{name} (T {T}, B {B}, M {M}, N {N})", found[name], expected, tolerance)


def check_bound_layer(make_layer: MakeLayer, variant: Cell, dtype: torch.dtype, tolerance: float) -> None:
    """A bound layer writes the gradients of the weights, overwriting, and returns those of x and the initial state."""
    case = random_case(variant.trace, 6, 1, 3, 5, 2)
    expected = list(evaluate(_reference(variant), variant.trace, case).values())
    states = len(variant.trace.states)
    case = case.to(dtype)
    gradients = {key: torch.full_like(weight, 7.0) for key, weight in case.weights.items()}
    bound = _layer(make_layer, variant).bind(case.weights, gradients)
    for attempt in ("first", "second"):
        y, last = bound.forward(case.x, case.state)
        d_x, d_state = bound.backward(case.d_y, case.d_last, want_d_x=True)
        assert d_x is not None, f"{variant.name}: no gradient of x is returned, though want_d_x is set"
        found = [y, *last, d_x, *d_state]
        for stack in variant.trace.stacks:
            found += [stack.weight(gradients[stack.key], k) for k in range(len(stack.weights))]
        for place, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            what = "outputs and states" if place <= states else "gradients"
            _compare(variant, f"{what} of a bound layer, {attempt} pass", ours, theirs, tolerance)
    bound.forward(case.x, case.state)
    assert bound.backward(case.d_y, case.d_last)[0] is None, f"{variant.name}: a gradient of x that was not asked for"


def check_zero_state(make_layer: MakeLayer, variant: Cell, dtype: torch.dtype, tolerance: float) -> None:
    """A state that is left out is zero, and so are the derivatives by a last state that are left out."""
    case = random_case(variant.trace, 4, 2, 3, 5, 2)
    zeros = tuple(torch.zeros_like(each) for each in case.state)
    results = []
    for layer, kind, state in (
        (_reference(variant), torch.float64, zeros),
        (_layer(make_layer, variant), dtype, None),
    ):
        own = case.to(kind)
        gradients = {key: torch.zeros_like(weight) for key, weight in own.weights.items()}
        bound = layer.bind(own.weights, gradients)
        y, last = bound.forward(own.x, state)
        outputs = [each.clone() for each in (y, *last)]
        _, d_state = bound.backward(own.d_y, zeros if state is zeros else None)
        results.append([*outputs, *d_state, *gradients.values()])
    for theirs, ours in zip(*results, strict=True):
        _compare(variant, "a pass from a state that is left out", ours, theirs, tolerance)


def check_steps(make_layer: MakeLayer, variant: Cell, dtype: torch.dtype, tolerance: float) -> None:
    """Steps, one after the other, are a pass over the whole; the results of a step last."""
    case = random_case(variant.trace, 5, 0, 3, 4, 2)
    expected, _ = _reference(variant)(case.x, case.weights, case.state)
    case = case.to(dtype)
    bound = _bound(make_layer, variant, case)
    outputs, state = [], case.state
    for x in case.x:
        y, state = bound.step(x, state)
        outputs.append(y)
    _compare(variant, "the outputs of single steps", torch.stack(outputs), expected, tolerance)
    y, state = bound.step(case.x[0])
    shapes = [tuple(each.shape) for each in (y, *state)]
    assert shapes == [(2, 4)] * len(shapes), f"{variant.name}: a step without a state returns the shapes {shapes}"


def check_passes_do_not_touch(make_layer: MakeLayer, variant: Cell, dtype: torch.dtype, tolerance: float) -> None:
    """A pass of another length, in between, changes nothing."""
    long, short = (random_case(variant.trace, T, 0, 3, 5, B).to(dtype) for T, B in ((8, 3), (3, 2)))
    bound = _bound(make_layer, variant, long)
    whole = bound.forward(long.x, long.state)[0].clone()
    bound.forward(short.x, short.state, training=False)
    again = bound.forward(long.x, long.state)[0]
    _compare(variant, "a pass after one of another length", again, whole, tolerance)


def check_sequences_do_not_touch(make_layer: MakeLayer, variant: Cell, dtype: torch.dtype, tolerance: float) -> None:
    """Each sequence of a batch comes out as it does alone."""
    case = random_case(variant.trace, 5, 0, 3, 4, 3).to(dtype)
    layer = _layer(make_layer, variant)
    together, _ = layer(case.x, case.weights, case.state)
    for b in range(3):
        state = tuple(each[b : b + 1].contiguous() for each in case.state)
        alone, _ = layer(case.x[:, b : b + 1].contiguous(), case.weights, state)
        _compare(variant, f"sequence {b} of a batch", together[:, b], alone[:, 0], tolerance)


def _layer(make_layer: MakeLayer, variant: Cell) -> Layer:
    return make_layer(variant.equations, variant.trace, variant.name)


def _reference(variant: Cell) -> ReferenceLayer:
    return ReferenceLayer(variant.equations, variant.trace)


def _bound(make_layer: MakeLayer, variant: Cell, case: Case) -> Any:
    gradients = {key: torch.zeros_like(weight) for key, weight in case.weights.items()}
    return _layer(make_layer, variant).bind(case.weights, gradients)


def _compare(variant: Cell, what: str, found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape, (
        f"{variant.name}: {what} has the shape {tuple(found.shape)}, not {tuple(expected.shape)}"
    )
    error = difference(found.detach(), expected.detach())
    assert error <= tolerance, f"{variant.name}: {what} is off by {error:.1g} of its size"
