"""The data of a plan's tasks: loaded through the cache, or generated from a trial's coordinates."""

from __future__ import annotations

from pathlib import Path

from ablate.cache import default_cache_folder, writable
from ablate.data.cache import open_dataset
from ablate.data.generated import generate_dataset
from ablate.definitions.dataset import Dataset
from ablate.definitions.task import ProgressCallback, Task
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan


def task_data(plan: StudyPlan, task: Task, progress: ProgressCallback) -> Dataset:
    """What a study knows of a task's data: what is loaded, or, of what is generated, the data of its first trial.

    Raises UserError for bad data or settings.
    """
    if task.generate is not None:
        return trial_data(plan, task, TrialId(task.name, plan.variants[0].name, 0))
    return open_dataset(
        task, user_path(plan, task), plan.task_config(task).settings, writable(default_cache_folder()), progress
    )


def read_sizes(plan: StudyPlan) -> StudyPlan:
    """The plan with the sizes of its data, which are read for it. Raises UserError for bad data or settings."""
    return plan.with_sizes({task.name: task_data(plan, task, lambda what, done, total: None) for task in plan.tasks})


def user_path(plan: StudyPlan, task: Task) -> Path | None:
    """The path of the user's own copy of a task's data."""
    path = plan.config.data.get(task.name)
    return Path(path).expanduser() if path else None


def trial_data(plan: StudyPlan, task: Task, trial: TrialId) -> Dataset:
    """The data of one trial of a generated task; where draws are paired, all variants have the same at an index."""
    streams = plan.streams(trial)
    return generate_dataset(task, lambda split: streams.generator("data", split), plan.task_config(task).settings)
