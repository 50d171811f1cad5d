"""Runs trials of a plan in this process, and turns whatever becomes of one into a result."""

from __future__ import annotations

import dataclasses
import traceback
from typing import Any

from ablate.data.load import task_data, trial_data
from ablate.definitions.dataset import Dataset
from ablate.definitions.task import Task
from ablate.definitions.variant import VARIANTS
from ablate.execution.executor import TrialResult
from ablate.machine import processor
from ablate.plan.matching import NONE
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan


class TrialRunner:
    """Runs trials. Layers and loaded data sets are kept from one trial to the next."""

    def __init__(self, plan: StudyPlan) -> None:
        self._plan = plan
        self._layers: dict[str, Any] = {}
        self._datasets: dict[str, Dataset] = {}  # memory-mapped, and so shared between processes

    def run(self, trial: TrialId) -> TrialResult:
        """The result of a trial; an exception makes it a failed one."""
        from ablate.training.trial import run_trial  # imports the framework

        plan = self._plan
        task = plan.task(trial.task)
        try:
            outcome = run_trial(
                plan.task_config(task),
                self._data(task, trial),
                VARIANTS[trial.variant],
                self._layer(trial.variant),
                plan.streams(trial),
                plan.hyperparameters(trial),
            )
        except Exception as error:  # any exception is this trial's result; the sweep goes on
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return failed_trial(plan, trial, reason, traceback.format_exc())
        row = {
            **_empty_row(plan, trial),
            "state": outcome.state,
            "stop_reason": outcome.stop_reason,
            "validation": outcome.validation,
            "test": outcome.test,
            "best_epoch": outcome.best_epoch,
            "epochs": outcome.epochs,
            "parameters": outcome.parameters,
            "seconds": round(outcome.seconds, 3),
        }
        # Replicates are there for their scores; nothing else of them is kept.
        return TrialResult(trial, row) if trial.replicate else TrialResult(trial, row, outcome.curve, outcome.sample)

    def _layer(self, name: str) -> Any:
        if name not in self._layers:
            from ablate.cell.backend import make_layer

            variant = VARIANTS[name]
            backend = self._plan.backends[name]
            self._layers[name] = make_layer(variant.equations, variant.trace, variant.name, backend)
        return self._layers[name]

    def _data(self, task: Task, trial: TrialId) -> Dataset:
        """The data of a trial: loaded once, or generated from the trial's random streams."""
        if task.generate is not None:
            return trial_data(self._plan, task, trial)
        if task.name not in self._datasets:
            self._datasets[task.name] = task_data(self._plan, task, lambda what, done, total: None)
        return self._datasets[task.name]


def failed_trial(plan: StudyPlan, trial: TrialId, reason: str, trace: str = "") -> TrialResult:
    """The result of a trial that ended by an exception, or with its process."""
    return TrialResult(trial, {**_empty_row(plan, trial), "state": "failed", "reason": reason}, traceback=trace)


def _empty_row(plan: StudyPlan, trial: TrialId) -> dict[str, Any]:
    """The row of a trial of which nothing is known but its place and its hyperparameters."""
    return {
        **dataclasses.asdict(trial),
        **plan.hyperparameters(trial),
        "drawn_size": None if plan.config.match == NONE else plan.drawn(trial)["hidden_size"],
        **dict.fromkeys(
            ("stop_reason", "validation", "test", "best_epoch", "epochs", "parameters", "seconds", "reason")
        ),
        "backend": plan.backends.get(trial.variant),
        "processor": processor(),
    }
