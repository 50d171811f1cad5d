"""What the fault tests share: a sweep as a process of its own, and what must be true once it has come through."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ablate.storage.folder import StudyFolder
from ablate.storage.tables import MACHINE_COLUMNS, StudyTables, trial_id
from tests.conftest import ROOT

LONGEST = 600  # seconds; nothing here hangs


def start(folder: Path, arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """`python run_sweep.py` in a folder and in a process group of its own, which is what Ctrl-C reaches."""
    command = [sys.executable, str(ROOT / "run_sweep.py"), *arguments]
    with log.open("ab") as output:
        return subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, start_new_session=True)


def wait_until(
    true: Callable[[], object], process: subprocess.Popen[bytes] | None = None, seconds: float = LONGEST
) -> None:
    """Wait until something is true, or a process has ended."""
    end = time.monotonic() + seconds
    while not true() and (process is None or process.poll() is None):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def children_of(parent: int) -> list[int]:
    """The processes that a process has started."""
    children = []
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += [int(pid) for pid in task.read_text().split()]
    return children


def servers_of(sweep: int) -> list[int]:
    """The server that a sweep's processes are forked from."""

    def is_server(pid: int) -> bool:
        try:
            return b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    return [child for child in children_of(sweep) if is_server(child)]


def workers_of(sweep: int) -> list[int]:
    """The workers of a sweep, and what else its server has forked."""
    return [worker for server in servers_of(sweep) for worker in children_of(server)]


def lines(file: Path) -> int:
    """How many lines a table has that may not be there yet."""
    try:
        return file.read_bytes().count(b"\n")
    except OSError:
        return 0


def assert_same_study(one: Path, other: Path) -> None:
    for table in ("trials", "curves", "replicates"):
        a, b = (
            getattr(StudyTables(folder / "s"), table)().drop(columns=MACHINE_COLUMNS, errors="ignore")
            for folder in (one, other)
        )
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def assert_views_are_equal_to_the_tables(results: Path, uri: str = "", storage: str = "") -> None:
    """MLflow's and Optuna's stores, here or on a server."""
    assert_mlflow_is_equal_to_the_tables(results, uri)
    assert_optuna_is_equal_to_the_tables(results, storage)


def assert_mlflow_is_equal_to_the_tables(results: Path, uri: str = "", name: str = "s") -> None:
    from mlflow import MlflowClient

    client = MlflowClient(uri or StudyFolder(results, name).mlflow_uri)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    rows = {str(trial_id(row)): row for row in StudyTables(results / name).trial_rows()}
    kinds = [run.data.tags["kind"] for run in runs]
    groups = {(row["task"], row["variant"]) for row in rows.values()}
    assert (kinds.count("study"), kinds.count("variant")) == (1, len(groups))
    trials = [run for run in runs if run.data.tags["kind"] in ("trial", "replicate")]
    assert sorted(run.data.tags["ablate.trial"] for run in trials) == sorted(rows)
    curves = StudyTables(results / name).curves().groupby(["task", "variant", "index"])["validation"].last()
    for run in trials:
        row = rows[run.data.tags["ablate.trial"]]
        for score in ("validation", "test", "best_epoch", "epochs"):
            assert run.data.metrics.get(score) == row[score]
        if not row["replicate"]:
            assert run.data.metrics["epoch/validation"] == curves[row["task"], row["variant"], row["index"]]
    (study,) = (run.info.run_id for run in runs if run.data.tags["kind"] == "study")
    held = {file.path for file in client.list_artifacts(study)}
    assert {"index.html", "report.pdf", "tables", "figures"} <= held


def assert_optuna_is_equal_to_the_tables(results: Path, storage: str = "", name: str = "s") -> None:
    """Of a storage that other studies share, what is of this one."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    journal = results / name / "optuna.journal"
    database = optuna.storages.RDBStorage(storage) if storage else None
    opened = database or optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    held = [
        (study.study_name, trial.user_attrs["index"], trial.value)
        for study in optuna.get_all_study_summaries(opened)
        if study.study_name.startswith(f"{name}/")
        for trial in optuna.load_study(study_name=study.study_name, storage=opened).get_trials()
    ]
    if database:
        database.engine.dispose()
    rows = StudyTables(results / name).trials()
    studies = [f"{name}/{task}/{variant}" for task, variant in zip(rows["task"], rows["variant"], strict=True)]
    assert sorted(held) == sorted(zip(studies, rows["index"], rows["validation"], strict=True))


def square_once_killed(number: int, flag: str) -> int:
    """The square of a number; the process of the first call for a flag is killed. For workers, which import it."""
    try:
        Path(flag).touch(exist_ok=False)
    except FileExistsError:
        return number**2
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def killed(number: int) -> None:
    """Whatever process computes this is killed."""
    os.kill(os.getpid(), signal.SIGKILL)
