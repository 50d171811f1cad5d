"""Losses, which are also the scores: summed over a batch's frames, to be divided by the frames of a split."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ablate.train.batches import Batch

Objective = Callable[[Tensor, Batch], Tensor]


def bernoulli(outputs: Tensor, batch: Batch) -> Tensor:
    """Negative log-likelihood in nats of K independent binary units, summed over units and frames."""
    if batch.mask is None:
        return binary_cross_entropy_with_logits(outputs, batch.targets, reduction="sum")
    return (binary_cross_entropy_with_logits(outputs, batch.targets, reduction="none") * batch.mask).sum()


OBJECTIVES: dict[str, Objective] = {"bernoulli": bernoulli}
