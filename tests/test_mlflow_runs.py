"""Runs of ended trials: what goes into the database at once is what MLflow's client would have put there."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.storage.folder import StudyFolder, sqlite_address
from ablate.trackers.mlflow_database import prepare_database
from ablate.trackers.mlflow_runs import ClientRunWriter, DatabaseRunWriter, EndedRun
from ablate.trackers.mlflow_tracker import MlflowTracker

from mlflow import MlflowClient  # isort: skip  (settings go first)
from mlflow.entities import Dataset, DatasetInput, Metric, Param  # isort: skip

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's own libraries

NAMES = st.from_regex(r"[a-z0-9]+([_/ .-][a-z0-9]+){0,3}", fullmatch=True)
DATA = DatasetInput(Dataset("music", "0" * 36, "local", "chorales"))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.integers(1, 2**41)


@st.composite
def ended_runs(draw: st.DrawFn) -> EndedRun:
    """Runs with curves of any length, with texts and numbers of any kind."""
    once = draw(st.dictionaries(NAMES, NUMBERS, max_size=6))
    curve = draw(st.lists(NUMBERS, max_size=1100))
    start, seconds = draw(TIMES), draw(st.integers(0, 10**6))
    metrics = [Metric(key, value, start, 0) for key, value in once.items()]
    metrics += [Metric("epoch/train", value, start + step, step) for step, value in enumerate(curve, start=1)]
    return EndedRun(
        name=draw(st.text(min_size=1, max_size=50).filter(str.strip)),
        tags=draw(st.dictionaries(NAMES, st.text(max_size=200), max_size=10)),
        start=start,
        end=start + seconds,
        status=draw(st.sampled_from(["FINISHED", "FAILED"])),
        params=[Param(key, repr(value)) for key, value in draw(st.dictionaries(NAMES, NUMBERS, max_size=5)).items()],
        metrics=metrics,
        data=DATA,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MlflowClient, str, Path]]:
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    prepare_database(file, print)
    client = MlflowClient(sqlite_address(file))
    yield client, client.create_experiment("runs", artifact_location=(file.parent / "artifacts").as_uri()), file


def rows(file: Path, run_id: str) -> dict[str, list[tuple[object, ...]]]:
    """All that any table of the database holds of a run, its id aside."""
    held = {}
    database = sqlite3.connect(file)
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = [column for _, column, *_ in database.execute(f"PRAGMA table_info({table})")]
        if "run_uuid" in columns:
            found = database.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", (run_id,)).fetchall()
            held[table] = sorted(tuple(str(cell).replace(run_id, "ID") for cell in row) for row in found)  # type: ignore[assignment]
    database.close()
    return held


@settings(max_examples=40)
@given(run=ended_runs())
def test_a_run_that_is_written_at_once_equals_the_clients_row_for_row(
    run: EndedRun, store: tuple[MlflowClient, str, Path]
) -> None:
    client, experiment, file = store
    one = ClientRunWriter(client, experiment).write(run)
    other = DatabaseRunWriter(client, experiment, sqlite_address(file)).write(run)
    assert one != other
    assert rows(file, one) == rows(file, other)
    a, b = (client.get_run(run_id).data for run_id in (one, other))
    given = [client.get_run(run_id).inputs.to_dictionary() for run_id in (one, other)]
    assert given[0] == given[1] and given[0]["dataset_inputs"]
    assert (a.metrics, a.params, a.tags) == (b.metrics, b.params, b.tags)
    assert not any(map(math.isnan, b.metrics.values()))
    history = [(point.step, point.value) for point in client.get_metric_history(other, "epoch/train")]
    assert history == [(point.step, point.value) for point in client.get_metric_history(one, "epoch/train")]


def test_a_run_that_cannot_be_written_whole_leaves_nothing(store: tuple[MlflowClient, str, Path]) -> None:
    client, experiment, file = store
    before = len(client.search_runs([experiment], max_results=1000))
    twice = [Metric("test", 1.0, 1, 0)] * 2  # the same row twice, which the database refuses
    run = EndedRun("broken", {"a": "b"}, 1, 2, "FINISHED", [Param("p", "1")], twice, DATA)
    with pytest.raises(Exception, match="UNIQUE"):
        DatabaseRunWriter(client, experiment, sqlite_address(file)).write(run)
    assert len(client.search_runs([experiment], max_results=1000)) == before


class Killed(BaseException):
    """Nothing more is done."""


class Dying:
    """An MLflow client, or a writer of runs, that does so many things and no more."""

    def __init__(self, inner: Any, left: list[int]) -> None:
        self._inner, self._left = inner, left

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not name.startswith(("create", "log", "set", "delete", "write")):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            if not self._left[0]:
                raise Killed
            self._left[0] -= 1
            return found(*arguments, **options)

        return call


def test_whatever_step_was_the_last_the_next_start_makes_all_runs_whole(
    study: Path, store: tuple[MlflowClient, str, Path]
) -> None:
    client, _, file = store
    folder = StudyFolder(study / "results", "s")
    rows = folder.tables.rows()

    def write(experiment: str, steps: int) -> int:
        left = [steps]
        writer = DatabaseRunWriter(client, experiment, sqlite_address(file))
        tracker = MlflowTracker(
            Dying(client, left), experiment, folder.metadata(), writer=Dying(writer, left)  # type: ignore[arg-type]
        )  # fmt: skip
        tracker.repair(rows)
        tracker.close(folder.report_file.parent)
        return steps - left[0]

    def held(experiment: str) -> list[Any]:
        runs = client.search_runs([experiment], max_results=1000)
        return sorted(
            (
                run.info.run_name,
                run.info.status,
                sorted(run.data.params.items()),
                sorted(run.data.metrics.items()),
                sorted((key, text) for key, text in run.data.tags.items() if key != "mlflow.parentRunId"),
                len(run.inputs.dataset_inputs),
            )
            for run in runs
        )

    whole = client.create_experiment("whole", artifact_location=(file.parent / "whole").as_uri())
    steps = write(whole, 1000)
    assert {status for _, status, *_ in held(whole)} == {"FINISHED"}
    assert all(data == (name != "study whole") for name, *_, data in held(whole))
    for last in range(steps):
        place = (file.parent / f"killed{last}").as_uri()
        experiment = client.create_experiment(f"killed{last}", artifact_location=place)
        with pytest.raises(Killed):
            write(experiment, last)
        write(experiment, 1000)
        expected = str(held(whole)).replace("whole", f"killed{last}")
        assert str(held(experiment)) == expected, f"after step {last} of {steps}"
