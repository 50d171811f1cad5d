"""What a data set is: three splits of sequences, and where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

SPLITS = ("train", "validation", "test")

Array = npt.NDArray[np.generic]
Lengths = npt.NDArray[np.int64]  # (sequences,)


class TargetPosition(StrEnum):
    """Where the targets of a sequence are."""

    EVERY_FRAME = "every_frame"  # one a frame
    SEQUENCE_END = "sequence_end"  # one, at the last frame
    UNALIGNED_LABEL = "unaligned_label"  # classes without alignment to the frames, as CTC learns them
    OWN_SEQUENCE = "own_sequence"  # a sequence of its own, with a length of its own; no loss is trained on it yet


@dataclass(frozen=True)
class Sequences:
    """The sequences of one split, laid end to end; sequence k has `lengths[k]` frames.

    Its targets stand where `target_position` says, `target_counts[k]` rows for sequence k. The targets of a layer that
    chooses among classes are their numbers: K is 1 there. Likewise inputs of one column stand for one-hot vectors where
    the data set's input is wider than that.
    """

    inputs: Array  # (frames, M), or (frames, 1) of the numbers of symbols
    targets: Array  # (sum of target_counts, K); uint8, uint16 or float32
    lengths: Lengths  # frames of each sequence
    target_position: TargetPosition = TargetPosition.EVERY_FRAME  # which rows of targets belong to which frames
    target_lengths: Lengths | None = None  # where a target has a length of its own: UNALIGNED_LABEL and OWN_SEQUENCE

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """Inputs (frames, M) and targets (rows, K) of one sequence after the other."""
        cuts, target_cuts = np.cumsum(self.lengths)[:-1], np.cumsum(self.target_counts)[:-1]
        return zip(np.split(self.inputs, cuts), np.split(self.targets, target_cuts), strict=True)

    @property
    def target_counts(self) -> Lengths:
        """How many rows of `targets` each sequence has."""
        if self.target_position is TargetPosition.EVERY_FRAME:
            return self.lengths
        if self.target_position is TargetPosition.SEQUENCE_END:
            return np.ones(len(self.lengths), np.int64)
        if self.target_lengths is None:
            raise ValueError(f"sequences whose targets are a {self.target_position} need target_lengths")
        return self.target_lengths

    def first(self, count: int) -> Sequences:
        """The first `count` sequences."""
        frames, targets = int(self.lengths[:count].sum()), int(self.target_counts[:count].sum())
        own = None if self.target_lengths is None else self.target_lengths[:count]
        return Sequences(self.inputs[:frames], self.targets[:targets], self.lengths[:count], self.target_position, own)

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays that there are, by name."""
        every = {"inputs": self.inputs, "targets": self.targets, "lengths": self.lengths}
        return every if self.target_lengths is None else {**every, "target_lengths": self.target_lengths}


@dataclass(frozen=True)
class Dataset:
    """The three splits of a task's data, and where they came from."""

    splits: dict[str, Sequences]  # by the names in SPLITS
    source: str  # for a reader of the report: the package with its version, or the path
    input_size: int  # M
    output_size: int  # K; for labels this counts the blank, which is the last class
    class_names: tuple[str, ...] = ()  # the characters, where classes are such; without the blank
    notes: tuple[str, ...] = ()  # what a reader should know of this copy: counts that differ from the published ones
    hash: str = ""  # SHA-256 over the arrays: the same numbers give the same hash, whatever their file

    def __post_init__(self) -> None:
        if not self.hash:
            object.__setattr__(self, "hash", content_hash(self.splits))


def content_hash(splits: dict[str, Sequences]) -> str:
    """SHA-256 over the dtypes, shapes and numbers of a data set's arrays, in the order of SPLITS."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for array in splits[split].arrays.values():
            # The byte order is fixed, so that a big-endian machine or file gives the same hash.
            array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()
