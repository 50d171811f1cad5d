"""What of a study is there, what is to be run, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ablate.execution.executor import never
from ablate.execution.time_budget import TimeBudget
from ablate.plan.confirmation import confirmation_trials
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan
from ablate.storage.folder import StudyFolder
from ablate.storage.results import whole_indices_of
from ablate.storage.tables import ENDED, trial_id

BLOCK = 100  # indices that are planned at once where time says how many there are

Row = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Trials that are run one after the other."""

    purpose: str  # "search", with its controls, or "confirmation"
    trials: list[TrialId]
    ended: dict[TrialId, Row]  # what of the study has ended: these are not run again
    enough: Callable[[], bool] = never  # ends it early

    @property
    def missing(self) -> list[TrialId]:
        """Those to be run."""
        return [trial for trial in self.trials if trial not in self.ended]


class Schedule:
    """The trials of a plan and its budget in time, over the tables of a study, which are read once.

    Args:
        whole: the study's own folder where the other one is a shard's: what is in it is not run again.
    """

    def __init__(self, plan: StudyPlan, folder: StudyFolder, whole: StudyFolder | None = None) -> None:
        self._plan, self._folder = plan, folder
        rows = folder.tables.trial_rows()
        self._there: dict[TrialId, Row] = {trial_id(row): row for row in rows}
        for row in whole.tables.trial_rows() if whole else ():
            if row["state"] in ENDED and self._there.get(trial_id(row), {}).get("state") not in ENDED:
                self._there[trial_id(row)] = row
        self.budget = TimeBudget(plan, rows)

    def add(self, row: Row) -> None:
        """Take note of a trial that has just ended, and is in the tables."""
        self._there[trial_id(row)] = row
        self.budget.add(row)

    def batches(self) -> Iterator[Batch]:
        """What is run: the search, as far as time allows, then the confirmation of its best settings.

        It must be told each trial as it ends, by `add`. Failed trials of an earlier command have cost no time, and are
        tried again whatever is left.
        """
        yield Batch("search", self._begun(), self.ended())
        while trials := self._not_begun():
            yield Batch("search", trials, {}, self.budget.enough)
        yield Batch("confirmation", self.confirmations(), self.ended())

    def wanted(self) -> list[TrialId]:
        """The trials that the study has by the plan, in its order, with those that confirm where a search has ended."""
        return [*self._begun(), *self.confirmations()]

    def goes_on(self) -> bool:
        """Whether there is time for trials beyond those that are wanted so far."""
        return bool(self._not_begun())

    def ended(self) -> dict[TrialId, Row]:
        """The trials that need not be run again, with their rows."""
        return {trial: row for trial, row in self._there.items() if row["state"] in ENDED}

    def confirmations(self) -> list[TrialId]:
        """The replicates that confirm, by what the search has found so far."""
        rows = [row for trial, row in self._there.items() if not trial.replicate]
        if self._plan.config.hours:
            whole = whole_indices_of(self._folder)
            rows = [row for row in rows if row["index"] < whole.get(row["task"], 0)]
        return confirmation_trials(self._plan, rows)

    def indices(self) -> int:
        """How many indices the study has by the plan; with hours those that are compared on every task."""
        if not self._plan.config.hours:
            return self._plan.config.trials
        return min(whole_indices_of(self._folder).values(), default=0)

    def told(self) -> str:
        """What the hours of the study have made, and what as many more would find."""
        plan, budget, whole = self._plan, self.budget, whole_indices_of(self._folder)
        variants = len(self._folder.metadata()["variants"])
        size = f"{_counted(len(whole), 'task')} x {_counted(variants, 'variant')}"
        gave_up = "; ended early, since trial after trial has failed" if budget.gave_up else ""
        one = budget.spent_on_search / max(1, len(self._begun())) * len(plan.trials(1))  # seconds of an index
        if lacking := [task for task, count in whole.items() if not count]:
            return (
                f"no index has ended for every variant on {', '.join(lacking)}, so that nothing is compared there: "
                f"one of {size} needs about {budget.hours(one)}, beside the confirmation{gave_up}"
            )
        n = min(whole.values())
        done = f"{_counted(n, 'index', 'indices')} of {size} in {budget.hours(budget.spent)}{gave_up}"
        if variants < 2:
            return done
        more = n + int(budget.seconds / one)
        more = min(more, plan.config.trials or more)
        then = f", at twice the hours {self._found(more, variants)}" if more > n else ""
        return f"{done}; in four of five studies they find {self._found(n, variants)}{then}"

    def _found(self, n: int, variants: int) -> str:
        """The smallest difference that n trials find, as the dry run tells it."""
        from ablate.statistics.planning import ASSUMED_CORRELATION, detectable_difference  # slow to import

        paired = self._plan.config.paired
        found = detectable_difference(n, variants - 1, ASSUMED_CORRELATION if paired else 0.0, paired)
        return "no difference, however large" if math.isinf(found) else f"{found:.2g} standard deviations"

    def _begun(self) -> list[TrialId]:
        """The trials of the search that the study has by the plan: with hours those that have a row, else all."""
        if not self._plan.config.hours:
            return self._plan.trials()
        return [trial for trial in self._search() if trial in self._there]

    def _not_begun(self) -> list[TrialId]:
        """What a search with hours goes on with, if it does."""
        if not self._plan.config.hours or self.budget.enough():
            return []
        return [trial for trial in self._search() if trial not in self._there]

    def _search(self) -> list[TrialId]:
        """The search of a plan with hours, some indices farther than it has come."""
        come = 1 + max((trial.index for trial in self._there), default=-1)
        return self._plan.trials(self._plan.config.trials or come + BLOCK)


def _counted(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
