"""What the tables of a study cannot hold: its data, variants and environment, as plain types for JSON."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from ablate.__about__ import __version__
from ablate.cell.difference import difference
from ablate.cell.typeset import formula, latex
from ablate.definitions.dataset import SPLITS, Dataset
from ablate.definitions.study_results import TaskMetadata, VariantMetadata
from ablate.definitions.variant import VARIANTS, Variant
from ablate.machine import processor
from ablate.plan.study_plan import StudyPlan, TaskConfig
from ablate.plan.training_config import NATIVE, TrainingConfig

PACKAGES = ("torch", "numba", "numpy", "sympy", "optuna", "mlflow", "pandas", "scipy", "music21")


def study_metadata(plan: StudyPlan, datasets: dict[str, Dataset], command: str) -> dict[str, Any]:
    """The metadata of a study, to be kept in its folder."""
    return {
        "study": plan.config.study_name,
        "command": command,
        "expected": plan.config.trials,
        "reference": plan.reference,
        "configuration": plan.config.to_toml(),
        "tasks": {
            task.name: asdict(task_metadata(plan.task_config(task), datasets[task.name], plan.config.training))
            for task in plan.tasks
        },
        "variants": {
            variant.name: asdict(variant_metadata(variant, plan.config.training)) for variant in plan.variants
        },
        "environment": environment(plan),
    }


def merge_metadata(kept: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a study that has been extended: tasks and variants of earlier commands stay."""
    together = {key: {**kept.get(key, {}), **new[key]} for key in ("tasks", "variants")}
    return {**kept, **new, **together}


def task_metadata(task_config: TaskConfig, data: Dataset, training: TrainingConfig) -> TaskMetadata:
    """What a study keeps of a task and its data."""
    task = task_config.task
    splits = {name: data.splits[name] for name in SPLITS}
    return TaskMetadata(
        name=task.name,
        summary=task.summary,
        loss=task.loss,
        score=task.score,
        metric=task.unit,
        direction=task.direction,
        baseline=task.baseline_score(data, task_config.settings),
        theoretical_baseline=task.baseline_is_theory,
        source=data.source,
        sha256=data.hash,
        counts={name: len(split) for name, split in splits.items()},
        frames={name: int(split.lengths.sum()) for name, split in splits.items()},
        notes=list(data.notes),
        settings={"inputs": data.input_size, "outputs": data.output_size, **task_config.differing_settings(training)},
    )


def variant_metadata(variant: Variant, training: TrainingConfig) -> VariantMetadata:
    """What a study keeps of a variant: its equations typeset, and what it changes about its parent."""
    native = variant.native if training.initialisation == NATIVE else {}
    return VariantMetadata(
        name=variant.name,
        summary=variant.summary,
        source=variant.source,
        equations=latex(variant.trace),
        code=variant.trace.code,
        family=variant.family,
        parent=variant.parent,
        difference=_difference_from_parent(variant),
        initial={weight: str(initial) for weight, initial in {**variant.initial, **native}.items()},
        parameters=formula(variant.trace),
        states=len(variant.trace.states),
        stages=variant.trace.stages,
        equal_to=variant.equal_to,
    )


def _difference_from_parent(variant: Variant) -> list[tuple[str, str]]:
    parent = VARIANTS[variant.parent] if variant.parent else variant
    return difference(latex(variant.trace), latex(parent.trace))


def environment(plan: StudyPlan) -> dict[str, str]:
    """Where the numbers were made."""
    return {
        "ablate": __version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "backend": plan.config.backend,
        "workers": str(plan.config.workers),
    }
