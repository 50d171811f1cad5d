"""Optuna's storage and MLflow are views of the tables: the same numbers, rebuildable at any time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ablate.storage.tables import StudyTables
from tests.conftest import Command

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, small_music: Path) -> Path:
    """A finished study of two variants, one of whose trials diverge."""
    import subprocess
    import sys

    from tests.conftest import ROOT, sweep_arguments

    folder = tmp_path_factory.mktemp("views")
    arguments = sweep_arguments(folder, small_music)
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_sweep.py"), *arguments, "--trials", "2"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return folder


def runs(results: Path, study: str = "s") -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{results / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None
    return [client.get_run(run.info.run_id) for run in client.search_runs([experiment.experiment_id])]


def check_mlflow(results: Path) -> None:
    """Every number of the tables, to the last bit."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{results / 'mlflow.db'}")
    trials, curves = StudyTables(results / "s").trials(), StudyTables(results / "s").curves()
    found = runs(results)
    parents = {run.info.run_id: run for run in found if "mlflow.parentRunId" not in run.data.tags}
    children = {run.data.tags["ablate.trial"]: run for run in found if "mlflow.parentRunId" in run.data.tags}
    assert len(children) == len(trials)
    assert {run.info.run_name for run in parents.values()} == {f"music / {name}" for name in trials["variant"]}
    assert {run.info.status for run in found} == {"FINISHED"}
    for row in trials.to_dict("records"):
        run = children[f"{row['task']}/{row['variant']}/{row['index']}"]
        assert parents[run.data.tags["mlflow.parentRunId"]].info.run_name == f"music / {row['variant']}"
        assert run.data.tags["state"] == row["state"] and run.data.tags["seed"] == "0"
        for name in ("hidden_size", "learning_rate", "momentum", "input_noise"):
            assert float(run.data.params[name]) == row[name]
        for name in ("test", "best_epoch", "epochs", "parameters", "seconds"):
            assert run.data.metrics[name] == row[name]
        assert run.data.metrics["best_validation"] == row["validation"]
        curve = curves[(curves["variant"] == row["variant"]) & (curves["index"] == row["index"])]
        for name in ("train", "validation"):
            history = {point.step: point.value for point in client.get_metric_history(run.info.run_id, name)}
            assert history == dict(zip(curve["epoch"], curve[name], strict=True))
        (data,) = run.inputs.dataset_inputs
        assert data.dataset.name == "music" and len(data.dataset.digest) == 36
    for run_id in parents:
        figures = [file.path for file in client.list_artifacts(run_id, "figures")]
        listed = [file.path for file in client.list_artifacts(run_id, "tables")]
        assert any(path.endswith(".png") for path in figures) and any(path.endswith(".csv") for path in listed)


def test_mlflow_equals_the_tables(study: Path) -> None:
    check_mlflow(study / "results")


def test_optuna_equals_the_tables(study: Path) -> None:
    results = study / "results"
    trials = StudyTables(results / "s").trials()
    storage = JournalStorage(JournalFileBackend(str(results / "s" / "optuna.journal")))
    for variant, rows in trials.groupby("variant"):
        kept = optuna.load_study(study_name=f"s/music/{variant}", storage=storage).get_trials()
        assert len(kept) == len(rows)
        for trial in kept:
            row = rows[rows["index"] == trial.user_attrs["index"]].iloc[0]
            assert trial.value == row["validation"]
            assert trial.user_attrs["test"] == row["test"]
            assert trial.params["learning_rate"] == row["learning_rate"]
            assert 1 - trial.params["one_minus_momentum"] == pytest.approx(row["momentum"])
            assert len(trial.intermediate_values) == row["epochs"]


def test_views_are_rebuilt_from_the_tables(study: Path, command: Command, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(study / "results" / "s", results / "s")
    for name in ("optuna.journal", "report"):
        path = results / "s" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = command("--report-only", "--study", "s", small=False)
    assert done.returncode == 0, done.stderr
    check_mlflow(results)
    assert (results / "s" / "report" / "index.html").exists()
    before = len(runs(results))
    assert command("--report-only", "--study", "s", small=False).returncode == 0
    assert len(runs(results)) == before


def test_an_unreachable_server_does_not_stop_the_sweep(command: Command, tmp_path: Path) -> None:
    done = command("--tracking-uri", "http://127.0.0.1:9", "--trials", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("cannot be written, and the sweep goes on without it") == 1
    assert len(StudyTables(tmp_path / "results" / "s").trials()) == 2
    assert (tmp_path / "results" / "s" / "report" / "index.html").exists()
    assert command("--report-only", "--study", "s", small=False).returncode == 0
    assert len(runs(tmp_path / "results")) == 4  # two trials and their parents


def test_a_lock_that_a_killed_run_left_is_no_hindrance(study: Path, command: Command, tmp_path: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    (tmp_path / "results" / "s" / "optuna.journal.lock").symlink_to("results/s/optuna.journal")
    assert command("--report-only", "--study", "s", small=False).returncode == 0
    assert not (tmp_path / "results" / "s" / "optuna.journal.lock").is_symlink()


def test_an_optuna_database_takes_the_place_of_the_journal(command: Command, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    assert command("--storage", url, "--trials", "2").returncode == 0
    assert len(optuna.load_study(study_name="s/music/V", storage=url).get_trials()) == 2
    assert not (tmp_path / "results" / "s" / "optuna.journal").exists()


def test_a_fresh_study_puts_its_old_runs_aside(command: Command, tmp_path: Path) -> None:
    assert command("--trials", "1").returncode == 0
    assert command("--trials", "1", "--fresh", "--seed", "5").returncode == 0
    found = runs(tmp_path / "results")
    assert {run.data.tags["seed"] for run in found if "seed" in run.data.tags} == {"5"}
    trials = pd.read_csv(tmp_path / "results" / "s" / "trials.csv")
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "results" / "s" / "optuna.journal")))
    (kept,) = optuna.load_study(study_name="s/music/V", storage=storage).get_trials()
    assert kept.value == trials.set_index("variant").loc["V", "validation"]
