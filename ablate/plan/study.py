"""The plan of a study: which trials it has, and what each of them draws."""

from __future__ import annotations

from dataclasses import dataclass, field

from ablate.plan.config import Config
from ablate.plan.coordinates import Coordinates, Draws
from ablate.plan.space import draw
from tasks import TASKS
from tasks.registry import Task
from variants import VARIANTS, Variant, load_file


@dataclass(frozen=True)
class Plan:
    """The trials that a configuration asks for."""

    config: Config
    tasks: list[Task]
    variants: list[Variant]
    engines: dict[str, str] = field(default_factory=dict)  # by variant, once they have been chosen

    def trials(self) -> list[Coordinates]:
        """Every trial, index by index, so that a study cut short is still a fair comparison."""
        return [
            Coordinates(task.name, variant.name, index)
            for index in range(self.config.trials)
            for task in self.tasks
            for variant in self.variants
        ]

    def draws(self, trial: Coordinates) -> Draws:
        return Draws(self.config.seed, trial, self.config.paired)

    def hyperparameters(self, trial: Coordinates) -> dict[str, float | int]:
        return draw(self.config.search, self.draws(trial))


def make_plan(config: Config) -> Plan:
    """The plan for a configuration.

    Raises:
        UserError: an unknown variant or task, data given for a task that is not known, or a file of variants that
            cannot be loaded.
    """
    for file in config.variants_from:
        load_file(file)
    plan = Plan(config, TASKS.select(config.tasks), VARIANTS.select(config.variants))
    for task in config.data:
        TASKS[task]
    return plan
