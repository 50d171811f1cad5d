"""A sweep: what is missing of a study is run, kept and shown; then the study is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ablate.data.load import task_data, user_path
from ablate.definitions.dataset import Dataset
from ablate.errors import UserError
from ablate.execution.backends import choose_backends
from ablate.execution.continuation import check_continuation, check_numerics_version
from ablate.execution.executor import check_executor_name, make_executor
from ablate.execution.processes import stop_signals_as_interrupts
from ablate.execution.progress import ProgressDisplay
from ablate.execution.redo import check_redo, drop_trials, pending
from ablate.plan.config import Config
from ablate.plan.numerics import NUMERICS_VERSION
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan
from ablate.plan.tasks import made_from_data
from ablate.storage.folder import StudyFolder
from ablate.storage.metadata import merge_metadata, study_metadata
from ablate.storage.results import load_results
from ablate.storage.tables import trial_ids
from ablate.trackers.background import BackgroundTrackers

ENDED = ("completed", "diverged")  # results; a failed trial is run again by the next command


class SweepInterrupted(KeyboardInterrupt):
    """Stopped after the study was opened: what goes on is the command without `--fresh` and `--redo`."""


def run_study(plan: StudyPlan, *, fresh: bool, command: str, redo: Sequence[str] = ()) -> int:
    """Finish what is missing of a study and report it; returns how many of the plan's trials have failed.

    Args:
        fresh: start it anew.
        redo: the variants whose trials are dropped first.

    Raises:
        UserError: bad data, a folder that cannot be used, a storage that cannot be opened; nothing was written.
        KeyboardInterrupt: by Ctrl-C or a signal to terminate; what is finished is kept. SweepInterrupted, once the
            study has been opened.
    """
    config = plan.config
    folder = StudyFolder(Path(config.results), config.study_name)
    directions, units = ({task.name: getattr(task, key) for task in plan.tasks} for key in ("direction", "unit"))
    progress = ProgressDisplay(plan.trials(), directions, units)
    if folder.exists and not fresh:
        check_numerics_version(folder)  # both before the data is parsed, which may take a while
        folder.compare(config)
    redo = check_redo(folder, plan, redo)
    check_executor_name(config.executor)
    if config.storage:
        from ablate.trackers.optuna_tracker import open_storage  # slow to import

        open_storage(config.storage)
    for task in plan.tasks:
        if (path := user_path(plan, task)) is not None:
            task.fingerprint(path)  # refuses a bad path before the slow parsing
    datasets = {task.name: task_data(plan, task, progress.step) for task in plan.tasks}
    metadata = study_metadata(plan, datasets, command)
    metadata["numerics_version"] = NUMERICS_VERSION
    folder.lock()
    try:
        if not fresh:
            check_continuation(folder, metadata, redone=[*redo, *pending(folder)])
        folder.open(config, fresh)
        metadata["configuration"] = folder.config().to_toml()  # also of what earlier commands have asked for
        metadata |= drop_trials(folder, plan, redo, progress.print_line)
        folder.write_metadata(merge_metadata(folder.metadata(), metadata))
        try:
            return _finish(plan, folder, progress, datasets)
        except KeyboardInterrupt as stop:
            raise SweepInterrupted from stop
    finally:
        folder.unlock()


def _finish(plan: StudyPlan, folder: StudyFolder, progress: ProgressDisplay, datasets: dict[str, Dataset]) -> int:
    """Run what is missing of a study that has been opened, and report it; returns how many trials have failed."""
    folder.tables.compact()
    missing = _missing(plan, folder)
    if not missing and folder.report_is_current:
        progress.print_line(f"study {folder.name!r} is complete: {len(plan.trials())} trials; nothing to train")
        progress.print_line(f"report: {folder.report_file}")
        return 0
    for maker in made_from_data():
        for note in datasets[maker.name].notes if maker.name in datasets else ():
            progress.print_line(f"{maker.name}: {note}")
    if missing:
        plan = replace(plan, backends=choose_backends(plan, progress))
    trackers = BackgroundTrackers(folder, plan.config, progress.print_line)
    try:
        trackers.repair(folder.tables.rows())
        _run(plan, folder, progress, missing, trackers)
        report = report_study(folder)
        trackers.close(report.parent)
    except KeyboardInterrupt:
        trackers.silence()
        raise
    progress.print_line(f"report: {report}")
    return len(_missing(plan, folder))


def rebuild(folder: StudyFolder, config: Config) -> None:
    """Make the report again from the study's tables, which stay as they are, and repair the trackers.

    Raises:
        UserError: there is no such study, or it is being run.
    """
    if not folder.exists:
        raise UserError(folder.missing())
    folder.lock()
    try:
        report = report_study(folder)
        # Where the trackers are and which trials MLflow has is this command's; what they show is the study's own.
        here = {key: getattr(config, key) for key in ("tracking_uri", "log_trials", "storage")}
        config = replace(folder.config(), **here)
        trackers = BackgroundTrackers(folder, config, print)
        trackers.repair(folder.tables.rows())
        trackers.close(report.parent)
        print(f"report: {report}")
    finally:
        folder.unlock()


def report_study(folder: StudyFolder) -> Path:
    """Write the report of what the study's tables hold; returns its page."""
    from ablate.report import write_report  # slow to import

    return write_report(load_results(folder), folder.path / "report")


def _missing(plan: StudyPlan, folder: StudyFolder) -> list[TrialId]:
    """The plan's trials that have not ended yet, in the order of the plan."""
    table = folder.tables.trials()
    ended = {at for at, state in zip(trial_ids(table), table["state"], strict=True) if state in ENDED}
    return [trial for trial in plan.trials() if trial not in ended]


def _run(
    plan: StudyPlan, folder: StudyFolder, progress: ProgressDisplay, trials: list[TrialId], trackers: BackgroundTrackers
) -> None:
    """Run the trials and keep each as it ends."""
    there = set(plan.trials()) - set(trials)
    for row, _ in folder.tables.rows():
        at = TrialId(row["task"], row["variant"], row["index"])
        if at in there:
            progress.add_earlier(at, row["state"], row["validation"])
    if there and trials:
        progress.print_line(f"{len(there)} of {len(plan.trials())} trials are there already")
    name = plan.config.executor
    if trials and name != "serial" and (only_here := plan.only_here()):
        name = "serial"
        progress.print_line(
            f"{', '.join(only_here)}: defined in this process alone, so the trials run in it, one after the other; "
            "what a file defines that variants_from or tasks_from names runs on all cores"
        )
    executor = make_executor(name, plan)
    try:
        with progress, stop_signals_as_interrupts() as stopped:
            if trials:
                workers = min(plan.config.workers, len(trials)) if name == "local" else 1
                progress.wait_for(f"starting {workers} workers" if workers > 1 else "starting")
            for result in executor.run(trials):
                folder.tables.add(result.row, result.curve, result.sample)
                if result.traceback:
                    folder.write_failure(str(result.trial), result.traceback)
                progress.add(result.trial, result.row["state"], result.row["validation"])
                trackers.add(result.row, result.curve)
                if stopped():  # the exception has been lost in code that lets none out
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        executor.stop()
        trackers.close(None)
        raise
    finally:
        executor.stop()
        folder.tables.compact()
