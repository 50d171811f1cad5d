"""Sequences of a split packed into few arrays of single precision, batch after batch, for the compiled passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from ablate.definitions.dataset import Sequences, TargetPosition
from ablate.training.compiled import compiled_loop
from ablate.training.noise import Noise

Array = npt.NDArray[Any]
# The columns of the table of batches: frames, sequences; the first row among the inputs' and among the targets', the
# first among the sequences.
FRAMES, SEQUENCES, FIRST_ROW, FIRST_TARGET, FIRST_SEQUENCE = range(5)
# In one call, if no single batch has more: enough to forget the call, little enough for the caches.
PACKED_FRAMES, PACKED_NUMBERS = 4096, 1_000_000


@dataclass(frozen=True)
class PackedBatches:
    """Batches in turn, each of T frames of B sequences, time first, padded at the end.

    Attributes:
        inputs: (all frames of all batches, M).
        targets: (the same, K) at every frame, or (sequences, K) at their ends; labels end to end, (rows, 1).
        batches: (batches, 5): T, B, and the first row among the inputs, the targets and the sequences.
        lengths, target_lengths: of each sequence; zeros in place of lengths of labels that are not there.
    """

    inputs: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]
    batches: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    target_lengths: npt.NDArray[np.int64]


class Packer:
    """A split, from which batches are packed; its arrays stay where they are, memory-mapped or not.

    Args:
        input_size: M; where the inputs have one column and M is more, they are the numbers of one-hot vectors.
    """

    def __init__(self, data: Sequences, input_size: int) -> None:
        self._inputs, self._targets = np.asarray(data.inputs), np.asarray(data.targets)
        self._lengths = np.ascontiguousarray(data.lengths, np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._width = input_size
        self._position = data.target_position
        self._target_lengths = None if data.target_lengths is None else np.asarray(data.target_lengths, np.int64)
        self._target_starts = np.cumsum(data.target_counts) - data.target_counts

    def packed(self, order: npt.NDArray[np.int64], size: int, noise: Noise | None = None) -> Iterator[PackedBatches]:
        """The sequences in the given order, `size` to a batch, many batches at a time."""
        firsts = np.arange(0, len(order), size)
        frames = np.maximum.reduceat(self._lengths[order], firsts)
        rows = np.cumsum(frames * np.minimum(size, len(order) - firsts))
        most = min(PACKED_FRAMES, max(PACKED_NUMBERS // self._width, 1))
        place = 0
        while place < len(firsts):
            before = rows[place - 1] if place else 0
            end = max(place + 1, int(np.searchsorted(rows, before + most, side="right")))
            yield self._pack(order[firsts[place] : firsts[end] if end < len(firsts) else len(order)], size, noise)
            place = end

    def _pack(self, chosen: npt.NDArray[np.int64], size: int, noise: Noise | None) -> PackedBatches:
        lengths, starts = self._lengths[chosen], self._starts[chosen]
        firsts = np.arange(0, len(chosen), size)
        batches = np.zeros((len(firsts), 5), np.int64)
        batches[:, FRAMES] = np.maximum.reduceat(lengths, firsts)
        batches[:, SEQUENCES] = np.minimum(size, len(chosen) - firsts)
        rows = batches[:, FRAMES] * batches[:, SEQUENCES]
        batches[:, FIRST_ROW] = np.cumsum(rows) - rows
        batches[:, FIRST_SEQUENCE] = firsts
        n_rows = int(rows.sum())
        inputs = np.zeros((n_rows, self._width), np.float32)
        one_hot = self._inputs.shape[1] != self._width
        _pack(self._inputs, starts, lengths, batches, one_hot, inputs)  # type: ignore[call-arg]
        if noise is not None:
            noise.add_to(inputs)
        target_lengths = np.zeros_like(lengths)
        if self._target_lengths is not None:
            target_lengths = self._target_lengths[chosen]
            first = self._target_starts[chosen]
            places = [np.arange(start, start + length) for start, length in zip(first, target_lengths, strict=True)]
            targets = self._targets[np.concatenate(places)].astype(np.float32)
            batches[:, FIRST_TARGET] = (np.cumsum(target_lengths) - target_lengths)[firsts]
        elif self._position is TargetPosition.SEQUENCE_END:
            targets = self._targets[chosen].astype(np.float32)
            batches[:, FIRST_TARGET] = firsts
        else:
            targets = np.zeros((n_rows, self._targets.shape[1]), np.float32)
            _pack(self._targets, starts, lengths, batches, False, targets)  # type: ignore[call-arg]
            batches[:, FIRST_TARGET] = batches[:, FIRST_ROW]
        return PackedBatches(inputs, targets, batches, lengths, target_lengths)


def _signature(kind: types.Type) -> Any:
    indices, table = types.Array(types.int64, 1, "C"), types.Array(types.int64, 2, "C")
    rows = types.Array(kind, 2, "A", readonly=True)
    return types.void(rows, indices, indices, table, types.boolean, types.float32[:, ::1])


_SIGNATURES: Any = [_signature(kind) for kind in (types.uint8, types.uint16, types.float32)]


@compiled_loop(*_SIGNATURES)
def _pack(rows, starts, lengths, batches, one_hot, out):  # Numba takes the types from the signature
    for place in range(len(batches)):
        B, first_row, first = batches[place, SEQUENCES], batches[place, FIRST_ROW], batches[place, FIRST_SEQUENCE]
        for b in range(B):
            start = starts[first + b]
            for t in range(lengths[first + b]):
                row = out[first_row + t * B + b]
                if one_hot:
                    row[int(rows[start + t, 0])] = 1
                else:
                    for k in range(len(row)):
                        row[k] = rows[start + t, k]
