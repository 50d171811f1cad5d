"""What a task is: its data, split and shaped, and what counts as success on it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ablate.definitions.baseline import best_constant
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.registry import Registry
from ablate.definitions.scores import LOSSES, LOSSES_OF_CLASSES, SCORES, Direction, Loss
from ablate.errors import UserError
from ablate.files import file_fingerprint


class ProgressCallback(Protocol):
    """Called with what is being done, how many are done and how many there are."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


Settings = Mapping[str, Any]  # int, float, bool or str

SEQUENCE_COUNTS = {"train": 1000, "validation": 300, "test": 1000}  # settings of every generated task


@dataclass(frozen=True)
class Task:
    """A data set with an output layer and a score.

    The data set is loaded, from the user's own copy or embedded, or generated for each trial from its coordinates.

    Raises:
        UserError: a loss or score that is not known, or parts that do not fit each other.
    """

    name: str  # on the command line, in tables and in figures
    summary: str  # one line
    loss: Loss  # with the output layer that belongs to it: see ablate.definitions.scores
    score: str  # what is reported, a mean over all targets of a split: a name in SCORES
    # Where the targets of a sequence are; a function where a setting decides it.
    target_position: TargetPosition | Callable[[Settings], TargetPosition] = TargetPosition.EVERY_FRAME
    description: str = ""  # source, licence, shapes, score, splits: what --describe prints
    # From the user's own copy, or embedded if the path is None.
    load: Callable[[Path | None, Settings, ProgressCallback], Dataset] | None = None
    generate: Callable[[np.random.Generator, int, Settings], Sequences] | None = None  # a number of sequences
    # The test score of the best constant predictor; computed from the data where the task says none, but for `ctc`.
    baseline: Callable[[Dataset, Settings], float] | None = None
    unit: str = ""  # the score as figures print it, such as "nats per frame"; the unit of SCORES if empty
    n_classes: int = 0  # of what is generated, where its targets are classes; without the blank
    # Of the data, with defaults; SEQUENCE_COUNTS are among those of what is generated.
    settings: Settings = field(default_factory=dict)
    training_overrides: Mapping[str, Any] = field(default_factory=dict)  # what goes before the study's training
    allows_bidirectional: bool = False  # whether what follows a frame may be seen there; networks then do, by default
    samples_text: bool = False  # whether trained networks write text: their input symbols are the classes
    groups: tuple[str, ...] = ()  # that it belongs to
    version: int = 1  # raised when `load` comes to give other numbers for the same source
    # What identifies the source, cheaply; a task whose user's copy is a folder brings its own.
    fingerprint: Callable[[Path | None], str] = file_fingerprint
    defined_at: str = ""  # the file; found by itself

    def __post_init__(self) -> None:
        if not self.defined_at:
            file = _file_of(self.load or self.generate or self.baseline)
            # Of what is no function of Python's, the file that makes the task: this is called by __init__, that by it.
            file = file or _short(sys._getframe(2).f_code.co_filename)
            object.__setattr__(self, "defined_at", file)
        for known, kind, name in ((LOSSES, "loss", self.loss), (SCORES, "score", self.score)):
            if name not in known:
                raise self._error(f"has the {kind} {name!r}; known: {', '.join(known)}")
        if self.loss not in SCORES[self.score].losses:
            fitting = ", ".join(score.name for score in SCORES.values() if self.loss in score.losses)
            raise self._error(f"cannot have the score {self.score!r} with the loss {self.loss!r}; possible: {fitting}")
        if (self.load is None) == (self.generate is None):
            raise self._error("needs either load or generate")
        if self.generate is not None and self.loss in LOSSES_OF_CLASSES and not self.n_classes:
            raise self._error(f"generates classes for {self.loss}; give their number, n_classes")
        if not callable(self.target_position):
            self._check_position(self.target_position)
        for part, parameters in _PARAMETERS.items():
            self._check_parameters(part, parameters)
        if self.baseline is None and self.loss == "ctc":
            raise self._error("needs a baseline: that of ctc does not follow from the data")
        if self.generate is not None:
            object.__setattr__(self, "settings", {**SEQUENCE_COUNTS, **self.settings})
        if not self.unit:
            object.__setattr__(self, "unit", SCORES[self.score].unit)

    def targets_at(self, settings: Settings) -> TargetPosition:
        """Where the targets are, given the settings of the data.

        Raises:
            UserError: the loss cannot be trained on targets there.
        """
        position = self.target_position(settings) if callable(self.target_position) else self.target_position
        self._check_position(position)
        return position

    def baseline_score(self, dataset: Dataset, settings: Settings) -> float:
        """The test score of the best constant predictor, as the task says or computed from the data."""
        return self.baseline(dataset, settings) if self.baseline else best_constant(self.loss, self.score, dataset)

    @property
    def baseline_is_theory(self) -> bool:
        """Whether the baseline is of theory: that of what is generated, where the task says one."""
        return self.generate is not None and self.baseline is not None

    def _check_parameters(self, part: str, parameters: tuple[str, ...]) -> None:
        function = getattr(self, part)
        if function is None or not callable(function):
            if function is not None:
                raise self._error(f"has the {part} {function!r}; give a function of ({', '.join(parameters)})")
            return
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # one that is not written in Python
            return
        try:
            signature.bind(*parameters)
        except TypeError:
            raise self._error(
                f"has a {part} that takes {signature}; it is called with ({', '.join(parameters)})"
            ) from None

    def _check_position(self, position: TargetPosition) -> None:
        possible = _POSITIONS_OF_CTC if self.loss == "ctc" else _POSITIONS
        if position not in possible:
            words = ", ".join(possible)
            raise self._error(f"has the target position {position} with the loss {self.loss}; possible: {words}")

    def _error(self, problem: str) -> UserError:
        return UserError(f"{self.defined_at}: task {self.name!r} {problem}")

    @property
    def direction(self) -> Direction:
        """Whether lower or higher scores are better."""
        return SCORES[self.score].direction

    @property
    def default_settings(self) -> Settings:
        """All that can be set for this task beside its training, with defaults."""
        return {**self.settings, "bidirectional": True} if self.allows_bidirectional else self.settings


