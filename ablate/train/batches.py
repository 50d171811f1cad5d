"""Sequences as padded batches, time first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tasks.registry import Sequences

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Batch:
    """B sequences of up to T frames."""

    x: Tensor  # (T, B, M), float32
    targets: Array  # (T, B, K), or (1, B, K) where a sequence has one answer
    lengths: npt.NDArray[np.int64]  # (B,): frames beyond them are padding
    at_end: bool = False  # whether a sequence has one answer, at its last frame, and not one at every frame

    @property
    def answers(self) -> int:
        """How many answers are scored."""
        return len(self.lengths) if self.at_end else int(self.lengths.sum())


class Frames:
    """A split's frames in memory, from which batches are cut."""

    def __init__(self, data: Sequences) -> None:
        # Plain arrays: cutting a memory map itself is slow.
        self._clean = np.asarray(data.inputs).astype(np.float32)
        self._inputs = self._clean
        self._targets = np.asarray(data.targets)
        self._lengths = np.asarray(data.lengths)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._at_end = data.at_end

    def add_noise(self, generator: np.random.Generator, spread: float) -> None:
        """Lay fresh Gaussian noise over the inputs."""
        if spread:
            if self._inputs is self._clean:
                self._inputs = np.empty_like(self._clean)
            generator.standard_normal(dtype=np.float32, out=self._inputs)
            self._inputs *= np.float32(spread)
            self._inputs += self._clean

    def batches(self, order: npt.NDArray[np.int64], size: int) -> Iterator[Batch]:
        """The sequences in the given order, `size` at a time.

        Sequences are causal, so padding behind a sequence's end cannot reach it; the loss leaves it out.
        """
        for first in range(0, len(order), size):
            chosen = order[first : first + size]
            lengths = self._lengths[chosen]
            if len(chosen) == 1:  # nothing to pad, so nothing to copy
                start = self._starts[chosen[0]]
                frames = slice(start, start + lengths[0])
                x = self._inputs[frames, None]
                targets = self._targets[chosen, None] if self._at_end else self._targets[frames, None]
            else:
                x, targets = self._padded(chosen, lengths)
            yield Batch(torch.from_numpy(x), targets, lengths, self._at_end)

    def _padded(self, chosen: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        longest = int(lengths.max())
        x = np.zeros((longest, len(chosen), self._inputs.shape[1]), np.float32)
        steps = 1 if self._at_end else longest
        targets = np.zeros((steps, len(chosen), self._targets.shape[1]), self._targets.dtype)
        for column, (k, length) in enumerate(zip(chosen, lengths, strict=True)):
            frames = slice(self._starts[k], self._starts[k] + length)
            x[:length, column] = self._inputs[frames]
            targets[: 1 if self._at_end else length, column] = self._targets[k if self._at_end else frames]
        return x, targets


def by_length(data: Sequences) -> npt.NDArray[np.int64]:
    """An order that puts sequences of like length together, so that evaluation pads little."""
    return np.argsort(data.lengths, kind="stable")
