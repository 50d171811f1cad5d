"""Losses and scores of a network's outputs, with the derivatives of the loss.

`bernoulli`  K independent units; the score is the loss, the negative log-likelihood in nats summed over the units
`softmax`    one class of K; the loss is its negative log-likelihood in nats, the score the error in per cent
`squared`    K numbers; loss and score are the squared error, summed over them
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba import types
from torch import Tensor

from ablate.cell.numeric import FAST, compiled, exp, log1p
from ablate.train.batches import Batch

BERNOULLI, SOFTMAX, SQUARED = range(3)
OBJECTIVES = {"bernoulli": BERNOULLI, "softmax": SOFTMAX, "squared": SQUARED}


def judge(objective: str, outputs: Tensor, batch: Batch, factor: float = 1.0) -> tuple[float, float]:
    """Loss and score of a batch, each summed over its answers; both are NaN where the loss is not finite.

    Args:
        objective: one of OBJECTIVES.
        outputs: (T, B, K), pre-activations; overwritten by `factor` times the derivatives of the loss by them.
    """
    loss, score = _judge(OBJECTIVES[objective], outputs.numpy(), batch.targets, batch.lengths, batch.at_end, factor)  # type: ignore[call-arg]
    return (loss, score) if math.isfinite(loss) else (math.nan, math.nan)


# Numba takes the types of what follows from the signature of the last function.


@compiled
def _bernoulli(row, target, scale):
    zero, one, loss = row.dtype.type(0), row.dtype.type(1), row.dtype.type(0)
    for k in range(row.shape[0]):
        z, hit = row[k], row.dtype.type(target[k])
        e = exp(-abs(z))
        above = one / (one + e)
        loss += (z if z > zero else zero) + log1p(e) - hit * z
        row[k] = ((above if z > zero else one - above) - hit) * scale
    return loss, loss


@compiled
def _softmax(row, target, scale):
    zero, one, total = row.dtype.type(0), row.dtype.type(1), row.dtype.type(0)
    top, right = 0, int(target[0])
    for k in range(row.shape[0]):
        top = k if row[k] > row[top] else top
    highest, answer = row[top], row[right]
    for k in range(row.shape[0]):
        row[k] = exp(row[k] - highest)
        total += row[k]
    for k in range(row.shape[0]):
        row[k] = (row[k] / total - (one if k == right else zero)) * scale
    return highest + np.log(total) - answer, zero if top == right else row.dtype.type(100)


@compiled
def _squared(row, target, scale):
    loss = row.dtype.type(0)
    for k in range(row.shape[0]):
        difference = row[k] - row.dtype.type(target[k])
        loss += difference * difference
        row[k] = (difference + difference) * scale
    return loss, loss


def _signature(target: types.Type) -> types.Type:
    lengths = types.Array(types.int64, 1, "A", readonly=True)
    targets = types.Array(target, 3, "A", readonly=True)
    pair = types.UniTuple(types.float64, 2)
    return pair(types.int64, types.float32[:, :, ::1], targets, lengths, types.boolean, types.float64)


# With its types given, a function is compiled when the module is first imported on a machine, and kept.
_SIGNATURES: Any = [_signature(types.uint8), _signature(types.float32)]


@numba.njit(_SIGNATURES, fastmath=FAST, error_model="numpy", cache=True)
def _judge(objective, outputs, targets, lengths, at_end, factor):
    loss, score, scale = 0.0, 0.0, outputs.dtype.type(factor)
    for b in range(outputs.shape[1]):
        first = lengths[b] - 1 if at_end else 0
        for t in range(outputs.shape[0]):
            row = outputs[t, b]
            if t < first or t >= lengths[b]:
                row[:] = 0
                continue
            target = targets[0 if at_end else t, b]
            if objective == BERNOULLI:
                row_loss, row_score = _bernoulli(row, target, scale)
            elif objective == SOFTMAX:
                row_loss, row_score = _softmax(row, target, scale)
            else:
                row_loss, row_score = _squared(row, target, scale)
            loss += row_loss
            score += row_score
    return loss, score
