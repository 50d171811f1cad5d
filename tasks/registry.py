"""What a task is: its data, split and shaped, and what counts as success on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ablate.registry import Registry

SPLITS = ("train", "validation", "test")


class Progress(Protocol):
    """Called with what is being done, how many are done and how many there are."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Sequences:
    """The sequences of one split, laid end to end; sequence k has `lengths[k]` frames."""

    inputs: npt.NDArray[np.generic]  # (frames, M)
    targets: npt.NDArray[np.generic]  # (frames, K)
    lengths: npt.NDArray[np.int64]  # (sequences,)

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True)
class Dataset:
    """The three splits of a task's data, and where they came from."""

    splits: dict[str, Sequences]  # by the names in SPLITS
    source: str  # for a reader of the report: the package with its version, or the path
    hash: str  # SHA-256 over the arrays: the same numbers give the same hash, whatever their file


@dataclass(frozen=True)
class Task:
    """A data set with an output layer and a score.

    `outputs` names the output layer with its loss; `bernoulli` is a sigmoid layer with K independent units,
    scored in nats per frame.
    """

    name: str
    summary: str  # one line
    description: str  # source, licence, shapes, metric, direction, splits: what --describe prints
    input_size: int  # M
    output_size: int  # K
    outputs: Literal["bernoulli"]
    metric: str  # "nats per frame"
    load: Callable[[Path | None, Progress], Dataset]  # the user's own copy, or the embedded data when None
    baseline: Callable[[Dataset], float]  # the test score of the best constant predictor
    groups: tuple[str, ...] = ()
    defined_at: str = ""
    direction: Literal["minimize"] = "minimize"


TASKS: Registry[Task] = Registry("task")
