"""A worker process: takes trials from a pipe, one at a time, and sends back what they left behind."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

from ablate.data.load import task_data, trial_data
from ablate.definitions.dataset import Dataset
from ablate.definitions.task import TASKS, Task
from ablate.definitions.variant import VARIANTS
from ablate.execution.processes import compute_as_worker, follow_parent
from ablate.plan.config import Config
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan, make_plan


@dataclass(frozen=True)
class Result:
    """A finished trial."""

    trial: TrialId
    row: dict[str, Any]  # the columns of trials.csv
    curve: list[tuple[int, float, float]] = field(default_factory=list)  # epoch, train, validation
    sample: str = ""  # text that the network wrote
    traceback: str = ""  # of a failed trial


def failed(plan: StudyPlan, trial: TrialId, reason: str, trace: str = "") -> Result:
    """The result of a trial that ended by an exception, or with its worker."""
    return Result(trial, {**_identity(plan, trial), "state": "failed", "reason": reason}, traceback=trace)


def _identity(plan: StudyPlan, trial: TrialId) -> dict[str, Any]:
    return {
        "task": trial.task,
        "variant": trial.variant,
        "index": trial.index,
        **plan.hyperparameters(trial),
        **dict.fromkeys(("validation", "test", "best_epoch", "epochs", "parameters", "seconds", "reason")),
        "engine": plan.engines.get(trial.variant),
    }


def work(connection: Connection, config: Config, engines: dict[str, str]) -> None:
    """The body of a worker process. It ends when told to, or with its parent, however that one ends."""
    follow_parent()
    compute_as_worker()
    plan = replace(make_plan(config), engines=engines)
    connection.send(None)  # ready
    while (trial := connection.recv()) is not None:
        connection.send(_run(plan, trial))


def _run(plan: StudyPlan, trial: TrialId) -> Result:
    from ablate.training.trial import run_trial

    try:
        task, variant = TASKS[trial.task], VARIANTS[trial.variant]
        outcome = run_trial(
            plan.task_config(task),
            _data(plan, task, trial),
            variant,
            _layer(variant.name, plan.engines[variant.name]),
            plan.streams(trial),
            plan.hyperparameters(trial),
        )
    except Exception as error:  # any exception is this trial's result; the sweep goes on
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return failed(plan, trial, reason, traceback.format_exc())
    row = {
        **_identity(plan, trial),
        "state": outcome.state,
        "validation": outcome.validation,
        "test": outcome.test,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "parameters": outcome.parameters,
        "seconds": round(outcome.seconds, 3),
    }
    return Result(trial, row, outcome.curve, outcome.sample)


@cache
def _layer(variant: str, engine: str) -> Any:
    """The layer of a variant, made once a process."""
    from ablate.cell.engine import make_layer

    entry = VARIANTS[variant]
    return make_layer(entry.equations, entry.trace, entry.name, engine)


# Data sets by task: their arrays are memory-mapped, and so shared between processes.
_opened: dict[str, Dataset] = {}


def _data(plan: StudyPlan, task: Task, trial: TrialId) -> Dataset:
    """The data of a trial: loaded once a process, or generated from the trial's draws."""
    if task.generate is not None:
        return trial_data(plan, task, trial)
    if task.name not in _opened:
        _opened[task.name] = task_data(plan, task, lambda what, done, total: None)
    return _opened[task.name]
