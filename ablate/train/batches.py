"""Sequences as padded batches, time first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tasks.registry import Sequences

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """B sequences of up to T frames."""

    x: Tensor  # (T, B, M)
    targets: Tensor  # (T, B, K)
    mask: Tensor | None  # (T, B, 1): 1 for a frame, 0 for padding; None if there is no padding
    frames: int  # without the padding
    sequences: int


def batches(
    data: Sequences, order: npt.NDArray[np.int64], size: int, noise: FloatArray | None = None
) -> Iterator[Batch]:
    """The sequences in the given order, `size` at a time; `noise` (frames, M) is added to the inputs.

    Sequences are causal, so padding behind a sequence's end cannot reach it; the mask keeps it out of the loss.
    """
    # Plain views of the mapped files: cutting a memory map itself is slow.
    inputs, all_targets = np.asarray(data.inputs), np.asarray(data.targets)
    ends = np.cumsum(data.lengths)
    starts = ends - data.lengths
    for first in range(0, len(order), size):
        chosen = order[first : first + size]
        lengths = data.lengths[chosen]
        longest = int(lengths.max())
        x = np.zeros((longest, len(chosen), inputs.shape[1]), np.float32)
        targets = np.zeros((longest, len(chosen), all_targets.shape[1]), np.float32)
        for column, (k, length) in enumerate(zip(chosen, lengths, strict=True)):
            frames = slice(starts[k], ends[k])
            x[:length, column] = inputs[frames]
            targets[:length, column] = all_targets[frames]
            if noise is not None:
                x[:length, column] += noise[frames]
        padded = bool((lengths != longest).any())
        mask = (np.arange(longest)[:, None] < lengths)[:, :, None].astype(np.float32) if padded else None
        yield Batch(
            torch.from_numpy(x),
            torch.from_numpy(targets),
            None if mask is None else torch.from_numpy(mask),
            int(lengths.sum()),
            len(chosen),
        )


def by_length(data: Sequences) -> npt.NDArray[np.int64]:
    """An order that puts sequences of like length together, so that evaluation pads little."""
    return np.argsort(data.lengths, kind="stable")
