"""The study in MLflow: an experiment is a study.

One run is the study's, with its report as artifacts; one run for each task and variant has the summary of its trials;
below it are the trials, all, the best or none, and beside all of them the replicates. `MlflowClient` is used
throughout: the fluent interface keeps global state.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.definitions.study_results import TaskMetadata
from ablate.plan.config import Config
from ablate.plan.confirmation import best_setting
from ablate.plan.search_space import HYPERPARAMETERS
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import Curve, trial_id
from ablate.trackers.mlflow_database import prepare_database, remove_stray_folder
from ablate.trackers.mlflow_experiment import (
    NOTE,
    MlflowClient,
    describe_experiment,
    description,
    open_experiment,
    share_views,
)
from ablate.trackers.mlflow_runs import ClientRunWriter, DatabaseRunWriter, EndedRun, RunWriter, log_data
from ablate.trackers.tracker import Row
from ablate.trackers.trial_summary import finite, summarise

from mlflow.entities import Dataset, DatasetInput, Metric, Param, Run, RunTag  # isort: skip  (settings go first)

METRICS = ("validation", "test", "best_epoch", "epochs", "parameters", "seconds")
CURVES = ("epoch/train", "epoch/validation")  # by epoch; what stands before the slash is the UI's section of charts
TRIAL, PARENT, KIND = "ablate.trial", "mlflow.parentRunId", "kind"
TIMES_REDONE = "ablate.times_redone"  # of the variant, as the metadata count them; runs of another count are replaced
LAYOUT = {"ablate.layout": "2"}  # of a trial's run; one that was written in an older form is written anew
SOURCE = {"mlflow.source.name": "run_sweep.py", "mlflow.source.type": "LOCAL"}

Group = tuple[str, str]  # task, variant


def open_tracker(folder: StudyFolder, config: Config, print_line: Callable[[str], None]) -> MlflowTracker:
    """The tracker of a study: on the server of the configuration, or in the database of the results folder."""
    if not config.tracking_uri:
        prepare_database(folder.mlflow_file, print_line)
    client = MlflowClient(tracking_uri=config.tracking_uri or folder.mlflow_uri)
    experiment = open_experiment(client, folder, config, print_line)
    remove_stray_folder(folder.mlflow_file)
    writer = None if config.tracking_uri else DatabaseRunWriter(client, experiment, folder.mlflow_uri)
    return MlflowTracker(client, experiment, folder.metadata(), config.log_trials, writer)


@dataclass(frozen=True)
class _TrialRun:
    """What is known of a trial's run."""

    run_id: str
    state: str | None  # of the trial
    whole: bool  # it has ended, so it is not half-written, and has today's form


@dataclass
class _SummaryRun:
    """What is known of the run of a task and variant, or of the study."""

    run_id: str
    metrics: dict[str, float]
    tags: dict[str, str]
    status: str = "RUNNING"
    described: bool = False  # it has its parameters and its data, which come last


