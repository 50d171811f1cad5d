"""What a task is: its data, split and shaped, and what counts as success on it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ablate.errors import UserError
from ablate.registry import Registry

SPLITS = ("train", "validation", "test")
LARGEST = 256 * 2**20  # bytes of a user's file; the largest of the known ones has a tenth of it


class Progress(Protocol):
    """Called with what is being done, how many are done and how many there are."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


Settings = Mapping[str, int | float | bool]


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


def files_fingerprint(files: Iterable[Path]) -> str:
    """SHA-256 over paths, sizes and times of change: what identifies a folder without reading it.

    Raises UserError when a file cannot be looked at.
    """
    digest = hashlib.sha256()
    for file in sorted(files):
        try:
            found = file.stat()
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror}); check the path and its permissions") from error
        digest.update(f"{file}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Task:
    """A data set with an output layer and a score.

    The data set is loaded, from the user's own copy or embedded, or generated for each trial from its coordinates.

    `outputs` names the output layer and its loss:

    - `bernoulli` is a sigmoid layer of K independent units,
    - `softmax` chooses one of K classes, at every frame or at the end of a sequence,
    - `squared` gives K numbers,
    - `ctc` chooses at every frame one of K - 1 classes or the blank; its answer is a label without an alignment.

    `score` is what is reported, a mean over all answers of a split: the loss itself in `nats` or `bits`, the squared
    error (`squared`), the share of wrong classes in per cent (`error`), that of right ones (`accuracy`), the edit
    distance of the best path in per cent of the labels' length (`characters`).
    """

    name: str
    summary: str  # one line
    description: str  # source, licence, shapes, metric, direction, splits: what --describe prints
    outputs: Literal["bernoulli", "softmax", "squared", "ctc"]
    score: Literal["nats", "bits", "squared", "error", "accuracy", "characters"]
    metric: str  # the score as figures call it: "nats per frame"
    baseline: Callable[[Dataset, Settings], float]  # the test score of the best constant predictor
    load: Callable[[Path | None, Settings, Progress], Dataset] | None = None  # the user's own copy, or embedded if None
    generate: Callable[[np.random.Generator, int, Settings], Sequences] | None = None  # a number of sequences
    classes: int = 0  # of what is generated, where its targets are classes
    settings: Settings = field(default_factory=dict)  # what of the data can be set, with defaults
    training: Mapping[str, Any] = field(default_factory=dict)  # where this task's training differs from the study's
    bidirectional: bool = False  # whether a frame may be judged by what follows it
    groups: tuple[str, ...] = ()
    defined_at: str = ""
    direction: Literal["minimize", "maximize"] = "minimize"
    version: int = 1  # raised when `load` comes to give other numbers for the same source
    generative: bool = False  # whether it predicts the next of its input symbols, so that a network can write
    # What identifies the source, cheaply; a task whose user's copy is a folder brings its own.
    fingerprint: Callable[[Path | None], str] = file_fingerprint

    @property
    def choices(self) -> Settings:
        """What can be set for this task beside its training, with defaults."""
        return {**self.settings, "bidirectional": True} if self.bidirectional else self.settings


def split_by_fifths(number: int) -> str:
    """The split of what has this number: modulo 5, 3 validates and 4 tests, the other three fifths train."""
    return {3: "validation", 4: "test"}.get(number % 5, "train")


def most_frequent_class(dataset: Dataset, settings: Settings) -> float:
    """Test error in per cent when every answer is the class that is most frequent in training."""
    train, test = (dataset.splits[split].targets[:, 0] for split in ("train", "test"))
    return float(100 * (test != np.bincount(train).argmax()).mean())


TASKS: Registry[Task] = Registry("task")
