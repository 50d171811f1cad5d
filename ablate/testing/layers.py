"""What every variant keeps on each backend: checks of one layer, of random weights that are not small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ablate.cell.backend import load_backend, make_layer
from ablate.cell.layer import Layer
from ablate.definitions.variant import Variant
from ablate.testing import backends

M, N, T, B = 4, 3, 5, 2


def check_shapes(variant: Variant, backend: str) -> None:
    """Outputs are (T, B, N), each state (B, N), and the first state is the last output."""
    y, state = layer_of(variant, backend)(random_input(), random_weights(variant))
    require(variant, y.shape == (T, B, N), f"outputs have the shape {tuple(y.shape)}, not {(T, B, N)}")
    shapes = [tuple(each.shape) for each in state]
    require(variant, shapes == [(B, N)] * len(variant.trace.states), f"states have the shapes {shapes}")
    require(variant, torch.equal(state[0], y[-1]), "its first state is not its last output")


def check_gradients(variant: Variant, backend: str) -> None:
    """Gradients of inputs, weights and first states equal finite differences."""
    layer, weights = layer_of(variant, backend), random_weights(variant)
    state = tuple(random_input(1, B, N)[0].detach().requires_grad_() for _ in variant.trace.states)
    keys = list(weights)

    def run(x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, last = layer(x, dict(zip(keys, rest, strict=False)), rest[len(keys) :])
        return (y, *last)

    try:
        torch.autograd.gradcheck(run, (random_input(3), *weights.values(), *state))
    except RuntimeError as error:  # GradcheckError is one
        raise AssertionError(f"{variant.name}: gradients of {backend} are not finite differences: {error}") from error


def check_every_weight_is_used(variant: Variant, backend: str) -> None:
    """No weight exists that the cell does not need: each has a gradient."""
    weights = random_weights(variant)
    y, _ = layer_of(variant, backend)(random_input(), weights)
    y.pow(2).sum().backward()
    for stack in variant.trace.stacks:
        for k, weight in enumerate(stack.weights):
            used = bool(stack.weight(weights[stack.key].grad, k).abs().max() > 0)
            require(variant, used, f"the output does not depend on {weight.name}")


def check_sequences_do_not_touch(variant: Variant, backend: str) -> None:
    """Each sequence of a batch comes out as it does alone."""
    backends.check_sequences_do_not_touch(load_backend(backend).make_layer, variant, torch.float64, 1e-7)


def check_state_carries_on(variant: Variant, backend: str) -> None:
    """Two parts of a sequence, the state handed over between them, are the whole."""
    layer, weights, x = layer_of(variant, backend), random_weights(variant), random_input()
    whole, last = layer(x, weights)
    first, state = layer(x[:2], weights)
    second, end = layer(x[2:], weights, state)
    require_close(variant, "the output in two parts", torch.cat([first, second]), whole)
    for one, other in zip(end, last, strict=True):
        require_close(variant, "the last state of two parts", one, other)


def check_float32_follows_float64(variant: Variant, backend: str) -> None:
    """Single precision gives what double precision does, to its own accuracy."""
    layer, weights, x = layer_of(variant, backend), random_weights(variant), random_input()
    exact, _ = layer(x, weights)
    single, _ = layer(x.float(), {key: value.float() for key, value in weights.items()})
    require_close(variant, "float32", single.double(), exact, rtol=1e-4, atol=1e-5)


CHECKS_OF_A_BACKEND: tuple[Callable[[Variant, str], None], ...] = (
    check_shapes,
    check_gradients,
    check_every_weight_is_used,
    check_sequences_do_not_touch,
    check_state_carries_on,
    check_float32_follows_float64,
)


def require(variant: Variant, holds: bool, problem: str) -> None:
    """Raise AssertionError with the name of the variant and the problem, unless it holds."""
    if not holds:
        raise AssertionError(f"{variant.name}: {problem}")


def require_close(variant: Variant, what: str, found: torch.Tensor, expected: torch.Tensor, **tolerances: Any) -> None:
    torch.testing.assert_close(found, expected, **tolerances, msg=lambda words: f"{variant.name}: {what}: {words}")


def layer_of(variant: Variant, backend: str) -> Layer:
    return make_layer(variant.equations, variant.trace, variant.name, backend)


def random_weights(variant: Variant, M: int = M, N: int = N) -> dict[str, torch.Tensor]:
    """Weights large enough that no gate stands near one half, in the stacks that a layer takes."""
    generator = torch.Generator().manual_seed(0)
    return {
        stack.key: torch.randn(stack.sized(M, N), generator=generator, dtype=torch.float64).requires_grad_()
        for stack in variant.trace.stacks
    }


def random_input(T: int = T, B: int = B, M: int = M) -> torch.Tensor:
    return torch.randn(T, B, M, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
