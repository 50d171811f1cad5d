"""A task with its data, as the checks of `ablate.testing.tasks` take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ablate.data.load import task_data
from ablate.definitions.dataset import Dataset
from ablate.definitions.task import Settings, Task
from ablate.definitions.variant import VARIANTS
from ablate.plan.config_file import load_config
from ablate.plan.study_plan import StudyPlan

CELL = "NP-b"  # an LSTM whose forget gates start open


@dataclass(frozen=True)
class TaskCase:
    """A task with its data, and what is enough of it to learn something in seconds."""

    task: Task  # the task
    path: Path | None = None  # the user's own copy of the data, where they are not embedded
    sequences: int = 300  # how many are trained on where the baseline must be left behind
    epochs: int = 10  # how many are trained there
    easier: Mapping[str, Any] = field(default_factory=dict)  # settings of the task for that training

    def plan(self, **settings: Any) -> StudyPlan:
        """A plan for this task alone, with settings of its own."""
        data = {self.task.name: str(self.path)} if self.path else {}
        config = replace(load_config(None, {}), settings={self.task.name: settings}, data=data)
        return StudyPlan(config, [self.task], [VARIANTS[CELL]])

    @property
    def settings(self) -> Settings:
        """Those of the data, by default."""
        return self.plan().task_config(self.task).settings

    @cached_property
    def dataset(self) -> Dataset:
        """The data at the default settings."""
        return task_data(self.plan(), self.task, check_progress)


def check_progress(what: str, done: int, total: int) -> None:
    """A ProgressCallback that raises AssertionError for numbers that cannot be."""
    if not 0 <= done <= total:
        raise AssertionError(f"progress of {what!r} is told as {done} of {total}")