# What each loss is trained on so far.
_POSITIONS = (TargetPosition.EVERY_FRAME, TargetPosition.SEQUENCE_END)
_POSITIONS_OF_CTC = (TargetPosition.UNALIGNED_LABEL,)


# What the functions of a task are called with.
_PARAMETERS = {
    "load": ("path", "settings", "progress"),
    "generate": ("generator", "count", "settings"),
    "baseline": ("dataset", "settings"),
    "fingerprint": ("path",),
}


def _file_of(function: Callable[..., Any] | None) -> str:
    """The file of a function, shortened; empty where it has none."""
    code = getattr(function, "__code__", None)
    return _short(code.co_filename) if code else ""


def _short(file: str) -> str:
    """A file with its folder, such as `tasks/music.py`."""
    return "/".join(Path(file).parts[-2:])


@dataclass(frozen=True)
class TaskFromData:
    """A task whose layer, loss and score follow from the user's file: it is made when that file is given."""

    name: str
    summary: str  # one line
    description: str  # which files it reads, and what it makes of them
    settings: Settings  # with defaults
    make: Callable[[Path, Settings], Task]  # raises UserError where the file cannot become a task
    groups: tuple[str, ...] = ()

    @property
    def defined_at(self) -> str:
        """The file that makes it."""
        return _file_of(self.make)

    @property
    def default_settings(self) -> Settings:
        """All that can be set for this task beside its training, with defaults."""
        return self.settings


TASKS: Registry[Task] = Registry("task", "ablate.tasks")
TASKS_FROM_DATA: Registry[TaskFromData] = Registry("task from data")  # filled as TASKS is loaded
