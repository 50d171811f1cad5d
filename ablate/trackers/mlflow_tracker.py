"""The study in MLflow.

An experiment is a study, a parent run a task and variant, a child run a trial. `MlflowClient` is used throughout:
the fluent interface keeps global state.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.plan.config import Config
from ablate.plan.search_space import HYPERPARAMETERS
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import Curve
from ablate.trackers.tracker import Row

# Set before mlflow reads them: an unreachable server is found out in seconds, not after minutes of retries.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
for _noisy in ("alembic", "mlflow", "mlflow.store.db.utils"):
    logging.getLogger(_noisy).setLevel(logging.WARNING)

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Dataset, DatasetInput, Metric, Param, Run, RunTag  # noqa: E402

METRICS = ("test", "best_epoch", "epochs", "parameters", "seconds")
BATCH = 1000  # metrics that one log_batch takes
TRIAL, STUDY_ID, PARENT = "ablate.trial", "ablate.study_id", "mlflow.parentRunId"
SOURCE = {"mlflow.source.name": "run_sweep.py", "mlflow.source.type": "LOCAL"}


def open_tracker(folder: StudyFolder, config: Config, print_line: Callable[[str], None]) -> MlflowTracker:
    """The tracker of a study: on the server of the configuration, or in the database of the results folder."""
    uri = config.tracking_uri or folder.mlflow_uri
    # A server keeps artifacts itself; beside a database of our own they go into a folder of our own.
    location = None if config.tracking_uri else folder.mlflow_artifacts.resolve().as_uri()
    client = MlflowClient(tracking_uri=uri)
    experiment = _open_experiment(client, folder.name, folder.id, folder.replaced_ids, location, print_line)
    return MlflowTracker(client, experiment, folder.metadata())


def _open_experiment(
    client: MlflowClient,
    study: str,
    study_id: str,
    replaced_ids: Collection[str],
    artifact_location: str | None,
    print_line: Callable[[str], None],
) -> str:
    """The id of the study's experiment, which is made if need be. Nothing that another study made is touched."""
    own = next(iter(client.search_experiments(filter_string=f"tags.`{STUDY_ID}` = '{study_id}'")), None)
    if own is not None:
        return own.experiment_id
    name, holder = study, client.get_experiment_by_name(study)
    if holder is not None and holder.tags.get(STUDY_ID) in replaced_ids:
        # A deleted experiment keeps its name, so it is given another one first.
        if holder.lifecycle_stage != "active":
            client.restore_experiment(holder.experiment_id)
        replaced = f"{study} (replaced {time.strftime('%Y-%m-%d %H:%M:%S')}, {holder.experiment_id})"
        client.rename_experiment(holder.experiment_id, replaced)
        client.delete_experiment(holder.experiment_id)
    elif holder is not None:
        name = f"{study} ({study_id[:8]})"
        print_line(
            f"MLflow has an experiment {study!r} of another study, which is left alone; this study's is {name!r}"
        )
    tags = {STUDY_ID: study_id, "mlflow.experimentKind": "custom_model_development"}  # the UI's layout
    return client.create_experiment(name, artifact_location=artifact_location, tags=tags)


@dataclass(frozen=True)
class _TrialRun:
    """What is known of a trial's run."""

    run_id: str
    state: str | None  # of the trial
    ended: bool  # a run that has not ended is half-written


