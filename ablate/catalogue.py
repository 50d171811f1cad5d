"""What --list, --describe and --dry-run print. None of it imports the framework."""

from __future__ import annotations

from collections import Counter

from ablate.cell.trace import Trace
from ablate.cell.typeset import text
from ablate.plan.config import PRESETS
from ablate.plan.study import Plan
from ablate.registry import Registry
from tasks import TASKS
from tasks.registry import Task
from variants import VARIANTS, Variant

SHOWN_DRAWS = 20


def listing() -> str:
    """All variants, tasks and presets, a line each."""
    lines = ["variants"]
    lines += [f"  {each.name:10} {each.summary}  [{each.source}]" for each in VARIANTS]
    lines += ["", "groups of variants", *_groups(VARIANTS), "", "tasks"]
    lines += [f"  {each.name:10} {each.summary}" for each in TASKS]
    lines += ["", "groups of tasks", *_groups(TASKS), "", "presets"]
    lines += [f"  {name:10} {_changes(preset)}" for name, preset in PRESETS.items()]
    return "\n".join(lines)


def _groups(registry: Registry) -> list[str]:
    return [f"  {group:10} {', '.join(each.name for each in members)}" for group, members in registry.groups().items()]


def _changes(preset: dict) -> str:
    flat = {key: value for key, value in preset.items() if not isinstance(value, dict)}
    for section, table in preset.items():
        if isinstance(table, dict):
            flat |= {f"{section}.{key}": value for key, value in table.items()}
    return ", ".join(f"{key} = {value}" for key, value in flat.items())


def describe(name: str) -> str:
    """A variant's equations, weights and source, or a task's data.

    Raises:
        UserError: neither a variant nor a task has that name.
    """
    if name in TASKS and name not in VARIANTS:
        return _describe_task(TASKS[name])
    return _describe_variant(VARIANTS[name])


def _describe_variant(variant: Variant) -> str:
    trace = variant.trace
    lines = [f"{variant.name}: {variant.summary}", f"source: {variant.source} ({variant.defined_at})", ""]
    lines += ["equations (* is element-wise, y' is the y of the last step)"]
    lines += [f"  {line}" for line in text(trace)]
    lines += ["", "weights (N units, M inputs)"]
    for stack in trace.stacks:
        names = ", ".join(weight.name for weight in stack.weights)
        lines.append(f"  {' x '.join(stack.weights[0].shape):7} {names}")
    lines += [
        "",
        f"parameters: {_formula(trace)}; {trace.parameters(88, 100):,} for N = 100 and M = 88",
        f"state: {', '.join(str(state).removesuffix('_prev') for state in trace.states)}",
        f"stages: {trace.stages}",
    ]
    return "\n".join(lines)


def _formula(trace: Trace) -> str:
    """The parameter count in N and M, such as 4 NM + 4 N^2 + 7 N."""
    counts = Counter("".join(sorted(weight.shape, reverse=True)) for weight in trace.weights)
    letters = {"NM": "NM", "NN": "N^2", "N": "N"}
    return " + ".join(f"{counts[key]} {shown}" for key, shown in letters.items() if counts[key])


def _describe_task(task: Task) -> str:
    return "\n".join(
        [
            f"{task.name}: {task.summary}",
            f"inputs {task.input_size}, outputs {task.output_size} ({task.outputs}), "
            f"metric {task.metric}, lower is better",
            "",
            task.description.strip(),
        ]
    )


def dry_run(plan: Plan) -> str:
    """The plan: what would be trained, with what each trial draws."""
    config = plan.config
    names = [variant.name for variant in plan.variants]
    trials = plan.trials()
    training = config.training
    lines = [
        f"study {config.study_name!r} in {config.folder}, preset {config.preset}, seed {config.seed}",
        f"{len(plan.tasks)} x {len(names)} x {config.trials} = {len(trials)} trials "
        f"(tasks x variants x trials each), on {config.workers} workers",
        f"tasks: {', '.join(task.name for task in plan.tasks)}",
        f"variants: {', '.join(names)}",
        f"training: at most {training.epochs} epochs, patience {training.patience}, {training.optimiser}, "
        f"{training.batch_size} sequence{'s' if training.batch_size > 1 else ''} an update",
        "search:",
        *(f"  {name:14} {entry}" for name, entry in config.search.items()),
        "",
        "draws" + (" (shared by all variants)" if config.paired else ""),
    ]
    shown = [trial for trial in trials if not config.paired or trial.variant == names[0]]
    header = ["task", *([] if config.paired else ["variant"]), "index", *config.search]
    rows = [header]
    for trial in shown[:SHOWN_DRAWS]:
        values = [f"{value:.4g}" for value in plan.hyperparameters(trial).values()]
        rows.append([trial.task, *([] if config.paired else [trial.variant]), str(trial.index), *values])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines += ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    if len(shown) > SHOWN_DRAWS:
        lines.append(f"  and {len(shown) - SHOWN_DRAWS} more")
    return "\n".join(line.rstrip() for line in lines)
