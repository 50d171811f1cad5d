"""How long a trial may take before its worker counts as stuck, as one that was stopped, or waits for a dead disk."""

from __future__ import annotations

from ablate.execution.executor import TrialResult
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan

SHORTEST = 600.0  # seconds; also what a worker may take to start
UNKNOWN = 24 * 3600.0  # as long as nothing is known of the task
GENEROSITY = 50  # times what the slowest trial of the task and backend so far would take for it


class TimeLimit:
    """The limit of each trial: the configuration's `trial_timeout`, or a generous one from the trials that have ended.

    An ended trial says what an epoch takes. Its square law in the hidden size is that of the products; the limit allows
    all epochs.
    """

    def __init__(self, plan: StudyPlan) -> None:
        self._plan = plan
        self._slowest: dict[tuple[str, str | None], float] = {}  # seconds of an epoch and a unit squared

    def learn(self, result: TrialResult) -> None:
        """Take account of a trial that has ended."""
        row = result.row
        if row["seconds"] and row["epochs"]:
            key = result.trial.task, row["backend"]
            found = row["seconds"] / row["epochs"] / int(row["hidden_size"]) ** 2
            self._slowest[key] = max(found, self._slowest.get(key, 0.0))

    def seconds(self, trial: TrialId) -> float:
        """How long a trial may take."""
        if own := self._plan.config.trial_timeout:
            return own
        slowest = self._slowest.get((trial.task, self._plan.backends.get(trial.variant)))
        if slowest is None:
            return UNKNOWN
        epochs = self._plan.task_config(self._plan.task(trial.task)).training.epochs
        size = int(self._plan.hyperparameters(trial)["hidden_size"])
        return max(SHORTEST, GENEROSITY * slowest * size**2 * epochs)
