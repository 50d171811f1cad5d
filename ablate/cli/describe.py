"""What --list, --describe and --dry-run print. None of it imports the framework."""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
from typing import Any

from ablate.cell.difference import GONE, KEPT, NEW, difference
from ablate.cell.typeset import formula, text
from ablate.data.load import task_data
from ablate.definitions.registry import Registry
from ablate.definitions.scores import SCORES
from ablate.definitions.task import TASKS, Task, TaskFromData
from ablate.definitions.variant import VARIANTS, Variant
from ablate.errors import UserError
from ablate.execution.estimate import MEASURED_VARIANT, estimate_indices, estimate_seconds
from ablate.plan.config import Config
from ablate.plan.confirmation import most_confirmation_trials, replicates
from ablate.plan.dotted_names import flat
from ablate.plan.matching import NONE
from ablate.plan.presets import PRESETS
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan
from ablate.plan.tasks import known_tasks, made_from_data

SHOWN_DRAWS = 20
MOST_PLANNED = 100_000  # trials of a dry run whose number follows from its hours


def listing() -> str:
    """All variants by family, tasks and presets, a line each."""
    lines = []
    width = max(len(each.name) for each in VARIANTS)
    for family in dict.fromkeys(each.family for each in VARIANTS):
        lines += [*([""] if lines else []), f"variants: {family_title(family)}"]
        members = [each for each in VARIANTS if each.family == family]
        lines += [f"  {each.name:{width}}  {each.summary}  [{each.source}]" for each in members]
    lines += ["", "groups of variants", *_groups(VARIANTS), "", "tasks"]
    longest = max(len(each.name) for each in TASKS)
    lines += [f"  {each.name:{longest}} {each.summary}" for each in (*TASKS, *made_from_data())]
    lines += ["", "groups of tasks", *_groups(TASKS), "", "presets"]
    lines += [f"  {name:10} {preset_changes(preset)}" for name, preset in PRESETS.items()]
    return "\n".join(lines)


def family_title(family: str) -> str:
    """The first line of the family's file, which says what holds it together."""
    module = sys.modules.get(f"variants.{family}")
    return (module.__doc__ or family).splitlines()[0].rstrip(".") if module else f"{family}.py"


def _groups(registry: Registry) -> list[str]:
    return [f"  {group:10} {', '.join(each.name for each in members)}" for group, members in registry.groups().items()]


def preset_changes(preset: dict[str, Any]) -> str:
    """What a preset changes of the defaults, as `key = value` with commas."""
    return ", ".join(f"{key} = {value}" for key, value in flat(preset))


def describe(name: str, config: Config) -> str:
    """A variant's equations, weights and source, or a task's data, which are read for this.

    Raises:
        UserError: neither a variant nor a task has that name, or the data cannot be read.
    """
    if name in VARIANTS:
        return _describe_variant(VARIANTS[name])
    tasks, makers = known_tasks(config), made_from_data()
    if name in tasks:
        return _describe_task(tasks[name], config)
    if name in makers:
        return _describe_maker(makers[name])
    if near := difflib.get_close_matches(name.lower(), [task.name for task in (*tasks, *makers)]):
        raise UserError(f"unknown task {name!r}: did you mean {' or '.join(near)}?")
    return _describe_variant(VARIANTS[name])


def _describe_variant(variant: Variant) -> str:
    trace, parent = variant.trace, VARIANTS[variant.parent] if variant.parent else None
    source = f"{variant.source} ({variant.defined_at})" if variant.source else variant.defined_at
    lines = [f"{variant.name}: {variant.summary}", f"source: {source}", ""]
    if not trace.compiles:
        return "\n".join([*lines, *_describe_module(variant)])
    how = "* is element-wise, y' is the y of the last step"
    if parent is None:
        lines += [f"equations ({how})", *(f"  {line}" for line in text(trace))]
    else:
        changes = difference(text(trace), text(parent.trace))
        same = "those of" if all(mark == KEPT for mark, _ in changes) else f"{GONE} gone and {NEW} new against"
        lines += [f"equations ({same} {parent.name}; {how})"]
        lines += [f"  {mark or ' '} {line}" for mark, line in changes]
    lines += [f"  {weight} starts as {initial}" for weight, initial in variant.initial.items()]
    lines += [f'  {weight} with initialisation = "native": {start}' for weight, start in variant.native.items()]
    lines += ["", "weights (N units, M inputs)"]
    for stack in trace.stacks:
        names = ", ".join(weight.name for weight in stack.weights)
        lines.append(f"  {' x '.join(stack.weights[0].shape):7} {names}")
    products, pointwise = trace.operations(M=88, N=100)
    if trace.dead:
        lines.append(f"left out, since no new state depends on it: {', '.join(trace.dead)}")
    lines += [
        "",
        f"parameters: {formula(trace)}; {trace.parameters(88, 100):,} for N = 100 and M = 88",
        f"state: {', '.join(trace.state_names)} ({f'{len(trace.states)} ' if len(trace.states) > 1 else ''}N)",
        f"stages: {trace.stages}",
        f"operations a step: {products:,} in products and {pointwise:,} point-wise for N = 100 and M = 88",
    ]
    return "\n".join(lines)


