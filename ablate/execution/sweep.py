"""A sweep: what is missing of a study is run, kept and shown; then the study is reported."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ablate.definitions.dataset import Dataset
from ablate.errors import UserError, storage_errors
from ablate.execution.backends import choose_backends, keep_backends
from ablate.execution.continuation import check_continuation
from ablate.execution.executor import check_launcher, make_executor
from ablate.execution.heartbeat import Heartbeat
from ablate.execution.preparation import check_plan, prepare, with_reference
from ablate.execution.processes import prepare_environment, process_context, stop_signals_as_interrupts
from ablate.execution.progress import ProgressDisplay
from ablate.execution.redo import check_redo, drop_trials, pending
from ablate.execution.schedule import Schedule
from ablate.execution.shards import folder_of, merge_shards, open_merged, shards_of, whole_of
from ablate.execution.spread import Tell, in_processes
from ablate.plan.config import LOCAL, SERIAL, Config
from ablate.plan.confirmation import most_confirmation_trials
from ablate.plan.numerics import NUMERICS_VERSION
from ablate.plan.study_plan import StudyPlan
from ablate.plan.tasks import made_from_data
from ablate.storage.folder import StudyFolder
from ablate.storage.metadata import merge_metadata, study_metadata
from ablate.storage.results import load_results
from ablate.storage.views import REPORT, Views
from ablate.trackers.background import BackgroundTrackers
from ablate.trackers.tracker import tracker_names

MANY_PANELS = 40  # one for each task and variant, that take longer to draw than the libraries to import
MIN_POINTS = 50  # trials a variant, below which slow analyses have little to say and take longer than is expected


class SweepInterrupted(KeyboardInterrupt):
    """Stopped after the study was opened: what goes on is the command without `--fresh` and `--redo`."""


def run_study(plan: StudyPlan, *, fresh: bool, command: str, redo: Sequence[str] = (), full: bool = False) -> int:
    """Finish what is missing of a study and report it; returns how many of the plan's trials have failed.

    Args:
        fresh: start it anew.
        redo: the variants whose trials are dropped first.
        full: compute the slow analyses for the report; studies of MIN_POINTS trials a variant or more do so anyway.

    Raises:
        UserError: bad data, a folder that cannot be used, a storage that cannot be opened; nothing was written.
        KeyboardInterrupt: by Ctrl-C or a signal to terminate; what is finished is kept. SweepInterrupted, once the
            study has been opened.
    """
    prepare_environment()
    folder = folder_of(plan.config)
    plan = with_reference(plan, folder, fresh=fresh)
    check_launcher(plan.config)
    check_plan(plan, folder, fresh=fresh)
    redo = check_redo(folder, plan, redo)
    expected = [*plan.trials(1 if plan.config.hours else None), *most_confirmation_trials(plan)]
    directions, units = ({task.name: getattr(task, key) for task in plan.tasks} for key in ("direction", "unit"))
    progress = ProgressDisplay(expected, directions, units)
    plan, datasets = prepare(plan, progress.step)
    metadata = study_metadata(plan, datasets, command)
    metadata["numerics_version"] = NUMERICS_VERSION
    folder.lock()
    try:
        with storage_errors(folder.path):
            return _open_and_finish(plan, folder, progress, datasets, metadata, fresh=fresh, redo=redo, full=full)
    finally:
        folder.unlock()


def _open_and_finish(
    plan: StudyPlan,
    folder: StudyFolder,
    progress: ProgressDisplay,
    datasets: dict[str, Dataset],
    metadata: dict[str, Any],
    *,
    fresh: bool,
    redo: Sequence[str],
    full: bool,
) -> int:
    """Open the study's folder, which this process has locked, and finish it."""
    if not fresh:
        for there in (folder, whole_of(plan.config)):
            if there:
                check_continuation(there, metadata, redone=[*redo, *pending(there)])
        _tell_added_tasks(plan, folder, progress)
    folder.tell_from_original(progress.print_line)
    folder.open(plan.config, fresh)
    metadata["configuration"] = folder.config().to_toml()  # also of what earlier commands have asked for
    metadata |= drop_trials(folder, plan, redo, progress.print_line)
    folder.write_metadata(merge_metadata(folder.metadata(), metadata))
    merge_shards(folder, progress.print_line)
    try:
        return _finish(plan, folder, progress, datasets, full)
    except KeyboardInterrupt as stop:
        raise SweepInterrupted from stop


