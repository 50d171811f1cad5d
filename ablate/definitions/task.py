"""What a task is: its data, split and shaped, and what counts as success on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from ablate.data.files import file_fingerprint
from ablate.definitions.dataset import Dataset, Sequences
from ablate.definitions.registry import Registry


class ProgressCallback(Protocol):
    """Called with what is being done, how many are done and how many there are."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


Settings = Mapping[str, int | float | bool]


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
    load: Callable[[Path | None, Settings, ProgressCallback], Dataset] | None = (
        None  # the user's own copy, or embedded if None
    )
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


TASKS: Registry[Task] = Registry("task", "ablate.tasks")