def _describe_module(variant: Variant) -> list[str]:
    M, N = 88, 100
    stacks = variant.trace.stacks_for(M, N)
    return [
        "a module of PyTorch, without equations, run step by step",
        *(f"  {weight} starts as {initial}" for weight, initial in variant.initial.items()),
        "",
        f"weights for N = {N} and M = {M}",
        *(f"  {' x '.join(stack.weights[0].shape):9} {stack.key}" for stack in stacks),
        "",
        f"parameters: {variant.trace.parameters(M, N):,} for N = {N} and M = {M}",
    ]


def _describe_maker(maker: TaskFromData) -> str:
    settings = ", ".join(f"{key} = {_plain(value)}" for key, value in maker.settings.items())
    lines = [f"{maker.name}: {maker.summary}", f"source: {maker.defined_at}", "", maker.description.strip()]
    return "\n".join([*lines, "", f"defaults   {settings}"])


def _describe_task(task: Task, config: Config) -> str:
    plan = StudyPlan(config, [task], list(VARIANTS)[:1])
    task_config = plan.task_config(task)
    data = task_data(plan, task, _print_progress)
    counts = [
        f"{split} {len(each):,} sequences, {int(each.lengths.sum()):,} frames" for split, each in data.splits.items()
    ]
    lines = [
        f"{task.name}: {task.summary}",
        f"source: {task.defined_at}",
        "",
        *((task.description.strip(), "") if task.description else ()),
        f"found      {data.source}",
        *(f"           {note}" for note in data.notes),
        f"sizes      {data.input_size} inputs, {data.output_size} outputs ({task.loss})",
        f"counts     {'; '.join(counts)}",
        f"hash       {data.hash}",
        f"network    {'reads in both directions' if task_config.bidirectional else 'reads forwards'}",
        f"metric     {task.unit}, {SCORES[task.score].better} is better; "
        f"{'in theory, without learning:' if task.baseline_is_theory else 'the best constant predictor scores'} "
        f"{task.baseline_score(data, task_config.settings):.4g}",
    ]
    now = task_config.differing_settings(config.training)
    if task.allows_bidirectional:
        now["bidirectional"] = task_config.bidirectional
    if now:
        lines.append(f"settings   {', '.join(f'{key} = {_plain(value)}' for key, value in now.items())}")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def _print_progress(what: str, done: int, total: int) -> None:
    if done in (0, total):
        print(f"{what}: {done}/{total}", file=sys.stderr)


def dry_run(plan: StudyPlan) -> str:
    """The plan: what would be trained, with what each trial draws."""
    config = plan.config
    names = [variant.name for variant in plan.variants]
    trials = [trial for trial in plan.trials() if not trial.replicate]
    training = config.training
    lines = [
        f"study {config.study_name!r} in {config.folder}, preset {config.preset}, seed {config.seed}",
        f"{len(plan.tasks)} x {len(names)} x {config.trials} = {len(trials)} trials "
        f"(tasks x variants x trials each), on {config.workers} workers",
        f"tasks: {', '.join(task.name for task in plan.tasks)}",
        f"variants: {', '.join(names)}",
        *_replicates(plan),
        f"training: at most {training.epochs} epochs, patience {training.patience}, {training.optimiser}, "
        f"{training.batch_size} sequence{'s' if training.batch_size > 1 else ''} an update",
        *(f"  {name}: {own}" for name, own in _own_settings(plan).items()),
        "search:",
        *(f"  {name:14} {entry}" for name, entry in config.search.items()),
        *_matched_sizes(plan, trials),
        _budget(plan),
        "",
        "draws" + (" (shared by all variants)" if config.paired else ""),
    ]
    shown = [trial for trial in trials if not config.paired or trial.variant == names[0]]
    header = ["task", *([] if config.paired else ["variant"]), "index", *config.search]
    rows = [header]
    for trial in shown[:SHOWN_DRAWS]:
        values = [each if isinstance(each, str) else f"{each:.4g}" for each in plan.drawn(trial).values()]
        rows.append([trial.task, *([] if config.paired else [trial.variant]), str(trial.index), *values])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines += ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    if len(shown) > SHOWN_DRAWS:
        lines.append(f"  and {len(shown) - SHOWN_DRAWS} more")
    return "\n".join(line.rstrip() for line in lines)


