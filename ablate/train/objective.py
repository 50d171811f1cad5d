"""Losses, which are also the scores, with their derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
from numba import types

from ablate.cell.numeric import FAST, exp, log1p
from ablate.train.batches import Batch

# Takes a network's outputs (T, B, K) and gives the loss, summed over units and frames; the outputs are overwritten by
# the derivatives of that sum times a factor.
Objective = Callable[[Any, Batch, float], float]

_outputs = types.float32[:, :, ::1]
_targets = types.Array(types.uint8, 3, "A", readonly=True)
_lengths = types.Array(types.int64, 1, "A", readonly=True)


# With its types given, a function is compiled when the module is first imported on a machine, and kept.
@numba.njit(types.float64(_outputs, _targets, _lengths, types.float64), fastmath=FAST, error_model="numpy", cache=True)
def _bernoulli(outputs, targets, lengths, factor):  # Numba takes the types from the signature
    total, scale, one, zero = 0.0, outputs.dtype.type(factor), outputs.dtype.type(1), outputs.dtype.type(0)
    for b in range(outputs.shape[1]):
        for t in range(outputs.shape[0]):
            row, target = outputs[t, b], targets[t, b]
            if t >= lengths[b]:
                row[:] = zero
                continue
            loss = zero
            for k in range(row.shape[0]):
                z, hit = row[k], outputs.dtype.type(target[k])
                e = exp(-abs(z))
                above = one / (one + e)
                positive = z if z > zero else zero
                loss += positive + log1p(e) - hit * z
                row[k] = ((above if z > zero else one - above) - hit) * scale
            total += loss
    return total


def bernoulli(outputs: Any, batch: Batch, factor: float = 1.0) -> float:
    """Negative log-likelihood in nats of K independent binary units.

    Args:
        outputs: (T, B, K), pre-activations; overwritten by `factor` times the derivatives of the loss by them.
    """
    loss = _bernoulli(outputs.numpy(), batch.targets, batch.lengths, factor)
    return loss if math.isfinite(loss) else math.nan


OBJECTIVES: dict[str, Objective] = {"bernoulli": bernoulli}