def _tell_added_tasks(plan: StudyPlan, folder: StudyFolder, progress: ProgressDisplay) -> None:
    """Say so where a study that has other tasks gets new ones, as two commands without --study may have meant."""
    there = folder.metadata().get("tasks", {}) if folder.exists else {}
    added = [task.name for task in plan.tasks if task.name not in there]
    if there and added:
        progress.print_line(f"adds {', '.join(added)} to study {folder.name!r}, which has {', '.join(there)}")


def _finish(
    plan: StudyPlan, folder: StudyFolder, progress: ProgressDisplay, datasets: dict[str, Dataset], full: bool
) -> int:
    """Run what is missing of a study that has been opened, and report it; returns how many trials have failed."""
    folder.check_tables()
    folder.tables.compact()
    if plan.reference not in folder.metadata()["variants"]:
        progress.print_line(
            f"the reference {plan.reference} is not among the variants, so that nothing is compared: "
            "add it to --variants, or name another by --reference"
        )
    schedule = Schedule(plan, folder, whole_of(plan.config))
    wanted, ended = schedule.wanted(), schedule.ended()
    there = sum(trial in ended for trial in wanted)
    missing = there < len(wanted) or schedule.goes_on()
    views = Views(folder, plan.config)
    if not missing:
        progress.print_line(f"study {folder.name!r} is complete: {len(wanted)} trials; nothing to train")
        if plan.config.hours:
            progress.print_line(schedule.told())
        if plan.config.shard:
            return 0
        if views.are_current([REPORT, *tracker_names()]) and not full:
            progress.print_line(f"report: {folder.report_file}")
            return 0
    for maker in made_from_data():
        for note in datasets[maker.name].notes if maker.name in datasets else ():
            progress.print_line(f"{maker.name}: {note}")
    if missing and there:
        number = f"{there}" if plan.config.hours else f"{there} of {len(wanted)}"
        progress.print_line(f"{number} trials are there already")
    if missing:
        if plan.config.launcher == LOCAL and not plan.only_here():
            process_context()  # its server imports what workers need
        plan = replace(plan, backends=keep_backends(choose_backends(plan, progress), folder, progress.print_line))
    if plan.config.shard:
        _run(plan, folder, schedule, progress, BackgroundTrackers(folder, plan.config, progress.print_line, names=()))
        progress.print_line(f"shard {plan.config.shard} is in {folder.path}; --merge puts the shards together")
        return len(set(schedule.wanted()) - set(schedule.ended()))
    trackers = BackgroundTrackers(folder, plan.config, progress.print_line)
    try:
        trackers.repair(folder.tables.rows())
        if missing:
            _run(plan, folder, schedule, progress, trackers)
            if plan.config.hours:
                progress.print_line(schedule.told())
        slow = full or schedule.indices() >= MIN_POINTS
        report = report_study(folder, plan.config.workers, progress.step, full=slow)
        views.mark(trackers.close(report.parent))
    except KeyboardInterrupt:
        trackers.interrupt()
        raise
    progress.print_line(f"report: {report}")
    return len(set(schedule.wanted()) - set(schedule.ended()))


def rebuild(folder: StudyFolder, config: Config, full: bool = False, shards: bool = False) -> None:
    """Make the report again from the study's tables, which stay as they are, and repair the trackers.

    Args:
        full: compute the slow analyses as well.
        shards: there must be shards to merge; else they are merged if there are any.

    Raises:
        UserError: there is no such study, or it is being run, or its shards cannot be put together, or it has no
            variant of the name of the new reference.
    """
    prepare_environment()
    found = shards_of(folder)
    if shards and not found:
        raise UserError(f"study {folder.name!r} in {folder.results.resolve()} has no shards; --shard 1/4 runs one")
    if not folder.exists and not found:
        raise UserError(folder.missing())
    folder.lock()
    try:
        with storage_errors(folder.path):
            open_merged(folder)
            _rebuild(folder, config, full)
    finally:
        folder.unlock()


