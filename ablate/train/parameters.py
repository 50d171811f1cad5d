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
        leaves: by key, views of it of which autograd computes gradients; these gather in `flat.grad`.
    """

    def __init__(self, shapes: Iterable[tuple[str, tuple[int, ...]]], dtype: torch.dtype = torch.float32) -> None:
        sizes = dict(shapes)
        self.flat = torch.zeros(sum(math.prod(shape) for shape in sizes.values()), dtype=dtype)
        self.flat.grad = torch.zeros_like(self.flat)
        self.leaves: dict[str, Tensor] = {}
        start = 0
        for key, shape in sizes.items():
            end = start + math.prod(shape)
            leaf = self.flat[start:end].view(shape).requires_grad_()
            leaf.grad = self.flat.grad[start:end].view(shape)  # autograd adds to a gradient that is there already
            self.leaves[key] = leaf
            start = end
