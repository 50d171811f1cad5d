"""Runs trials one after the other in this process: for a debugger, a notebook, a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ablate.execution.executor import TrialResult, never
from ablate.execution.processes import torch_configured
from ablate.execution.trial_runner import TrialRunner
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan


class SerialExecutor:
    """Runs trials in this process. An exception fails its trial alone; whatever ends the process ends them all."""

    def __init__(self, plan: StudyPlan) -> None:
        self._runner = TrialRunner(plan)
        self._stopped = False

    def run(self, trials: Sequence[TrialId], enough: Callable[[], bool] = never) -> Iterator[TrialResult]:
        """As `Executor.run`; each trial is run when its result is asked for."""
        self._stopped = False
        for trial in trials:
            if self._stopped or enough():
                return
            with torch_configured():
                result = self._runner.run(trial)
            yield result

    def workers(self) -> int:
        """As `Executor.workers`: this process."""
        return 1

    def stop(self) -> None:
        """As `Executor.stop`."""
        self._stopped = True


def make_executor(plan: StudyPlan) -> SerialExecutor:
    """The executor of a plan."""
    return SerialExecutor(plan)
