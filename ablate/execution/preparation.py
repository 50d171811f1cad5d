"""What is checked and loaded before a study is opened, here or by the jobs of a cluster. It writes no study."""

from __future__ import annotations

from dataclasses import replace

from ablate.data.load import task_data, user_path
from ablate.definitions.dataset import Dataset
from ablate.definitions.task import ProgressCallback
from ablate.errors import UserError
from ablate.execution.continuation import check_numerics_version
from ablate.execution.shards import whole_of
from ablate.execution.time_budget import TimeBudget
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan
from ablate.storage.folder import StudyFolder


def with_reference(plan: StudyPlan, folder: StudyFolder, *, fresh: bool = False) -> StudyPlan:
    """The plan with the study's own reference, which a command that names none leaves as it is."""
    reference = folder.reference if folder.exists and not fresh and not plan.config.reference else plan.reference
    return replace(plan, config=replace(plan.config, reference=reference))


def check_plan(plan: StudyPlan, folder: StudyFolder, *, fresh: bool = False) -> None:
    """Refuse what is known to be wrong before any data are read.

    Raises:
        UserError: a budget that is too short, numbers of another version, another configuration, also
            of the study that a shard is of, a storage that cannot
            be opened.
    """
    TimeBudget(plan).check()
    whole = whole_of(plan.config)
    if whole and fresh:
        raise UserError(
            f"study {whole.name!r} is there, and its shards add to it: leave out --fresh, or give --study another name"
        )
    for there in (folder, whole):
        if there and there.exists and not fresh:
            check_numerics_version(there)
            there.compare(plan.config)
    if plan.config.storage:
        from ablate.trackers.optuna_tracker import open_storage  # slow to import

        open_storage(plan.config.storage)


def prepare(plan: StudyPlan, tell: ProgressCallback) -> tuple[StudyPlan, dict[str, Dataset]]:
    """The plan with the sizes of its data, and the data by task, loaded where they are not on this machine yet.

    Each module of PyTorch is made once.

    Args:
        tell: told how far it is.

    Raises:
        UserError: bad data, or a module that cannot run.
    """
    for task in plan.tasks:
        if (path := user_path(plan, task)) is not None:
            task.fingerprint(path)  # refuses a bad path before the slow parsing
    datasets = {task.name: task_data(plan, task, tell) for task in plan.tasks}
    plan = plan.with_sizes(datasets)
    for variant in plan.variants:
        for task in plan.tasks if variant.trace.code else ():
            size = plan.hyperparameters(TrialId(task.name, variant.name, 0))["hidden_size"]
            variant.trace.stacks_for(datasets[task.name].input_size, int(size))
    return plan, datasets