class MlflowTracker:
    """One study's experiment on a tracking server or in a database.

    Args:
        experiment: the experiment's id.
        metadata: the study's metadata, as `StudyFolder.metadata` gives them.
    """

    def __init__(self, client: MlflowClient, experiment: str, metadata: dict[str, Any]) -> None:
        self._client, self._experiment, self._metadata = client, experiment, metadata
        runs = self._all_runs()
        self._trials: dict[str, list[_TrialRun]] = {}
        for run in runs:
            if TRIAL in run.data.tags:
                ended = run.info.status in ("FINISHED", "FAILED")
                written = _TrialRun(run.info.run_id, run.data.tags.get("state"), ended)
                self._trials.setdefault(run.data.tags[TRIAL], []).append(written)
        self._parents = {run.info.run_name: run.info.run_id for run in runs if PARENT not in run.data.tags}

    def repair(self, trials: Sequence[tuple[Row, Curve]]) -> None:
        """As `Tracker.repair`."""
        wanted = {_name(row) for row, _ in trials}
        for name in [name for name in self._trials if name not in wanted]:
            self._delete(name)
        for row, curve in trials:
            self.add(row, curve)

    def _all_runs(self) -> list[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def add(self, trial: Row, curve: Curve) -> None:
        """As `Tracker.add`: a trial becomes a child run, which counts as written once it has ended."""
        row, name = trial, _name(trial)
        if self._is_written(row):
            return
        self._delete(name)
        end = int(time.time() * 1000)
        start = end - int(1000 * (row["seconds"] or 0))
        tags = {
            **SOURCE,
            TRIAL: name,
            PARENT: self._parent(row["task"], row["variant"]),
            **{key: str(row[key]) for key in ("task", "variant", "index", "state", "backend")},
            "seed": str(self._metadata["configuration"]["seed"]),
        }
        if row["reason"]:
            tags["reason"] = str(row["reason"])[:5000]
        run = self._client.create_run(
            self._experiment, start_time=start, run_name=f"{row['variant']} #{row['index']}", tags=tags
        )
        metrics = [Metric(key, float(row[key]), end, 0) for key in METRICS if _finite(row[key])]
        if _finite(row["validation"]):
            metrics.append(Metric("best_validation", row["validation"], end, 0))
        for epoch, train, validation in curve:
            scores = {"train": train, "validation": validation}
            metrics += [Metric(key, value, end, epoch) for key, value in scores.items() if _finite(value)]
        params = [Param(key, repr(row[key])) for key in HYPERPARAMETERS if row[key] is not None]
        for first in range(0, max(len(metrics), 1), BATCH):
            self._client.log_batch(
                run.info.run_id, metrics=metrics[first : first + BATCH], params=params if first == 0 else []
            )
        self._client.log_inputs(run.info.run_id, [self._data(row["task"])])
        status = "FAILED" if row["state"] == "failed" else "FINISHED"
        self._client.set_terminated(run.info.run_id, status, end_time=end)
        self._trials[name] = [_TrialRun(run.info.run_id, row["state"], True)]

    def _is_written(self, row: Row) -> bool:
        """Whether the trial's run is there, once, whole, and of this end of the trial."""
        runs = self._trials.get(_name(row), [])
        return len(runs) == 1 and runs[0].ended and runs[0].state == row["state"]

    def _delete(self, name: str) -> None:
        for run in self._trials.pop(name, []):
            self._client.delete_run(run.run_id)

    def _parent(self, task: str, variant: str) -> str:
        """The run id of a task and variant's parent run."""
        name = f"{task} / {variant}"
        if name not in self._parents:
            about = self._metadata["variants"].get(variant, {})
            tags = {**SOURCE, "task": task, "variant": variant, "mlflow.note.content": about.get("summary", "")}
            run = self._client.create_run(self._experiment, run_name=name, tags=tags)
            self._client.log_batch(
                run.info.run_id,
                params=[Param(key, str(value)) for key, value in self._metadata["configuration"]["training"].items()],
                tags=[RunTag("source", about.get("source", ""))],
            )
            self._client.log_inputs(run.info.run_id, [self._data(task)])
            self._parents[name] = run.info.run_id
        return self._parents[name]

    def close(self, report: Path | None) -> None:
        """As `Tracker.close`: ends the parent runs, each with the report's figures and tables; as killed without."""
        for run_id in self._parents.values():
            for folder in ("figures", "tables"):
                if report is not None and (report / folder).is_dir():
                    self._client.log_artifacts(run_id, str(report / folder), folder)
            self._client.set_terminated(run_id, "KILLED" if report is None else "FINISHED")

    def _data(self, task: str) -> DatasetInput:
        about = self._metadata["tasks"][task]
        # MLflow takes a digest of at most 36 characters.
        profile = json.dumps({"sequences": about["counts"], "frames": about["frames"]})
        return DatasetInput(Dataset(task, about["sha256"][:36], "local", about["source"], profile=profile))


def _name(row: Row) -> str:
    return f"{row['task']}/{row['variant']}/{row['index']}"


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)
