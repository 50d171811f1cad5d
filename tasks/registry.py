"""What a task is: its data, split and shaped, and what counts as success on it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ablate.errors import UserError
from ablate.registry import Registry

SPLITS = ("train", "validation", "test")
LARGEST = 256 * 2**20  # bytes of a user's file; the largest of the known ones has a tenth of it


class Progress(Protocol):
    """Called with what is being done, how many are done and how many there are."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Sequences:
    """The sequences of one split, laid end to end; sequence k has `lengths[k]` frames.

    The targets of a softmax layer are classes, one number each: K is 1 there.
    """

    inputs: npt.NDArray[np.generic]  # (frames, M)
    targets: npt.NDArray[np.generic]  # (frames, K), or (sequences, K) where a sequence has one answer, at its end
    lengths: npt.NDArray[np.int64]  # (sequences,)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def at_end(self) -> bool:
        """Whether a sequence has one answer, at its last frame, and not one at every frame."""
        return len(self.targets) != len(self.inputs)


@dataclass(frozen=True)
class Dataset:
    """The three splits of a task's data, and where they came from."""

    splits: dict[str, Sequences]  # by the names in SPLITS
    source: str  # for a reader of the report: the package with its version, or the path
    hash: str  # SHA-256 over the arrays: the same numbers give the same hash, whatever their file


def content_hash(splits: dict[str, Sequences]) -> str:
    """SHA-256 over the dtypes, shapes and numbers of a data set's arrays, in the order of SPLITS."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for array in (splits[split].inputs, splits[split].targets, splits[split].lengths):
            # The byte order is fixed, so that a big-endian machine or file gives the same hash.
            array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()


def read_file(path: Path) -> bytes:
    """The contents of a user's file; raises UserError when it is missing, no regular file, unreadable or too large."""
    try:
        if path.exists() and not path.is_file():  # reading a folder fails, reading a device or a pipe may never end
            raise UserError(f"{path}: not a file; give the path of the data file itself")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); check the path and its permissions") from error
    if len(data) > LARGEST:
        raise UserError(f"{path}: larger than {LARGEST >> 20} MiB; check that it is the data file itself")
    return data


def file_fingerprint(path: Path | None) -> str:
    """SHA-256 of the user's file (UserError when it cannot be read), or `embedded` when there is none."""
    return "embedded" if path is None else hashlib.sha256(read_file(path)).hexdigest()


@dataclass(frozen=True)
class Task:
    """A data set with an output layer and a score.

    `outputs` names the output layer with its loss and score: `bernoulli` is a sigmoid layer with K independent units,
    scored in nats; `softmax` chooses one of K classes, scored by the error in per cent; `squared` gives K numbers,
    scored by the squared error. A score is the mean over all answers of a split.
    """

    name: str
    summary: str  # one line
    description: str  # source, licence, shapes, metric, direction, splits: what --describe prints
    input_size: int  # M
    output_size: int  # K
    outputs: Literal["bernoulli", "softmax", "squared"]
    metric: str  # "nats per frame"
    load: Callable[[Path | None, Progress], Dataset]  # the user's own copy, or the embedded data when None
    baseline: Callable[[Dataset], float]  # the test score of the best constant predictor
    groups: tuple[str, ...] = ()
    defined_at: str = ""
    direction: Literal["minimize"] = "minimize"
    version: int = 1  # raised when `load` comes to give other numbers for the same source
    # What identifies the source, cheaply; a task whose user's copy is a folder brings its own.
    fingerprint: Callable[[Path | None], str] = file_fingerprint


TASKS: Registry[Task] = Registry("task")
