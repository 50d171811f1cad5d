"""What a data set is: three splits of sequences, and where they came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Sequences:
    """The sequences of one split, laid end to end; sequence k has `lengths[k]` frames.

    Its targets are one a frame, or one at its end, or a label of `label_lengths[k]` classes. The targets of a layer
    that chooses among classes are their numbers: K is 1 there. Likewise inputs of one column stand for one-hot vectors
    where the data set's input is wider than that.
    """

    inputs: npt.NDArray[np.generic]  # (frames, M), or (frames, 1) of the numbers of symbols
    targets: npt.NDArray[np.generic]  # (frames, K), (sequences, K) or (sum of label_lengths, 1); uint8, uint16, float32
    lengths: npt.NDArray[np.int64]  # (sequences,)
    label_lengths: npt.NDArray[np.int64] | None = None  # (sequences,)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def at_end(self) -> bool:
        """Whether a sequence has one answer, at its last frame, and not one at every frame."""
        return self.label_lengths is None and len(self.targets) != len(self.inputs)

    def first(self, count: int) -> Sequences:
        """The first `count` sequences."""
        lengths, labels = self.lengths[:count], self.label_lengths
        answers = count if self.at_end else int(lengths.sum())
        if labels is not None:
            labels = labels[:count]
            answers = int(labels.sum())
        return Sequences(self.inputs[: int(lengths.sum())], self.targets[:answers], lengths, labels)

    @property
    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays that there are, by name."""
        every = {"inputs": self.inputs, "targets": self.targets, "lengths": self.lengths}
        return every if self.label_lengths is None else {**every, "label_lengths": self.label_lengths}


@dataclass(frozen=True)
class Dataset:
    """The three splits of a task's data, and where they came from."""

    splits: dict[str, Sequences]  # by the names in SPLITS
    source: str  # for a reader of the report: the package with its version, or the path
    input_size: int  # M
    output_size: int  # K; for labels this counts the blank, which is the last class
    classes: tuple[str, ...] = ()  # the names of classes, or the characters of symbols; without the blank
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