def _matched_sizes(plan: StudyPlan, trials: list[TrialId]) -> list[str]:
    """By task the smallest and the largest size that each variant has, where sizes are matched."""
    if plan.config.match == NONE:
        return []
    lines = [f"sizes are matched by parameters: at each draw a variant has as many as {plan.reference}"]
    for task in plan.tasks:
        mine = [trial for trial in trials if trial.task == task.name]
        ends = {}
        for variant in plan.variants:
            sizes = [plan.drawn(trial)["hidden_size"] for trial in mine if trial.variant == variant.name]
            low, high = (plan.hidden_size(TrialId(task.name, variant.name, 0), int(end(sizes))) for end in (min, max))
            ends[variant.name] = f"{variant.name} {low}" if low == high else f"{variant.name} {low} to {high}"
        lines.append(f"  {task.name} hidden_size: {', '.join(ends.values())}")
    return lines


def _budget(plan: StudyPlan) -> str:
    """Which difference the planned trials find, and how many smaller ones need."""
    from ablate.statistics.planning import ASSUMED_CORRELATION, detectable_difference, trials_needed  # slow to import

    comparisons, n, paired = len(plan.variants) - 1, plan.config.trials, plan.config.paired
    if comparisons < 1:
        return "budget: one variant, so nothing is compared"
    correlation = ASSUMED_CORRELATION if paired else 0.0
    found = detectable_difference(n, comparisons, correlation, paired)
    reach = "no difference, however large" if math.isinf(found) else f"{found:.2g} standard deviations"
    smaller = {each: trials_needed(each, comparisons, correlation, paired) for each in (1, 0.5, 0.25)}
    needed = ", ".join(f"{each:g} sd needs {trials}" for each, trials in smaller.items())
    assumed = f", if scores at the same draw correlate by {correlation}" if paired else ""
    return (
        f"budget: {n} trials a variant find {reach}, in four of five studies with {comparisons} "
        f"comparison{'s' if comparisons > 1 else ''} a task; {needed} trials{assumed}"
    )


def _replicates(plan: StudyPlan) -> list[str]:
    """What the search's trials are compared with, and how many replicates are trained besides."""
    controls = sum(trial.purpose == "control" for trial in plan.trials())
    missing = "" if plan.has_reference else ", which is not among them, so that nothing is compared"
    lines = [f"reference: {plan.reference}{missing}"]
    if controls:
        lines += [f"controls: {controls} more trials of {plan.reference}, {plan.config.controls} at every index"]
    if counts := replicates(plan):
        names = ", ".join(f"{name} {count}" for name, count in counts.items())
        most = len(most_confirmation_trials(plan))
        lines += [f"confirmation: at most {most} more trials, the best setting of each anew on each task: {names}"]
    return lines


def _own_settings(plan: StudyPlan) -> dict[str, str]:
    """By task, what its data and training are set to, where that is its own."""
    found = {}
    for task in plan.tasks:
        own = plan.task_config(task).differing_settings(plan.config.training)
        if own:
            found[task.name] = ", ".join(f"{key} {_plain(value)}" for key, value in own.items())
    return found


def dry_run_of_hours(plan: StudyPlan) -> str:
    """The plan with about as many indices as its hours allow, which is measured for it."""
    config, allowed = plan.config, estimate_indices(plan)
    indices = min(allowed, config.trials or allowed)
    workers = f"{config.workers} worker{'s' if config.workers > 1 else ''}"
    words = f"hours: {config.hours:.3g} on {workers} allow about {allowed:,} ind{'ices' if allowed != 1 else 'ex'}"
    if not allowed:
        return f"{words}: not one of all {len(plan.trials(1))} trials that would be compared, if none stops early"
    shown = dataclasses.replace(config, trials=min(indices, max(1, MOST_PLANNED // len(plan.trials(1)))))
    planned = dry_run(dataclasses.replace(plan, config=shown))
    return f"{words}, and more where trials stop early\n\n{planned}"


def time_estimate(plan: StudyPlan) -> str:
    """How long the plan would take on this machine, which is measured for it."""
    seconds, costs = estimate_seconds(plan)
    workers = plan.config.workers
    measured = "; ".join(
        f"{task} {', '.join(f'{_hours(cost)} at {size} units' for size, cost in known)}"
        for task, known in costs.items()
    )
    return (
        f"\ntime: at most about {_hours(seconds / workers)} on {workers} worker{'s' if workers > 1 else ''}, "
        f"{_hours(seconds)} of one core\n"
        f"  measured on this machine for a trial of {MEASURED_VARIANT} that does not stop early: {measured}\n"
        "  other variants in proportion to the arithmetic of a step; without kernels, written texts and the report"
    )


def _hours(seconds: float) -> str:
    for size, unit in ((86400 * 365, "years"), (86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s"
