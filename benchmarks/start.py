"""What a sweep takes beside its training: its start and end, a worker's start, and MLflow's runs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ablate.execution.executors.local import LocalExecutor
from ablate.execution.processes import prepare_environment
from ablate.plan.config_file import load_config
from ablate.plan.study_plan import StudyPlan, make_plan
from ablate.storage.folder import sqlite_address
from benchmarks.measure import markdown

ROOT = Path(__file__).parent.parent
VARIANTS = "V,GRU"
RUNS = 100  # of MLflow, with what a trial of four epochs has
WHAT = (
    "smoke sweep of two variants, seconds",
    "worker ready, with the server's own start, seconds",
    "worker ready, the server being up, seconds",
    "MLflow's runs a second, by its client",
    "MLflow's runs a second, into the database",
)


def run(out: Path, rounds: int) -> None:
    prepare_environment()
    _sweep()  # compiles what is missing
    rows: list[dict[str, object]] = []
    for _ in range(rounds):
        first, second = _workers()
        client, database = _runs()
        values = (_sweep(), first, second, client, database)
        rows += [{"what": what, "value": value} for what, value in zip(WHAT, values, strict=True)]
    table = pd.DataFrame(rows)
    table.to_csv(out / "start.csv", index=False)
    found = table.groupby("what", sort=False, as_index=False).agg(
        least=("value", "min"), median=("value", "median"), most=("value", "max")
    )
    print("\nStart and end of a sweep, with kernels that are there\n")
    print(markdown(found.round(2)))


def _sweep() -> float:
    words = ["--variants", VARIANTS, "--preset", "smoke", "--study", "start"]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, str(ROOT / "run_sweep.py"), *words], cwd=folder, check=True, capture_output=True
        )
        return time.perf_counter() - began


def _workers() -> tuple[float, float]:
    """Seconds until a first and a second worker are ready, in a process that has no server yet."""
    code = "from benchmarks.start import ready; ready()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    first, second = map(float, done.stdout.split())
    return first, second


def ready() -> None:
    """Print the seconds until each of two workers is ready."""
    plan = _plan()
    for _ in range(2):
        began = time.perf_counter()
        executor = LocalExecutor(plan, 1)
        worker = executor._start()
        worker.connection.recv()
        print(time.perf_counter() - began)
        worker.process.kill()
        worker.process.join()


def _plan() -> StudyPlan:
    return make_plan(load_config(None, {"variants": VARIANTS, "preset": "smoke", "tasks": ("music",)}))


def _runs() -> tuple[float, float]:
    from ablate.trackers.mlflow_database import prepare_database
    from ablate.trackers.mlflow_runs import ClientRunWriter, DatabaseRunWriter, EndedRun

    from mlflow import MlflowClient  # isort: skip  (settings go first)
    from mlflow.entities import Dataset, DatasetInput, Metric, Param

    metrics = [Metric(name, 1.5, 2, 0) for name in ("validation", "test", "best_epoch", "epochs", "seconds")]
    metrics += [Metric(f"epoch/{split}", 1.5, 2, epoch) for epoch in range(1, 5) for split in ("train", "validation")]
    data = DatasetInput(Dataset("music", "0" * 36, "local", "chorales"))
    tags = {f"tag {k}": "text" for k in range(14)}
    ended = EndedRun("run", tags, 1, 2, "FINISHED", [Param(f"p{k}", "1") for k in range(4)], metrics, data)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mlflow.db")
        prepare_database(file, print)
        client = MlflowClient(sqlite_address(file))
        experiment = client.create_experiment("runs")
        by_client = ClientRunWriter(client, experiment)
        by_database = DatabaseRunWriter(client, experiment, sqlite_address(file))
        return _rate(lambda: by_client.write(ended)), _rate(lambda: by_database.write(ended))


def _rate(write: Callable[[], object]) -> float:
    write()
    began = time.perf_counter()
    for _ in range(RUNS):
        write()
    return RUNS / (time.perf_counter() - began)
