"""Runs of MLflow that have ended when they are written: by three calls on a server, by one transaction in a file."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Protocol

import mlflow.store.tracking.dbmodels.models as tables
import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import DatasetInput, LifecycleStage, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

BATCH = 1000  # metrics that one log_batch takes
LONGEST_WAIT = 60.0  # seconds that another writer of the database may take


@dataclass(frozen=True)
class EndedRun:
    """A run as it stands once it has ended; times are in milliseconds since 1970."""

    name: str
    tags: dict[str, str]
    start: int
    end: int
    status: str
    params: list[Param]
    metrics: list[Metric]  # with their steps; of one key the last is the run's
    data: DatasetInput  # which another run of the experiment has already


class RunWriter(Protocol):
    """Writes ended runs of one experiment."""

    def write(self, run: EndedRun) -> str:
        """Write a run; returns its id."""
        ...


class ClientRunWriter:
    """By the client, for servers and databases of any kind. A run that is cut short counts as running."""

    def __init__(self, client: MlflowClient, experiment: str) -> None:
        self._client, self._experiment = client, experiment

    def write(self, run: EndedRun) -> str:
        """As `RunWriter.write`."""
        made = self._client.create_run(self._experiment, start_time=run.start, run_name=run.name, tags=run.tags)
        for first in range(0, max(len(run.metrics), 1), BATCH):
            params = run.params if first == 0 else []
            self._client.log_batch(made.info.run_id, metrics=run.metrics[first : first + BATCH], params=params)
        log_data(self._client, made.info.run_id, run.data)
        self._client.set_terminated(made.info.run_id, run.status, end_time=run.end)
        return made.info.run_id


def log_data(client: MlflowClient, run_id: str, data: DatasetInput) -> None:
    """Say which data a run was trained on.

    A busy server may be asked twice, since the client asks again where no answer comes. Then one of the two finds that
    the other has just written the same data, and need only look again.
    """
    try:
        client.log_inputs(run_id, [data])
    except MlflowException as error:
        if "unique constraint" not in str(error).lower():
            raise
        client.log_inputs(run_id, [data])


class DatabaseRunWriter:
    """Into the SQLite database of a results folder, whole or not at all, and many times as fast as by the client.

    It writes what the client does, row for row, which `tests/test_mlflow_runs.py` compares.
    """

    def __init__(self, client: MlflowClient, experiment: str, address: str) -> None:
        self._experiment = client.get_experiment(experiment)
        self._engine = sqlalchemy.create_engine(address, connect_args={"timeout": LONGEST_WAIT})

    def write(self, run: EndedRun) -> str:
        """As `RunWriter.write`."""
        run_id = uuid.uuid4().hex
        metrics = [
            {"key": each.key, "value": each.value, "timestamp": each.timestamp, "step": each.step, "is_nan": False}
            for each in run.metrics
        ]
        latest = {each["key"]: each for each in metrics}
        about = {
            "name": run.name,
            "status": run.status,
            "start_time": run.start,
            "end_time": run.end,
            "experiment_id": int(self._experiment.experiment_id),
            "artifact_uri": f"{self._experiment.artifact_location}/{run_id}/artifacts",
            "lifecycle_stage": LifecycleStage.ACTIVE,
            **dict.fromkeys(("source_name", "entry_point_name", "source_version"), ""),
            "source_type": "UNKNOWN",
            "user_id": "unknown",
        }
        tags = {**run.tags, MLFLOW_RUN_NAME: run.name}
        rows = {
            tables.SqlRun: [about],
            tables.SqlTag: [{"key": key, "value": value} for key, value in tags.items()],
            tables.SqlParam: [{"key": param.key, "value": param.value} for param in run.params],
            tables.SqlMetric: metrics,
            tables.SqlLatestMetric: list(latest.values()),
        }
        with self._engine.begin() as connection:
            for model, found in rows.items():
                if found:
                    connection.execute(sqlalchemy.insert(model), [{"run_uuid": run_id, **row} for row in found])
            link = {
                "input_uuid": uuid.uuid4().hex,
                "source_type": "DATASET",
                "source_id": connection.execute(self._dataset(run.data)).scalar_one(),
                "destination_type": "RUN",
                "destination_id": run_id,
                "step": 0,
            }
            connection.execute(sqlalchemy.insert(tables.SqlInput), [link])
        return run_id

    def _dataset(self, data: DatasetInput) -> sqlalchemy.Select[tuple[str]]:
        columns, wanted = tables.SqlDataset, data.dataset
        return sqlalchemy.select(columns.dataset_uuid).where(
            columns.experiment_id == int(self._experiment.experiment_id),
            columns.name == wanted.name,
            columns.digest == wanted.digest,
        )
