"""A sweep: what is missing of a study is run, kept and shown; then the study is reported."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.data.load import own_copy, task_data
from ablate.errors import UserError
from ablate.execution.backends import choose_backends
from ablate.execution.local_pool import LocalPool
from ablate.execution.progress import ProgressDisplay
from ablate.plan.config import Config
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan
from ablate.storage.folder import StudyFolder
from ablate.storage.metadata import merge_metadata, study_metadata
from ablate.storage.tables import coordinates
from ablate.trackers.feed import Trackers

ENDED = ("completed", "diverged")  # results; a failed trial is run again by the next command


def run_study(plan: StudyPlan, *, fresh: bool, command: str) -> int:
    """Finish what is missing of a study and report it; returns how many of the plan's trials have failed.

    Raises:
        UserError: bad data, a folder that cannot be used, a storage that cannot be opened; nothing was written.
        KeyboardInterrupt: by Ctrl-C or a signal to terminate; what is finished is kept.
    """
    config = plan.config
    folder = StudyFolder(Path(config.results), config.study_name)
    progress = ProgressDisplay(plan.trials(), {task.name: task.direction for task in plan.tasks})
    if folder.exists and not fresh:
        folder.compare(config)  # before the data is parsed, which may take a while
    if config.storage:
        from ablate.trackers.optuna_tracker import open_storage  # slow to import

        open_storage(config.storage)
    for task in plan.tasks:
        if (path := own_copy(plan, task)) is not None:
            task.fingerprint(path)  # refuses a bad path before the slow parsing
    metadata = study_metadata(plan, {task.name: task_data(plan, task, progress.step) for task in plan.tasks}, command)
    folder.lock()
    try:
        if not fresh:
            _check_data(folder, metadata)
            _check_variants(folder, metadata)
        folder.open(config, fresh)
        metadata["configuration"] = folder.config().to_toml()  # also of what earlier commands have asked for
        folder.write_metadata(merge_metadata(folder.metadata(), metadata))
        folder.tables.tidy()
        missing = _missing(plan, folder)
        if not missing and folder.report_is_current:
            progress.tell(f"study {folder.name!r} is complete: {len(plan.trials())} trials; nothing to train")
            progress.tell(f"report: {folder.report_file}")
            return 0
        if missing:
            plan = replace(plan, engines=choose_backends(plan, progress))
        trackers = Trackers(folder, config, fresh, progress.tell)
        _run(plan, folder, progress, missing, trackers)
        report = report_study(folder)
        trackers.finish(report.parent)
        progress.tell(f"report: {report}")
        return len(_missing(plan, folder))
    finally:
        folder.unlock()


def rebuild(folder: StudyFolder, config: Config) -> None:
    """Make the report, the trial store and the MLflow experiment again from the study's tables.

    Raises:
        UserError: there is no such study, or it is being run.
    """
    if not folder.exists:
        raise UserError(f"there is no study {folder.name!r} in {folder.results}/")
    folder.lock()
    try:
        folder.tables.tidy()
        report = report_study(folder)
        # The trackers go where this command says; what they show is the study's own.
        config = replace(folder.config(), tracking_uri=config.tracking_uri, storage=config.storage)
        Trackers(folder, config, False, print).finish(report.parent)
        print(f"report: {report}")
    finally:
        folder.unlock()


def report_study(folder: StudyFolder) -> Path:
    """Write the report of what the study's tables hold; returns its page."""
    from ablate.report import Facts, TaskFacts, VariantFacts, write_report  # slow to import

    kept = folder.metadata()
    metadata = Facts(
        study=folder.name,
        command=kept["command"],
        expected=kept["expected"],
        tasks=[TaskFacts(**task) for task in kept["tasks"].values()],
        variants=[VariantFacts(**variant) for variant in kept["variants"].values()],
        configuration=kept["configuration"],
        environment=kept["environment"],
    )
    tables = folder.tables
    return write_report(folder.path, tables.trials(), tables.curves(), metadata, tables.samples())


def _check_data(folder: StudyFolder, metadata: dict[str, Any]) -> None:
    """Refuse to go on in a study whose trials saw other data."""
    for name, before in folder.metadata().get("tasks", {}).items():
        now = metadata["tasks"].get(name, before)
        if now["sha256"] != before["sha256"]:
            difference = f"{before['source']} there, {now['source']} here"
            if before["source"] == now["source"]:
                difference = f"{now['source']} has changed since"
            raise UserError(
                f"study {folder.name!r} was made with other data for {name}: {difference}. "
                "Give --study another name, or --fresh to start it anew"
            )


def _check_variants(folder: StudyFolder, metadata: dict[str, Any]) -> None:
    """Refuse to go on in a study whose trials trained other equations under the same name."""
    for name, before in folder.metadata().get("variants", {}).items():
        now = metadata["variants"].get(name, before)
        if any(now.get(key) != before.get(key) for key in ("equations", "initial")):
            raise UserError(
                f"study {folder.name!r} was made with other equations for {name} than it has now. "
                "Give --study another name, or --fresh to start it anew"
            )


def _missing(plan: StudyPlan, folder: StudyFolder) -> list[TrialId]:
    """The plan's trials that have not ended yet, in the order of the plan."""
    table = folder.tables.trials()
    ended = {at for at, state in zip(coordinates(table), table["state"], strict=True) if state in ENDED}
    return [trial for trial in plan.trials() if trial not in ended]


def _run(
    plan: StudyPlan, folder: StudyFolder, progress: ProgressDisplay, trials: list[TrialId], trackers: Trackers
) -> None:
    """Run the trials and keep each as it ends."""
    there = set(plan.trials()) - set(trials)
    for row, _ in folder.tables.rows():
        at = TrialId(row["task"], row["variant"], row["index"])
        if at in there:
            progress.known(at, row["state"], row["validation"])
    if there and trials:
        progress.tell(f"{len(there)} of {len(plan.trials())} trials are there already")
    pool = LocalPool(plan, plan.config.workers)
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True
        raise KeyboardInterrupt

    # SIGTERM is a job queue's way to say stop.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with progress:
            for result in pool.run(trials):
                folder.tables.add(result.row, result.curve, result.sample)
                if result.traceback:
                    folder.write_failure(str(result.trial), result.traceback)
                progress.add(result.trial, result.row["state"], result.row["validation"])
                trackers.add(result.row, result.curve)
                if stopped:  # the exception has been lost in code that lets none out
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        pool.stop()
        trackers.finish(None)
        raise
    finally:
        pool.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
        folder.tables.tidy()
