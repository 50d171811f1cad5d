"""The plan of a study: which trials it has, and what each of them draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ablate.definitions.dataset import Dataset
from ablate.definitions.loading import load_variants, modules_of
from ablate.definitions.task import TASKS, Settings, Task
from ablate.definitions.variant import VARIANTS, Variant
from ablate.errors import UserError
from ablate.plan.config import DEFAULT_REFERENCE, Config
from ablate.plan.matching import NONE, matched_size, network_parameters
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.search_space import Value, sample_hyperparameters
from ablate.plan.shard import parse_shard
from ablate.plan.tasks import selected_tasks
from ablate.plan.training_config import TrainingConfig


@dataclass(frozen=True)
class TaskConfig:
    """A task as this study sets it: how its data are made, and how a network is trained on them."""

    task: Task
    training: TrainingConfig
    settings: Settings
    bidirectional: bool

    def differing_settings(self, training: TrainingConfig) -> dict[str, Any]:
        """The settings of its data, and what of its training differs from the study's."""
        mine, common = dataclasses.asdict(self.training), dataclasses.asdict(training)
        return {**self.settings, **{key: value for key, value in mine.items() if value != common[key]}}


@dataclass(frozen=True)
class StudyPlan:
    """The trials that a configuration asks for."""

    config: Config
    tasks: list[Task]
    variants: list[Variant]
    backends: dict[str, str] = field(default_factory=dict)  # by variant, once they have been chosen
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)  # of input and output by task, once data are read

    @property
    def reference(self) -> str:
        """The variant that all others are compared with; it need not be among those of this plan."""
        return VARIANTS[self.config.reference or DEFAULT_REFERENCE].name

    @property
    def has_reference(self) -> bool:
        return any(variant.name == self.reference for variant in self.variants)

    def trials(self, indices: int | None = None) -> list[TrialId]:
        """The trials of the search and its controls, index by index, so that a study cut short is a fair comparison.

        Of a shard those of its indices.

        Args:
            indices: how many; the configuration's number if None, which is 0 where time alone is the limit.
        """
        controls = range(1, self.config.controls + 1 if self.has_reference else 1)
        shard = parse_shard(self.config.shard)
        return [
            trial
            for index in range(self.config.trials if indices is None else indices)
            if shard is None or index in shard
            for task in self.tasks
            for trial in (
                *(TrialId(task.name, variant.name, index) for variant in self.variants),
                *(TrialId(task.name, self.reference, index, "control", replicate) for replicate in controls),
            )
        ]

    def task(self, name: str) -> Task:
        """The task of this plan that has a name."""
        return next(task for task in self.tasks if task.name == name)

    def streams(self, trial: TrialId) -> RandomStreams:
        return RandomStreams(self.config.seed, trial, self.config.paired)

    def task_config(self, task: Task) -> TaskConfig:
        """The task with its settings; what it says about its training goes before the study's.

        Raises:
            UserError: settings that cannot be together.
        """
        own = self.config.settings.get(task.name, {})
        fields = {each.name for each in dataclasses.fields(TrainingConfig)}
        changes = {**task.training_overrides, **{key: value for key, value in own.items() if key in fields}}
        choices = {key: own.get(key, default) for key, default in task.default_settings.items()}
        bidirectional = bool(choices.pop("bidirectional", False))
        task_config = TaskConfig(task, dataclasses.replace(self.config.training, **changes), choices, bidirectional)
        if task_config.training.tbptt_steps and (bidirectional or task.loss == "ctc"):
            raise UserError(f"{task.name} reads whole sequences: set settings.{task.name}.tbptt_steps to 0")
        return task_config

    def only_here(self) -> list[str]:
        """The variants and tasks that are defined in this process alone: in a notebook, a script, a module of its own.

        Other processes know those of installed packages, and of the files that the configuration names.
        """
        modules = modules_of((*self.config.variants_from, *self.config.tasks_from))
        registered = [task for task in self.tasks if task.name in TASKS]  # the others are made from data, anywhere
        return [*VARIANTS.unimportable(self.variants, modules), *TASKS.unimportable(registered, modules)]

    def with_sizes(self, datasets: Mapping[str, Dataset]) -> StudyPlan:
        """The plan once the data of its tasks have been read, by task: without them no size can be matched."""
        sizes = {name: (data.input_size, data.output_size) for name, data in datasets.items()}
        return dataclasses.replace(self, sizes=sizes)

    def drawn(self, trial: TrialId) -> dict[str, Value]:
        """What the search draws for a trial."""
        return sample_hyperparameters(self.config.search, self.streams(trial.searched), self.config.draws)

    def hyperparameters(self, trial: TrialId) -> dict[str, Value]:
        """What a trial is trained with: what was drawn, the hidden size matched where the study says so."""
        drawn = self.drawn(trial)
        return {**drawn, "hidden_size": self.hidden_size(trial, int(drawn["hidden_size"]))}

    def hidden_size(self, trial: TrialId, drawn: int) -> int:
        """The units of a trial's layers where so many were drawn.

        Raises:
            UserError: a module cannot be made of a size that had to be tried.
        """
        if self.config.match == NONE or trial.variant == self.reference:
            return drawn
        task_config, (M, K) = self.task_config(self.task(trial.task)), self.sizes[trial.task]
        layers = task_config.training.with_drawn(self.drawn(trial)).layers
        shape = {"layers": layers, "bidirectional": task_config.bidirectional}
        wanted = network_parameters(VARIANTS[self.reference].trace, M, drawn, K, **shape)
        return matched_size(VARIANTS[trial.variant].trace, wanted, M, K, **shape)


def make_plan(config: Config) -> StudyPlan:
    """The plan for a configuration.

    Raises:
        UserError: an unknown variant, reference or task, data given for a task that is not known, or a file of
            variants or tasks that cannot be loaded.
    """
    for file in config.variants_from:
        load_variants(file)
    try:
        variants = VARIANTS.select(config.variants)
    except UserError as error:
        hint = "" if config.variants_from else "; a cell of your own needs --variants-from FILE"
        raise UserError(f"{error}{hint}") from None
    if config.reference:  # by the name that it has, however it was written
        config = dataclasses.replace(config, reference=VARIANTS[config.reference].name)
    for names in ((config.reference or DEFAULT_REFERENCE,), config.confirm_variants):
        VARIANTS.select(names)  # refuses what is unknown before anything is run
    plan = StudyPlan(config, selected_tasks(config), variants)
    for task in plan.tasks:
        plan.task_config(task)
    return plan