def _rebuild(folder: StudyFolder, config: Config, full: bool) -> None:
    """Rebuild a study whose folder this process has locked."""
    folder.tell_from_original(print)
    merge_shards(folder, print)
    if config.reference:
        folder.write_metadata({**folder.metadata(), "reference": _reference_there(folder, config.reference)})
    # Where the trackers are and which trials MLflow has is this command's; what they show is the study's own.
    here = {key: getattr(config, key) for key in ("tracking_uri", "log_trials", "storage")}
    workers = config.workers
    config = replace(folder.config(), **here)
    report = report_study(folder, workers, ProgressDisplay([]).step, full=full)
    trackers = BackgroundTrackers(folder, config, print)
    try:
        trackers.repair(folder.tables.rows())
        Views(folder, config).mark(trackers.close(report.parent))
    except KeyboardInterrupt:
        trackers.interrupt()
        raise
    print(f"report: {report}")


def _reference_there(folder: StudyFolder, name: str) -> str:
    names = {variant.lower(): variant for variant in folder.metadata().get("variants", {})}
    if name.lower() not in names:
        raise UserError(
            f"study {folder.name!r} has no variant {name!r} to be the reference: {', '.join(names.values())}"
        )
    return names[name.lower()]


def report_study(folder: StudyFolder, workers: int, tell: Tell, full: bool = False) -> Path:
    """Write the report of what the study's tables hold; returns its page.

    Args:
        workers: processes that compute and draw.
        tell: told how far they are.
        full: compute for slow analyses what is not kept; else they show what is kept.
    """
    results = load_results(folder, in_processes(workers, tell) if full else None)
    many = workers > 1 and len(results.variants) * len(results.task_order) >= MANY_PANELS
    if many:
        process_context()  # its server starts while this process imports
    from ablate.report import write_report  # slow to import

    spread = in_processes(workers, tell, "drawing figures") if many else None
    page = write_report(results, folder.path / "report", spread)
    Views(folder, folder.config()).mark([REPORT])
    return page


def _run(
    plan: StudyPlan, folder: StudyFolder, schedule: Schedule, progress: ProgressDisplay, trackers: BackgroundTrackers
) -> None:
    """Run what is missing of the search and its controls, then of the confirmation; keep each trial as it ends."""
    name = _executor_name(plan, progress)
    executor = make_executor(name, plan)
    if plan.config.hours:
        progress.count_time(lambda: str(schedule.budget))
    # The report is imported while others train.
    threading.Thread(target=import_module, args=("ablate.report",), daemon=True).start()
    try:
        beats = Heartbeat(folder, executor.workers)
        with progress, beats, stop_signals_as_interrupts() as stopped:
            workers = plan.config.workers if name == LOCAL else 1
            progress.wait_for(f"starting {workers} workers" if workers > 1 else "starting")
            for batch in schedule.batches():
                if batch.purpose == "confirmation":
                    progress.expect(batch.purpose, batch.trials)
                for trial in filter(batch.ended.__contains__, batch.trials):
                    progress.add_earlier(trial, batch.ended[trial]["state"], batch.ended[trial]["validation"])
                for result in executor.run(batch.missing, batch.enough):
                    folder.tables.add(result.row, result.curve, result.sample)
                    if result.traceback:
                        folder.write_failure(str(result.trial), result.traceback)
                    schedule.add(result.row)
                    beats.add()
                    progress.add(result.trial, result.row["state"], result.row["validation"])
                    trackers.add(result.row, result.curve)
                    if stopped():  # the exception has been lost in code that lets none out
                        raise KeyboardInterrupt
    except KeyboardInterrupt:
        executor.stop()
        raise
    finally:
        executor.stop()
        folder.tables.compact()


def _executor_name(plan: StudyPlan, progress: ProgressDisplay) -> str:
    """The executor that was asked for, or the one that runs what no other process knows."""
    if plan.config.launcher == SERIAL or not (only_here := plan.only_here()):
        return plan.config.launcher
    progress.print_line(
        f"{', '.join(only_here)}: defined in this process alone, so the trials run in it, one after the other; "
        "what a file defines that variants_from or tasks_from names runs on all cores"
    )
    return SERIAL
