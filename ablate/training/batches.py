"""Sequences as padded batches, time first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ablate.definitions.dataset import Sequences, TargetPosition
from ablate.training.noise import Noise

if TYPE_CHECKING:
    from ablate.definitions.task import Task
    from ablate.training.network import Network

Array = npt.NDArray[Any]
# What is evaluated at once: enough to fill the products, little enough to stay small in memory.
EVALUATION_SEQUENCES, EVALUATION_FRAMES, EVALUATION_NUMBERS = 64, 1000, 16_000_000


@dataclass(frozen=True)
class Batch:
    """B sequences of up to T frames."""

    x: Tensor  # (T, B, M), float32
    targets: Array  # (T, B, K) at every frame; (1, B, K) at the sequences' ends; labels end to end, (rows, 1)
    lengths: npt.NDArray[np.int64]  # (B,): frames beyond them are padding
    target_position: TargetPosition = TargetPosition.EVERY_FRAME
    target_lengths: npt.NDArray[np.int64] | None = None  # (B,), of labels

    @property
    def n_targets(self) -> int:
        """How many targets are scored."""
        if self.target_lengths is not None:
            return int(self.target_lengths.sum())
        T = len(self.x)
        if self.target_position is TargetPosition.SEQUENCE_END:
            return int(((self.lengths > 0) & (self.lengths <= T)).sum())
        return int(self.lengths.clip(0, T).sum())

    def split(self, size: int) -> Iterator[Batch]:
        """The batch in parts of up to `size` frames, in turn.

        The lengths of a part count from its start, so they may lie behind its end or before its start.
        """
        for first in range(0, len(self.x), size):
            frames = slice(first, first + size)
            targets = self.targets[frames] if self.target_position is TargetPosition.EVERY_FRAME else self.targets
            yield Batch(self.x[frames], targets, self.lengths - first, self.target_position)


class BatchLoader:
    """A split, from which batches are cut; its arrays stay where they are, memory-mapped or not.

    Args:
        input_size: M; where the inputs have one column and M is more, they are the numbers of one-hot vectors.
    """

    def __init__(self, data: Sequences, input_size: int) -> None:
        # Plain views: cutting a memory map itself is slow.
        self._inputs, self._targets = np.asarray(data.inputs), np.asarray(data.targets)
        self._lengths = np.asarray(data.lengths)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._width = input_size
        self._position = data.target_position
        self._target_lengths = None if data.target_lengths is None else np.asarray(data.target_lengths)
        self._target_ends = np.cumsum(data.target_counts)

    def batches(self, order: npt.NDArray[np.int64], size: int, noise: Noise | None = None) -> Iterator[Batch]:
        """The sequences in the given order, `size` at a time.

        Padding lies behind a sequence's end, so it cannot reach what a network makes of the sequence from its start;
        the loss leaves it out.
        """
        for first in range(0, len(order), size):
            chosen = order[first : first + size]
            lengths = self._lengths[chosen]
            x = np.zeros((int(lengths.max()), len(chosen), self._width), np.float32)
            for column, k in enumerate(chosen):
                self._put(x[: lengths[column], column], slice(self._starts[k], self._starts[k] + lengths[column]))
            if noise is not None:
                noise.add_to(x)
            target_lengths = None if self._target_lengths is None else self._target_lengths[chosen]
            targets = self._targets_of(chosen, lengths, target_lengths)
            yield Batch(torch.from_numpy(x), targets, lengths, self._position, target_lengths)

    def _put(self, x: Array, frames: slice) -> None:
        inputs: Array = self._inputs[frames]
        if inputs.shape[1] == self._width:
            x[:] = inputs
        else:
            x[np.arange(len(inputs)), inputs[:, 0]] = 1

    def _targets_of(
        self,
        chosen: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        target_lengths: npt.NDArray[np.int64] | None,
    ) -> Array:
        if target_lengths is not None:
            ends = self._target_ends[chosen]
            places = zip(ends - target_lengths, ends, strict=True)
            return np.concatenate([self._targets[start:end] for start, end in places])
        if self._position is TargetPosition.SEQUENCE_END:
            return self._targets[chosen][None]
        if len(chosen) == 1:  # nothing to pad, so nothing to copy
            return self._targets[self._starts[chosen[0]] : self._starts[chosen[0]] + lengths[0], None]
        targets = np.zeros((int(lengths.max()), len(chosen), self._targets.shape[1]), self._targets.dtype)
        for column, (k, length) in enumerate(zip(chosen, lengths, strict=True)):
            targets[:length, column] = self._targets[self._starts[k] : self._starts[k] + length]
        return targets


def order_by_length(data: Sequences) -> npt.NDArray[np.int64]:
    """An order that puts sequences of like length together, so that evaluation pads little."""
    return np.argsort(data.lengths, kind="stable")


def evaluation_batches(network: Network, task: Task, sequences: Sequences) -> tuple[int, int]:
    """How many sequences are evaluated at once, and in parts of how many frames; 0: whole.

    A bidirectional layer, and a label without alignment, need whole sequences.
    """
    whole = network.bidirectional or task.loss == "ctc"
    longest = int(sequences.lengths.max())
    frames = longest if whole else min(longest, EVALUATION_FRAMES)
    numbers = longest * network.M + frames * network.numbers_per_frame  # of one sequence
    return min(max(EVALUATION_NUMBERS // numbers, 1), EVALUATION_SEQUENCES), 0 if whole else EVALUATION_FRAMES
