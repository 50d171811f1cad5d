"""What a layer of a variant is, whichever backend makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    State = tuple[Tensor, ...]


class Layer(Protocol):
    """One layer of a variant over whole sequences, differentiable in its input, its initial state and its weights."""

    def __call__(self, x: Tensor, weights: Mapping[str, Tensor], state: State | None = None) -> tuple[Tensor, State]:
        """As `ReferenceLayer.__call__`."""
        ...

    def bind(self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> BoundLayer:
        """As `ReferenceLayer.bind`."""
        ...


class BoundLayer(Protocol):
    """One layer over its weights: forward and backward in turn, without a framework's graph between them."""

    def forward(self, x: Tensor, state: State | None = None, training: bool = True) -> tuple[Tensor, State]:
        """As `ReferenceBoundLayer.forward`."""
        ...

    def backward(self, d_y: Tensor, d_last: State | None = None, want_d_x: bool = False) -> tuple[Tensor | None, State]:
        """As `ReferenceBoundLayer.backward`."""
        ...

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As `ReferenceBoundLayer.step`."""
        ...
