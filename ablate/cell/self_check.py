"""Compare two layers of a variant on a small random case: outputs, last state and every gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from ablate.cell.trace import Trace

M, N, B = 2, 3, 2
LENGTHS = (5, 2)
SINGLE, DOUBLE = 1e-4, 1e-9  # what rounding may amount to, relative to the largest number of an array
FLOOR = 1e-6  # added to that number: the gradient through a saturated function is nothing but rounding
ATTEMPTS = 6


@dataclass(frozen=True)
class Case:
    """An input, an initial state, weights, and how the loss weighs outputs and last state."""

    x: Tensor  # (T, B, M)
    state: tuple[Tensor, ...]  # each (B, N)
    weights: Mapping[str, Tensor]
    d_y: Tensor  # (T, B, N)
    d_last: tuple[Tensor, ...]  # each (B, N)

    def to(self, dtype: torch.dtype) -> Case:
        """The same numbers in another precision."""
        return Case(
            self.x.to(dtype),
            tuple(each.to(dtype) for each in self.state),
            {key: weight.to(dtype) for key, weight in self.weights.items()},
            self.d_y.to(dtype),
            tuple(each.to(dtype) for each in self.d_last),
        )


def random_case(trace: Trace, T: int, seed: int, M: int = M, N: int = N, B: int = B) -> Case:
    """A case in double precision. The state is positive, as some cells need it; weights are, for every third seed."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    state = tuple(0.3 + 0.5 * draw(B, N).abs() for _ in trace.states)
    weights = {stack.key: 0.5 * draw(*stack.sized(M, N)) for stack in trace.stacks}
    x = draw(T, B, M)
    if seed % 3 == 2:
        x, weights = x.abs(), {key: weight.abs() for key, weight in weights.items()}
    return Case(x, state, weights, draw(T, B, N), tuple(draw(B, N) for _ in trace.states))


def evaluate(layer: Any, trace: Trace, case: Case) -> dict[str, Tensor]:
    """Outputs, last state and all gradients of a layer, each under a name that a reader of the equations knows."""
    x = case.x.detach().requires_grad_()
    state = tuple(each.detach().requires_grad_() for each in case.state)
    weights = {key: weight.detach().requires_grad_() for key, weight in case.weights.items()}
    y, last = layer(x, weights, state)
    inputs = [x, *state, *weights.values()]
    gradients = torch.autograd.grad(
        [y, *last], inputs, [case.d_y, *case.d_last], materialize_grads=True, allow_unused=True
    )
    found = {"the output": y.detach()}
    found |= {f"the last {name}": each.detach() for name, each in zip(trace.state_names, last, strict=True)}
    found["the gradient of x"] = gradients[0]
    for name, gradient in zip(trace.state_names, gradients[1:], strict=False):
        found[f"the gradient of the first {name}"] = gradient
    for stack, gradient in zip(trace.stacks, gradients[1 + len(state) :], strict=True):
        for k, weight in enumerate(stack.weights):
            found[f"the gradient of {weight.name}"] = stack.weight(gradient, k)
    return found


def disagreement(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float) -> str:
    """The first array that is not as expected, and by how much; empty if there is none.

    Args:
        found: as `evaluate` gives it.
        expected: the same of the reference in double precision.
        tolerance: relative to the largest number of each array. NaN equals NaN.
    """
    for name, theirs in expected.items():
        if not (error := difference(found[name], theirs)) <= tolerance:
            return f"{name} is off by {error:.1g} of its size"
    return ""


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest finite number expected; NaN, infinities included, must match."""
    found, expected = found.double(), expected.double()
    if found.shape != expected.shape:
        return float("inf")
    finite = expected.isfinite()
    if not torch.equal(found[~finite].nan_to_num(1, 2, 3), expected[~finite].nan_to_num(1, 2, 3)):
        return float("inf")
    if not finite.any():
        return 0.0
    size = float(expected[finite].abs().max())
    return float((found[finite] - expected[finite]).abs().nan_to_num(float("inf")).max()) / (size + FLOOR)


def cases(
    trace: Trace, reference: Any, T: int, M: int = M, N: int = N, B: int = B
) -> Iterator[tuple[Case, dict[str, Tensor]]]:
    """Cases with what the reference makes of them, those first in which all numbers are finite.

    Every cell has some, unless it takes the root or the logarithm of what is seldom positive.
    """
    rest = []
    for seed in range(ATTEMPTS):
        case = random_case(trace, T, seed, M, N, B)
        expected = evaluate(reference, trace, case)
        if all(each.isfinite().all() for each in expected.values()):
            yield case, expected
        else:
            rest.append((case, expected))
    yield from rest


def check_layers(trace: Trace, reference: Any, double: Any, single: Any, M: int = M, N: int = N, B: int = B) -> str:
    """Compare a kernel, run in double precision and as compiled for single precision, with the reference.

    Args:
        reference, double, single: layers, called with x, weights and state; `double` and `single` may be None.

    Returns:
        What disagrees, in a few words; empty if nothing does.
    """
    for T in LENGTHS:
        found = ""
        # A number at a kink, or where rounding is amplified, may differ once; a fault differs always.
        for case, expected in islice(cases(trace, reference, T, M, N, B), 2):
            found = _check_case(trace, reference, double, single, case, expected)
            if not found:
                break
        if found:
            return f"{found} over {T} steps"
    return ""


def _check_case(
    trace: Trace, reference: Any, double: Any, single: Any, case: Case, expected: Mapping[str, Tensor]
) -> str:
    if double is not None and (found := disagreement(evaluate(double, trace, case), expected, DOUBLE)):
        return f"{found} in double precision"
    if single is None:
        return ""
    case = case.to(torch.float32)
    found = evaluate(single, trace, case)
    if not disagreement(found, expected, SINGLE):
        return ""
    # Where a cell amplifies rounding, it does so in the reference as well.
    rounded = evaluate(reference, trace, case)
    rounding = max(difference(rounded[name], expected[name]) for name in expected)
    return disagreement(found, expected, max(SINGLE, 20 * rounding))
