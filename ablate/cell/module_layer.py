"""A module of PyTorch that makes one step, run over whole sequences as a layer of the reference backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ablate.cell.reference import ReferenceBoundLayer, State
from ablate.errors import UserError

FIRST_STATE = "; the first state is None, unless the module has a method initial_state(B) that gives it"


class Steps(nn.Module):
    """The steps of a cell, one after the other.

    The cell is called as PyTorch's own are, `cell(x, state)`, with x (B, M) and at first the state None, or what its
    `initial_state(B)` gives if it has such a method. It returns the new state, a tensor or a tuple of tensors, of which
    the first is the output (B, N); or the output and the new state, which then is a tuple of its own, or a tensor where
    the state before was one. The first dimension of each tensor is that of the batch.
    """

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell
        self.bare = self.last_bare = False  # whether the state is a tensor, not a tuple

    @classmethod
    def checked(cls, cell: nn.Module, M: int, N: int, place: str) -> Steps:
        """The steps of a cell that has been tried out on two sequences.

        Raises:
            UserError: it raises an exception, or gives other shapes; the message starts with `place`.
        """
        steps, B = cls(cell).eval(), 2
        like = next(cell.parameters())
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                x = like.new_zeros(1, B, M)
                _, *state = steps(x, None)
                steps.bare = steps.last_bare
                y, *state = steps(x, tuple(state))  # and from there, as a sequence goes on
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        except Exception as error:
            first = "" if hasattr(cell, "initial_state") or "None" not in str(error) else FIRST_STATE
            raise UserError(f"{place}: {type(error).__name__}: {error}{first}") from error
        if y.shape != (1, B, N):
            raise UserError(f"{place}: its output for {B} sequences has the shape {tuple(y.shape[1:])}, not {(B, N)}")
        for each in state:
            if each.ndim == 0 or each.shape[0] != B:
                raise UserError(
                    f"{place}: a state for {B} sequences has the shape {tuple(each.shape)}; the first dimension must "
                    "be that of the batch"
                )
        return steps

    def forward(self, x: Tensor, given: State | None) -> tuple[Tensor, ...]:
        """(T, B, N), the output at every step, and the state after the last one, tensor by tensor."""
        state: Any = None
        if given is not None:
            state = given[0] if self.bare else given
        elif callable(own := getattr(self.cell, "initial_state", None)):
            state = own(x.shape[1])
            state = state.to(x) if isinstance(state, Tensor) else tuple(each.to(x) for each in state)
        outputs = []
        for step in x.unbind(0):
            y, state = _output_and_state(self.cell(step, state), state)
            outputs.append(y)
        self.last_bare = isinstance(state, Tensor)
        return torch.stack(outputs), *((state,) if self.last_bare else state)


def _output_and_state(found: Any, before: Any) -> tuple[Tensor, Any]:
    if isinstance(found, Tensor):
        return found, found
    pair = isinstance(found, tuple | list) and len(found) == 2
    if pair and isinstance(before, Tensor):
        y, state = found
    elif pair and isinstance(found[1], tuple | list):
        y, state = found[0], tuple(found[1])
    else:
        state = tuple(found) if isinstance(found, tuple | list) else ()
        y = state[0] if state else None
    parts = (state,) if isinstance(state, Tensor) else state
    if not isinstance(y, Tensor) or not all(isinstance(each, Tensor) for each in parts):
        raise UserError(
            f"it returns a {type(found).__name__}; it must return its new state, a tensor or a tuple of tensors of "
            "which the first is the output, or (output, (state, ...)), or (output, state) where initial_state gives a "
            "tensor"
        )
    return y, state


class ModuleLayer:
    """A module over whole sequences, as `ReferenceLayer`; its state has whatever shapes it has."""

    def __init__(self, steps: Steps, training: bool = True) -> None:
        self._steps, self._training = steps, training

    def __call__(self, x: Tensor, weights: Mapping[str, Tensor], state: State | None = None) -> tuple[Tensor, State]:
        """As `ReferenceLayer.__call__`; the weights are the module's parameters, by name."""
        self._steps.train(self._training and torch.is_grad_enabled())
        buffers = {
            name: each.to(x) if each.is_floating_point() else each.to(x.device)
            for name, each in self._steps.named_buffers()
        }
        named = {f"cell.{name}": weight for name, weight in weights.items()}
        y, *last = functional_call(self._steps, {**buffers, **named}, (x, state))
        return y, tuple(last)

    def zero_state(self, x: Tensor, units: int) -> State | None:
        """None: the module makes its own."""
        return None

    def bind(self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> ReferenceBoundLayer:
        """As `ReferenceLayer.bind`."""
        return ReferenceBoundLayer(self, weights, gradients)
