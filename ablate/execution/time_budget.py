"""A budget in time: what the trials of a study may take in total, and when it is spent.

It is worker-seconds: hours on all workers. What is spent is the sum of the seconds in the study's tables, so that a
kill loses nothing. A part is set aside for the confirmation, as long as the search may still go on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ablate.errors import UserError
from ablate.plan.config import SERIAL
from ablate.plan.confirmation import best_setting, replicates
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan

LEAST = 0.001  # seconds that a trial counts: those of the tables have three digits
FAILURES = 20  # trials in a row, or all of an index if those are more: no trial can be run, and none costs time


class TimeBudget:
    """The hours of a plan, and what is spent of them; without hours there is no end to them.

    Args:
        rows: of the study's tables, trials and replicates.
    """

    def __init__(self, plan: StudyPlan, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        config = plan.config
        # What a process alone knows runs in that process.
        self.workers = 1 if config.launcher == SERIAL or plan.only_here() else config.workers
        self.seconds = 3600 * config.hours * self.workers or math.inf
        self.spent = 0.0
        self._directions = {task.name: task.direction for task in plan.tasks}
        self._counts = replicates(plan)
        self._best: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._confirmed: dict[TrialId, float] = {}  # seconds, by the setting that was trained anew
        self._index = plan.trials(1)
        self._failed = 0  # trials in a row
        for row in rows:
            self._count(row)

    def check(self) -> None:
        """Refuse hours in which certainly no index can end.

        Raises:
            UserError: each trial would have less time than any takes.
        """
        if self.seconds < (least := LEAST * len(self._index)):
            raise UserError(
                f"the budget of {self.seconds:.2g} s is too short: {len(self._index)} trials make one index, and "
                f"compare nothing in less than {least:.2g} s"
            )

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a trial that has just ended."""
        self._failed = self._failed + 1 if row["state"] == "failed" else 0
        self._count(row)

    def enough(self) -> bool:
        """Whether the search ends: the rest is for the confirmation, or nothing but failures comes of it."""
        if math.isinf(self.seconds):
            return False
        return self.gave_up or self.spent + self._set_aside() >= self.seconds

    @property
    def gave_up(self) -> bool:
        """Whether so many trials in a row have failed that the search ends before its time."""
        return self._failed >= max(FAILURES, len(self._index))

    @property
    def spent_on_search(self) -> float:
        """Without the confirmation."""
        return self.spent - sum(self._confirmed.values())

    def hours(self, seconds: float) -> str:
        """Seconds of workers as hours of a study."""
        hours = seconds / 3600 / self.workers
        return f"{hours:,.0f} h" if hours >= 100 else f"{hours:.2g} h"

    def __str__(self) -> str:
        return f"{self.hours(self.spent).removesuffix(' h')} of {self.hours(self.seconds)}"

    def _count(self, row: Mapping[str, Any]) -> None:
        trial = TrialId(row["task"], row["variant"], row["index"])
        seconds = max(row["seconds"] or 0.0, LEAST)
        self.spent += seconds
        if row["purpose"] == "confirmation":
            self._confirmed[trial] = self._confirmed.get(trial, 0.0) + seconds
        elif not row["replicate"] and trial.variant in self._counts and trial.task in self._directions:
            place = trial.task, trial.variant
            known = [self._best[place]] if place in self._best else []
            if best := best_setting([*known, row], self._directions[trial.task]):
                self._best[place] = best

    def _set_aside(self) -> float:
        """What the confirmation of the best settings so far will take, each replicate as long as its setting took.

        What it has taken less than that stays set aside, or the search would go on with it.
        """
        return sum(
            max(0.0, self._counts[variant] * max(row["seconds"] or 0.0, LEAST) - self._confirmed.get(trial, 0.0))
            for (task, variant), row in self._best.items()
            for trial in [TrialId(task, variant, row["index"])]
        )
