"""A network's parameters in one flat buffer, so that updating, copying and restoring them are single operations."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor


class Parameters:
    """Named weights, stored side by side.

    Attributes:
        flat: every weight in one vector.
        gradient: the derivatives of the loss, laid out as `flat`.
        weights, gradients: by key, views of the two.
    """

    def __init__(self, shapes: Iterable[tuple[str, tuple[int, ...]]], dtype: torch.dtype = torch.float32) -> None:
        sizes = dict(shapes)
        self.flat = torch.zeros(sum(math.prod(shape) for shape in sizes.values()), dtype=dtype)
        self.gradient = torch.zeros_like(self.flat)
        self.weights: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}
        start = 0
        for key, shape in sizes.items():
            end = start + math.prod(shape)
            self.weights[key] = self.flat[start:end].view(shape)
            self.gradients[key] = self.gradient[start:end].view(shape)
            start = end
