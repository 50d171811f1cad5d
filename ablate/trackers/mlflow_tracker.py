"""The study in MLflow: a view of the tables, written as trials finish and rebuildable from them at any time.

An experiment is a study, a parent run a task and variant, a child run a trial. `MlflowClient` is used throughout:
the fluent interface keeps global state.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from pathlib import Path
from typing import Any

from ablate.plan.search_space import HYPERPARAMETERS
from ablate.storage.tables import Curve

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


class MlflowTracker:
    """One study's experiment on a tracking server or in a database."""

    def __init__(self, uri: str, study: str, study_id: str, artifacts: Path, metadata: dict[str, Any]) -> None:
        """Open the experiment, making it if need be; an older study of the same name is put aside.

        Args:
            study_id: tells this study from one of the same name that a fresh start has replaced.
            artifacts: the folder for artifacts if the database keeps none itself.
            metadata: the study's metadata, as `ablate.storage.metadata.study_metadata` gives them.
        """
        self._client = MlflowClient(tracking_uri=uri)
        self._metadata = metadata
        self._study, self._study_id = study, study_id
        self._experiment = self._open_experiment(uri, artifacts)
        runs = self._all_runs()
        self._trials = {run.data.tags[TRIAL]: run for run in runs if TRIAL in run.data.tags}
        self._parents = {run.info.run_name: run.info.run_id for run in runs if PARENT not in run.data.tags}

    def _open_experiment(self, uri: str, artifacts: Path) -> str:
        found = self._client.get_experiment_by_name(self._study)
        if found and found.tags.get(STUDY_ID) == self._study_id and found.lifecycle_stage == "active":
            return found.experiment_id
        if found:
            # A deleted experiment keeps its name, so it is given another one first.
            if found.lifecycle_stage != "active":
                self._client.restore_experiment(found.experiment_id)
            aside = f"{self._study} (replaced {time.strftime('%Y-%m-%d %H:%M:%S')}, {found.experiment_id})"
            self._client.rename_experiment(found.experiment_id, aside)
            self._client.delete_experiment(found.experiment_id)
        location = artifacts.resolve().as_uri() if uri.startswith("sqlite:") else None
        tags = {STUDY_ID: self._study_id, "mlflow.experimentKind": "custom_model_development"}  # the UI's layout
        return self._client.create_experiment(self._study, artifact_location=location, tags=tags)

    def _all_runs(self) -> list[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def add(self, row: dict[str, Any], curve: Curve) -> None:
        """Log a finished trial, a row of the table, as a child run; one that is there already is left alone."""
        name = f"{row['task']}/{row['variant']}/{row['index']}"
        old = self._trials.get(name)
        if old is not None:
            if old.data.tags.get("state") == row["state"]:
                return
            self._client.delete_run(old.info.run_id)  # it had failed and has been run again
        end = int(time.time() * 1000)
        start = end - int(1000 * (row["seconds"] or 0))
        tags = {
            **SOURCE,
            TRIAL: name,
            PARENT: self.parent(row["task"], row["variant"]),
            **{key: str(row[key]) for key in ("task", "variant", "index", "state", "engine")},
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
        self._trials[name] = run

    def parent(self, task: str, variant: str) -> str:
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

    def finish(self, report: Path | None) -> None:
        """End the parent runs, each with the report's figures and tables as artifacts; without a report, as killed."""
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


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)
