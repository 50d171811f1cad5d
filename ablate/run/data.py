"""The data of a plan's tasks: loaded through the cache, or generated from a trial's coordinates."""

from __future__ import annotations

from pathlib import Path

from ablate.cache import default_cache_folder
from ablate.plan.coordinates import Coordinates
from ablate.plan.study import Plan
from tasks.cache import open_dataset
from tasks.generated import generate
from tasks.registry import Dataset, Progress, Task


def task_data(plan: Plan, task: Task, progress: Progress) -> Dataset:
    """What a study knows of a task's data: what is loaded, or, of what is generated, the data of its first trial.

    Raises UserError for bad data or settings.
    """
    if task.generate is not None:
        return trial_data(plan, task, Coordinates(task.name, plan.variants[0].name, 0))
    return open_dataset(task, own_copy(plan, task), plan.lesson(task).settings, default_cache_folder(), progress)


def own_copy(plan: Plan, task: Task) -> Path | None:
    """The path of the user's own copy of a task's data."""
    path = plan.config.data.get(task.name)
    return Path(path).expanduser() if path else None


def trial_data(plan: Plan, task: Task, trial: Coordinates) -> Dataset:
    """The data of one trial of a generated task; where draws are paired, all variants have the same at an index."""
    draws = plan.draws(trial)
    return generate(task, lambda split: draws.generator("data", split), plan.lesson(task).settings)