class MlflowTracker:
    """One study's experiment on a tracking server or in a database. `repair` comes first, as in a sweep.

    Args:
        experiment: the experiment's id.
        metadata: the study's metadata, as `StudyFolder.metadata` gives them.
        log_trials: which trials become runs: "all", as they end; at the close "best" of each task and variant by
            validation; or "none".
        writer: writes their runs; by the client if None.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment: str,
        metadata: dict[str, Any],
        log_trials: str = "all",
        writer: RunWriter | None = None,
    ) -> None:
        self._client, self._experiment, self._metadata = client, experiment, metadata
        self._writer = writer or ClientRunWriter(client, experiment)
        self._log_trials = log_trials
        self._tasks = {name: TaskMetadata.from_dict(task) for name, task in metadata["tasks"].items()}
        self._rows: dict[Group, dict[int, Row]] = {}
        self._best: dict[Group, tuple[Row, Curve]] = {}
        self._trials: dict[str, list[_TrialRun]] = {}
        self._replaced: list[str] = []  # runs of variants that have been redone since
        self._parents: dict[Group, _SummaryRun] = {}
        self._study: _SummaryRun | None = None
        for run in self._all_runs():
            tags = run.data.tags
            described = bool(run.inputs and run.inputs.dataset_inputs)
            known = _SummaryRun(run.info.run_id, run.data.metrics, tags, run.info.status, described)
            if "variant" in tags and tags.get(TIMES_REDONE, "0") != self._times_redone(tags["variant"]):
                self._replaced.append(run.info.run_id)
            elif TRIAL in tags:
                whole = run.info.status in ("FINISHED", "FAILED") and tags.items() >= LAYOUT.items()
                self._trials.setdefault(tags[TRIAL], []).append(_TrialRun(run.info.run_id, tags.get("state"), whole))
            elif tags.get(KIND) == "study":
                self._study = known
            elif PARENT not in tags and {"task", "variant"} <= set(tags):
                self._parents[tags["task"], tags["variant"]] = known

    def _all_runs(self) -> list[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def repair(self, trials: Iterable[tuple[Row, Curve]]) -> None:
        """As `Tracker.repair`."""
        self._rows, self._best = {}, {}
        while self._replaced:
            self._client.delete_run(self._replaced[-1])
            self._replaced.pop()
        if self._log_trials == "all":  # what the others want is known at the close
            self._keep_only({_name(row) for row, _ in trials})
        for row, curve in trials:
            self.add(row, curve)

    def add(self, trial: Row, curve: Curve) -> None:
        """As `Tracker.add`: a trial becomes a child run, which counts as written once it has ended."""
        group = trial["task"], trial["variant"]
        rows = self._rows.setdefault(group, {})
        if not trial["replicate"]:  # the summary is the search's
            rows[trial["index"]] = trial
            known = [self._best[group][0]] if group in self._best else []
            if best_setting([trial, *known], self._tasks[trial["task"]].direction) is trial:
                self._best[group] = trial, curve
        if self._log_trials == "all":
            self._write(trial, curve)

    def close(self, report: Path | None) -> None:
        """As `Tracker.close`: writes the summaries and the report, and ends their runs; as killed without a report."""
        if self._log_trials != "all":
            best = list(self._best.values()) if self._log_trials == "best" else []
            self._keep_only({_name(row) for row, _ in best})
            for row, curve in best:
                self._write(row, curve)
        for group in [group for group in self._parents if group not in self._rows]:
            self._client.delete_run(self._parents.pop(group).run_id)
        status = "KILLED" if report is None else "FINISHED"
        for (task, variant), rows in self._rows.items():
            parent = self._parent(task, variant)
            summary = summarise(list(rows.values()), self._tasks[task].direction)
            tags = {KIND: "variant", "mlflow.runName": f"{task} {variant}"}
            if self._update(parent, summary, tags) or parent.status != status:  # else it ended when it ended
                self._client.set_terminated(parent.run_id, status)
        self._close_study(report, status)

    def _close_study(self, report: Path | None, status: str) -> None:
        """The study's run, made at the first close, so that it stands first in the table of runs."""
        study = self._client.get_experiment(self._experiment).name
        about = description(self._experiment, study, list(self._tasks.values()), list(self._rows), self._log_trials)
        describe_experiment(self._client, self._experiment, about)
        share_views(self._client, self._experiment, list(self._tasks.values()))
        states = [row["state"] for rows in self._rows.values() for row in rows.values()]
        # As text: numbers of the whole study would dwarf those of its variants in the chart view.
        counts = ", ".join(f"{states.count(state):,} {state}" for state in ("completed", "diverged", "failed"))
        note = f"The report of {study}, with its tables and figures, is under Artifacts. Trials: {counts}."
        if self._study is None:
            self._study = self._create(f"study {study}", {KIND: "study"})
        command = self._metadata.get("command", "")
        self._update(self._study, {}, {NOTE: note, **({"command": command} if command else {})})
        if report is not None:
            self._client.log_artifacts(self._study.run_id, str(report))  # what is there from before is written over
        self._client.set_terminated(self._study.run_id, status)

    def _write(self, row: Row, curve: Curve) -> None:
        """The trial's run, if it is not there already, once, whole, and of this end of the trial."""
        name = _name(row)
        there = self._trials.get(name, [])
        if len(there) == 1 and there[0].whole and there[0].state == row["state"]:
            return
        self._delete(name)
        tags = {
            **LAYOUT,
            **SOURCE,
            KIND: "trial",
            TRIAL: name,
            PARENT: self._parent(row["task"], row["variant"]).run_id,
            TIMES_REDONE: self._times_redone(row["variant"]),
            **{key: str(row[key]) for key in ("task", "variant", "index", "purpose", "state", "backend")},
            "seed": str(self._metadata["configuration"]["seed"]),
        }
        tags |= {key: str(row[key])[:5000] for key in ("stop_reason", "reason") if row[key]}
        if row["replicate"]:  # of a kind of its own, so that no list of the search's trials has it
            tags |= {KIND: "replicate", "replicate": str(row["replicate"])}
        run_id = self._writer.write(_ended_run(row, curve, tags, self._data(row["task"])))
        self._trials[name] = [_TrialRun(run_id, row["state"], True)]

    def _times_redone(self, variant: str) -> str:
        return str(self._metadata.get("times_redone", {}).get(variant, 0))

    def _keep_only(self, wanted: set[str]) -> None:
        for name in [name for name in self._trials if name not in wanted]:
            self._delete(name)

    def _delete(self, name: str) -> None:
        for run in self._trials.pop(name, []):
            self._client.delete_run(run.run_id)

    def _parent(self, task: str, variant: str) -> _SummaryRun:
        """The run of a task and variant."""
        if (task, variant) not in self._parents:
            about = self._metadata["variants"].get(variant, {})
            tags = {"task": task, "variant": variant, TIMES_REDONE: self._times_redone(variant)}
            tags |= {NOTE: about.get("summary", ""), "source": about.get("source", "")}
            self._parents[task, variant] = self._create(f"{task} {variant}", {KIND: "variant", **tags})
        run = self._parents[task, variant]
        if not run.described:  # it is new, or a kill has left it half-made
            settings = {**self._metadata["configuration"]["training"], **self._tasks[task].settings}
            self._client.log_batch(run.run_id, params=[Param(key, str(value)) for key, value in settings.items()])
            log_data(self._client, run.run_id, self._data(task))
            run.described = True
        return run

    def _create(self, name: str, tags: dict[str, str]) -> _SummaryRun:
        run = self._client.create_run(self._experiment, run_name=name, tags={**SOURCE, **tags})
        return _SummaryRun(run.info.run_id, {}, run.data.tags)

    def _update(self, run: _SummaryRun, metrics: dict[str, float], tags: dict[str, str]) -> bool:
        """Write what has changed, and say whether anything has.

        MLflow takes no number back: one that is no longer known becomes NaN.
        """
        wanted = {**dict.fromkeys(run.metrics, math.nan), **metrics}
        now = int(time.time() * 1000)
        changed = [
            Metric(key, value, now, 0)
            for key, value in wanted.items()
            if value != run.metrics.get(key) and (finite(value) or finite(run.metrics.get(key)))
        ]
        new_tags = [RunTag(key, value) for key, value in tags.items() if run.tags.get(key) != value]
        if changed or new_tags:
            self._client.log_batch(run.run_id, metrics=changed, tags=new_tags)
        run.metrics, run.tags = wanted, {**run.tags, **tags}
        return bool(changed or new_tags)

    def _data(self, task: str) -> DatasetInput:
        about = self._tasks[task]
        # MLflow takes a digest of at most 36 characters.
        profile = json.dumps({"sequences": about.counts, "frames": about.frames})
        return DatasetInput(Dataset(task, about.sha256[:36], "local", about.source, profile=profile))


def _name(row: Row) -> str:
    return str(trial_id(row))


def _ended_run(row: Row, curve: Curve, tags: dict[str, str], data: DatasetInput) -> EndedRun:
    """The run of a trial, as if it had ended now."""
    title = f"{row['task']} {row['variant']} #{row['index']}"
    if row["replicate"]:
        title += f" {row['purpose']} {row['replicate']}"
    end = int(time.time() * 1000)
    start = end - int(1000 * (row["seconds"] or 0))
    metrics = [Metric(key, float(row[key]), end, 0) for key in METRICS if finite(row[key])]
    for epoch, *scores in curve:
        when = start + (end - start) * epoch // len(curve)
        pairs = zip(CURVES, scores, strict=True)
        metrics += [Metric(key, float(value), when, epoch) for key, value in pairs if finite(value)]
    params = [Param(key, repr(row[key])) for key in HYPERPARAMETERS if row.get(key) is not None]
    status = "FAILED" if row["state"] == "failed" else "FINISHED"
    return EndedRun(title, tags, start, end, status, params, metrics, data)
