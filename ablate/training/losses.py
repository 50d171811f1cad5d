"""Losses and errors of a network's outputs, with the derivatives of the loss.

`binary_cross_entropy`  K independent units; the negative log-likelihood in nats, summed over the units
`cross_entropy`         one class of K; its negative log-likelihood in nats; a wrong class is an error
`squared_error`         K numbers; the squared error, summed over them
`ctc`                   a label without alignment (Graves et al. 2006), the last class being the blank;
                        the errors are the edits from the best path's label to the right one
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from torch import Tensor

from ablate.cell.cpu.primitives import compiled, exp, log1p
from ablate.definitions.dataset import TargetPosition
from ablate.definitions.scores import SCORES
from ablate.training.batches import Batch
from ablate.training.compiled import compiled_loop
from ablate.training.ctc import ctc_loss_and_errors

# The losses by the numbers that compiled code knows them by.
BINARY_CROSS_ENTROPY, CROSS_ENTROPY, SQUARED_ERROR, CTC = range(4)
LOSSES = {
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
    "cross_entropy": CROSS_ENTROPY,
    "squared_error": SQUARED_ERROR,
    "ctc": CTC,
}


@dataclass
class MetricSum:
    """Losses and errors summed over targets, batch by batch."""

    loss: float = 0.0
    errors: float = 0.0
    n_targets: int = 0

    def add(self, loss: float, errors: float, n_targets: int) -> None:
        self.loss += loss
        self.errors += errors
        self.n_targets += n_targets

    def score(self, name: str) -> float:
        """The score of this name, a mean over the targets; NaN where there is none, or a loss was not finite."""
        if not self.n_targets or not math.isfinite(self.loss):
            return math.nan
        return SCORES[name].value(self.loss / self.n_targets, self.errors / self.n_targets)


def loss_and_errors(loss: str, outputs: Tensor, batch: Batch, factor: float = 1.0) -> tuple[float, float]:
    """Loss and errors of a batch, each summed over its targets.

    Args:
        loss: one of LOSSES.
        outputs: (T, B, K), pre-activations; overwritten by `factor` times the derivatives of the loss by them.
    """
    if loss == "ctc":
        assert batch.target_lengths is not None
        labels = batch.targets[:, 0]
        return ctc_loss_and_errors(outputs.numpy(), labels, batch.lengths, batch.target_lengths, factor)
    at_end = batch.target_position is TargetPosition.SEQUENCE_END
    return _loss_and_errors(LOSSES[loss], outputs.numpy(), batch.targets, batch.lengths, at_end, factor)  # type: ignore[call-arg]


# Numba takes the types of what follows from the signature of the last function.


@compiled
def _binary_cross_entropy(row, target, scale):
    zero, one, loss = row.dtype.type(0), row.dtype.type(1), row.dtype.type(0)
    for k in range(row.shape[0]):
        z, hit = row[k], row.dtype.type(target[k])
        e = exp(-abs(z))
        above = one / (one + e)
        loss += (z if z > zero else zero) + log1p(e) - hit * z
        row[k] = ((above if z > zero else one - above) - hit) * scale
    return loss, zero


@compiled
def _cross_entropy(row, target, scale):
    zero, one, total = row.dtype.type(0), row.dtype.type(1), row.dtype.type(0)
    top, right = 0, int(target[0])
    for k in range(row.shape[0]):
        top = k if row[k] > row[top] else top
    highest, at_right = row[top], row[right]
    for k in range(row.shape[0]):
        row[k] = exp(row[k] - highest)
        total += row[k]
    for k in range(row.shape[0]):
        row[k] = (row[k] / total - (one if k == right else zero)) * scale
    return highest + np.log(total) - at_right, zero if top == right else one


@compiled
def _squared_error(row, target, scale):
    loss = row.dtype.type(0)
    for k in range(row.shape[0]):
        difference = row[k] - row.dtype.type(target[k])
        loss += difference * difference
        row[k] = (difference + difference) * scale
    return loss, row.dtype.type(0)


@compiled
def sum_losses(loss_number, outputs, targets, lengths, at_end, factor):
    """Losses and errors of a batch, and in place of the outputs `factor` times the derivatives by them."""
    loss, errors, scale = 0.0, 0.0, outputs.dtype.type(factor)
    for b in range(outputs.shape[1]):
        first = lengths[b] - 1 if at_end else 0
        for t in range(outputs.shape[0]):
            row = outputs[t, b]
            if t < first or t >= lengths[b]:
                row[:] = 0
                continue
            target = targets[0 if at_end else t, b]
            if loss_number == BINARY_CROSS_ENTROPY:
                row_loss, row_errors = _binary_cross_entropy(row, target, scale)
            elif loss_number == CROSS_ENTROPY:
                row_loss, row_errors = _cross_entropy(row, target, scale)
            else:
                row_loss, row_errors = _squared_error(row, target, scale)
            loss += row_loss
            errors += row_errors
    return loss, errors


def _signature(target: types.Type) -> types.Type:
    lengths = types.Array(types.int64, 1, "A", readonly=True)
    targets = types.Array(target, 3, "A", readonly=True)
    pair = types.UniTuple(types.float64, 2)
    return pair(types.int64, types.float32[:, :, ::1], targets, lengths, types.boolean, types.float64)


_SIGNATURES: Any = [_signature(kind) for kind in (types.uint8, types.uint16, types.float32)]


@compiled_loop(*_SIGNATURES)
def _loss_and_errors(loss_number, outputs, targets, lengths, at_end, factor):
    return sum_losses(loss_number, outputs, targets, lengths, at_end, factor)
