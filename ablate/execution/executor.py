"""What an executor is: it runs trials, here or elsewhere, and gives their results in any order."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from ablate.errors import UserError
from ablate.plan.config import SLURM, Config
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan


@dataclass(frozen=True)
class TrialResult:
    """An ended trial."""

    trial: TrialId  # which one
    row: dict[str, Any]  # by the columns of replicates.csv, which has those of trials.csv
    curve: list[tuple[int, float, float]] = field(default_factory=list)  # epoch, train, validation; of no replicate
    sample: str = ""  # text that the network wrote
    traceback: str = ""  # of a failed trial


def never() -> bool:
    """What is enough where all trials are wanted."""
    return False


class Executor(Protocol):
    """Runs trials of one plan. `ablate.testing.executors` holds the tests that every executor passes."""

    def run(self, trials: Sequence[TrialId], enough: Callable[[], bool] = never) -> Iterator[TrialResult]:
        """Run the trials and give each one's result once, in any order. It may be called again when all have ended.

        A trial that raises an exception, or whose process dies, comes back as failed; the others go on.

        Args:
            trials: they are begun in this order.
            enough: asked before each trial is given out. Once it says so no other is; those that have been given out
                end and come back.

        Raises:
            UserError: no trial can be run at all.
        """
        ...

    def workers(self) -> int:
        """How many trials it can run at once now: the workers that are alive."""
        ...

    def stop(self) -> None:
        """End what is running at once; trials that have not ended are lost, and can be run again later."""
        ...


def make_executor(name: str, plan: StudyPlan) -> Executor:
    """The executor of this name: `ablate/execution/executors/<name>.py` makes it by its own `make_executor(plan)`.

    Raises:
        UserError: there is no such executor.
    """
    return _module(name).make_executor(plan)


def check_launcher(config: Config) -> None:
    """Refuse a launcher that there is not, or that cannot run anything here, by its own `check(config)` if it has one.

    Raises:
        UserError: there is no such executor, or what it needs is missing.
    """
    if check := getattr(_module(config.launcher), "check", None):
        check(config)


def _module(name: str) -> ModuleType:
    known = executor_names()
    if name == SLURM:
        raise UserError("slurm submits a command, and runs no trial itself: give it to run_sweep.py or ablate")
    if name not in known:
        raise UserError(f"launcher is {name!r}; known: {', '.join(sorted([*known, SLURM]))}")
    return import_module(f"ablate.execution.executors.{name}")


def executor_names() -> list[str]:
    """Every executor that there is."""
    package = import_module("ablate.execution.executors")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))
