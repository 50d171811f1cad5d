"""What an engine is, and which one runs a variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor

from ablate.cell.reference import ReferenceLayer, State
from ablate.cell.trace import Trace


class Layer(Protocol):
    """One layer of a variant over whole sequences, differentiable in its input and weights."""

    def __call__(self, x: Tensor, weights: Mapping[str, Tensor], state: State | None = None) -> tuple[Tensor, State]:
        """As `ReferenceLayer.__call__`."""
        ...


def make_layer(equations: Callable[..., Any], trace: Trace, engine: str = "auto") -> Layer:
    """The layer of a variant in an engine; `auto` is the fastest that can run it."""
    assert engine in ("auto", "reference"), engine
    return ReferenceLayer(equations, trace)
