"""Confirmation: each variant's best setting is trained anew, since the best of many trials is the luckiest of them.

Which trials these are follows from the plan and the ended trials of the search alone, so that a study that was killed
goes on with what is missing, and an analysis finds the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ablate.definitions.variant import VARIANTS
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan

Row = TypeVar("Row", bound=Mapping[str, Any])  # of trials.csv, by column


def best_setting(rows: Iterable[Row], direction: str) -> Row | None:
    """The completed trial with the best validation score; of equal ones the first by index. None if there is none.

    Args:
        rows: the search's trials of one task and variant.
        direction: of the task's score, "minimize" or "maximize".
    """
    sign = -1 if direction == "maximize" else 1
    known = [row for row in rows if row["state"] == "completed" and _finite(row["validation"])]
    return min(known, key=lambda row: (sign * row["validation"], row["index"]), default=None)


def replicates(plan: StudyPlan) -> dict[str, int]:
    """How many replicates the best setting of each confirmed variant has on each task.

    The reference has twice as many, since every comparison rests on it.
    """
    if not (count := plan.config.confirm) or plan.config.shard:  # which does not know what the others find
        return {}
    chosen = {plan.reference, *(variant.name for variant in VARIANTS.select(plan.config.confirm_variants))}
    names = [variant.name for variant in plan.variants if variant.name in chosen]
    return {name: 2 * count if name == plan.reference else count for name in names}


def confirmation_trials(plan: StudyPlan, rows: Iterable[Mapping[str, Any]]) -> list[TrialId]:
    """The replicates that confirm, one of each variant after the other; none of a task whose search has not ended.

    Args:
        rows: the search's trials in the study's tables; also those that earlier commands have asked for. In a study
            with hours those of whole indices, whose search has ended by that.
    """
    counts = replicates(plan)
    by_place: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        by_place.setdefault((row["task"], row["variant"]), {})[row["index"]] = row
    planned = range(0 if plan.config.hours else plan.config.trials)
    trials: list[TrialId] = []
    for task in plan.tasks:
        found = {variant.name: by_place.get((task.name, variant.name), {}) for variant in plan.variants}
        if not all(index in ended for ended in found.values() for index in planned):
            continue
        best = {name: best_setting(found[name].values(), task.direction) for name in counts}
        trials += [
            TrialId(task.name, name, int(row["index"]), "confirmation", replicate)
            for name, row in best.items()
            if row is not None
            for replicate in range(1, counts[name] + 1)
        ]
    return sorted(trials, key=lambda trial: trial.replicate)


def most_confirmation_trials(plan: StudyPlan) -> list[TrialId]:
    """As many replicates as the confirmation can come to, before the best settings are known; their index is none."""
    return [
        TrialId(task.name, name, -1, "confirmation", replicate)
        for task in plan.tasks
        for name, count in replicates(plan).items()
        for replicate in range(1, count + 1)
    ]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
