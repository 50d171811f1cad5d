"""Optuna and MLflow hold what the tables hold, whatever had happened to them; and nothing else is touched."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import StudyResults, TaskMetadata
from ablate.plan.random_streams import TrialId
from ablate.storage.folder import StudyFolder
from ablate.storage.results import load_results
from ablate.storage.tables import Curve, StudyTables, trial_id
from ablate.testing.trackers import Held, check_tracker, example_trials
from ablate.trackers.tracker import Row
from ablate.trackers.trial_summary import NAMES, summarise
from tests.conftest import ROOT, Command

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # MLflow's own, when it is imported
    from ablate.trackers.mlflow_experiment import describe_experiment
    from ablate.trackers.mlflow_tracker import MlflowClient, MlflowTracker

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def runs(results: Path, study: str = "s") -> list[Any]:
    client = MlflowClient(f"sqlite:///{results / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None
    return [client.get_run(run.info.run_id) for run in client.search_runs([experiment.experiment_id])]


def check_mlflow(results: Path) -> None:
    """Every number of the tables, to the last bit; and the report once."""
    client = MlflowClient(f"sqlite:///{results / 'mlflow.db'}")
    trials, curves = StudyTables(results / "s").trials(), StudyTables(results / "s").curves()
    found = runs(results)
    children = {run.data.tags["ablate.trial"]: run for run in found if run.data.tags["kind"] == "trial"}
    parents = {run.info.run_id: run for run in found if run.data.tags["kind"] == "variant"}
    (study,) = (run for run in found if run.data.tags["kind"] == "study")
    assert len(children) == len(trials)
    assert {run.info.run_name for run in parents.values()} == {f"music {name}" for name in trials["variant"]}
    assert {run.info.status for run in found} == {"FINISHED"}
    for row in trials.to_dict("records"):
        run = children[f"{row['task']}/{row['variant']}/{row['index']}"]
        assert run.info.run_name == f"music {row['variant']} #{row['index']}"
        assert parents[run.data.tags["mlflow.parentRunId"]].info.run_name == f"music {row['variant']}"
        assert run.data.tags["state"] == row["state"] and run.data.tags["seed"] == "0"
        for name in ("hidden_size", "learning_rate", "momentum", "input_noise"):
            assert float(run.data.params[name]) == row[name]
        for name in ("validation", "test", "best_epoch", "epochs", "parameters", "seconds"):
            assert run.data.metrics[name] == row[name]
            assert len(client.get_metric_history(run.info.run_id, name)) == 1
        curve = curves[(curves["variant"] == row["variant"]) & (curves["index"] == row["index"])]
        for name in ("train", "validation"):
            points = client.get_metric_history(run.info.run_id, f"epoch/{name}")
            assert {point.step: point.value for point in points} == dict(zip(curve["epoch"], curve[name], strict=True))
            times = [point.timestamp for point in sorted(points, key=lambda point: point.step)]
            assert times == sorted(times) and run.info.start_time <= times[0] and times[-1] == run.info.end_time
        (data,) = run.inputs.dataset_inputs
        assert data.dataset.name == "music" and len(data.dataset.digest) == 36
    check_summaries(results)
    report = results / "s" / "report"
    kept = {str(file.relative_to(report)): file.read_bytes() for file in report.rglob("*") if file.is_file()}
    artifacts = results / "mlartifacts" / study.info.run_id / "artifacts"
    assert {str(file.relative_to(artifacts)) for file in artifacts.rglob("*") if file.is_file()} == set(kept)
    assert {"index.html", "gallery.html", "tables/summary.csv", "figures/boxes.png"} <= set(kept)
    assert all((artifacts / name).read_bytes() == content for name, content in kept.items())
    assert [folder.name for folder in (results / "mlartifacts").iterdir()] == [study.info.run_id]


def check_summaries(results: Path) -> None:
    """The parents say what the report's summary says."""
    study = load_results(StudyFolder(results, "s"))
    table = AnalysisTables(study)["summary"].set_index("variant").drop(study.controls)
    found = {run.data.tags["variant"]: run for run in runs(results) if run.data.tags["kind"] == "variant"}
    assert set(found) == set(table.index)
    for variant, run in found.items():
        assert {name: run.data.metrics[name] for name in NAMES[:-1]} == dict(table.loc[variant, list(NAMES[:-1])])
        assert run.data.metrics["total_seconds"] == pytest.approx(table.loc[variant, "total_seconds"])


def test_mlflow_equals_the_tables(study: Path) -> None:
    check_mlflow(study / "results")


def test_trackers_are_rebuilt_from_the_tables(study: Path, sweep: Command, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(study / "results" / "s", results / "s")
    for name in ("optuna.journal", "report"):
        path = results / "s" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = sweep("--report-only", "--study", "s", small=False)
    assert done.returncode == 0, done.stderr
    check_mlflow(results)
    assert (results / "s" / "report" / "index.html").exists()
    before = len(runs(results))
    assert sweep("--report-only", "--study", "s", small=False).returncode == 0
    assert len(runs(results)) == before


def test_an_unreachable_server_does_not_stop_the_sweep(sweep: Command, tmp_path: Path) -> None:
    done = sweep("--tracking-uri", "http://127.0.0.1:9", "--trials", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("cannot be written, and the sweep goes on without it") == 1
    assert len(StudyTables(tmp_path / "results" / "s").trials()) == 2
    assert (tmp_path / "results" / "s" / "report" / "index.html").exists()
    assert sweep("--report-only", "--study", "s", small=False).returncode == 0
    assert len(runs(tmp_path / "results")) == 5  # two trials, their parents and the study


def test_a_fresh_study_puts_its_old_runs_aside(sweep: Command, tmp_path: Path) -> None:
    assert sweep("--trials", "1").returncode == 0
    assert sweep("--trials", "1", "--fresh", "--seed", "5").returncode == 0
    found = runs(tmp_path / "results")
    assert {run.data.tags["seed"] for run in found if "seed" in run.data.tags} == {"5"}
    trials = pd.read_csv(tmp_path / "results" / "s" / "trials.csv")
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "results" / "s" / "optuna.journal")))
    (kept,) = optuna.load_study(study_name="s/music/V", storage=storage).get_trials()
    assert kept.value == trials.set_index("variant").loc["V", "validation"]


def mlflow_held(client: MlflowClient, experiment: str) -> Held:
    held: Held = {}
    for run in client.search_runs([experiment]):
        if "ablate.trial" in run.data.tags:
            tags = run.data.tags
            place = tags["task"], tags["variant"], int(tags["index"]), tags["purpose"], int(tags.get("replicate", 0))
            trial = TrialId(*place)
            assert tags["ablate.trial"] == str(trial) and run.info.status in ("FINISHED", "FAILED")
            assert trial not in held
            held[trial] = tags["state"], run.data.metrics.get("validation")
    return held


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'm.db'}")


METADATA = {
    "configuration": {"seed": 0, "training": {"epochs": 2}},
    "variants": {},
    "tasks": {"music": {"name": "music", "metric": "nats a frame", "sha256": "0" * 64, "source": "a file"}},
}


def test_the_mlflow_tracker_keeps_to_the_contract(client: MlflowClient) -> None:
    experiment = client.create_experiment("s")
    check_tracker(lambda: MlflowTracker(client, experiment, METADATA), lambda: mlflow_held(client, experiment))


def test_a_run_that_a_kill_left_half_written_is_written_anew(client: MlflowClient) -> None:
    experiment = client.create_experiment("s")
    trials = example_trials()
    tracker = MlflowTracker(client, experiment, METADATA)
    tracker.repair(trials)
    whole = client.search_runs([experiment], filter_string="tags.`ablate.trial` = 'music/V/0'")[0]
    client.delete_run(whole.info.run_id)
    client.create_run(experiment, tags=whole.data.tags)  # RUNNING, without a metric
    client.create_run(experiment, tags={**whole.data.tags, "ablate.trial": "music/V/1"})  # a second one
    tracker = MlflowTracker(client, experiment, METADATA)
    tracker.repair(trials)
    tracker.close(None)
    held = mlflow_held(client, experiment)
    assert held == {trial_id(row): (row["state"], row["validation"]) for row, _ in trials}


def logged(client: MlflowClient, experiment: str, log_trials: str, trials: list[tuple[Row, Curve]]) -> set[str]:
    """The trials that have runs once a study's tracker has been opened, repaired and closed."""
    tracker = MlflowTracker(client, experiment, METADATA, log_trials)
    tracker.repair(trials)
    tracker.close(None)
    found = client.search_runs([experiment])
    assert {run.info.status for run in found} <= {"KILLED", "FINISHED", "FAILED"}
    kinds = [run.data.tags["kind"] for run in found]
    assert (kinds.count("study"), kinds.count("variant")) == (1, len({row["variant"] for row, _ in trials}))
    return {run.data.tags["ablate.trial"] for run in found if run.data.tags["kind"] in ("trial", "replicate")}


def test_the_option_says_which_trials_are_runs_whatever_it_was_before(client: MlflowClient) -> None:
    experiment = client.create_experiment("s")
    trials = example_trials()
    better = {**trials[0][0], "index": 8, "validation": 8.25}
    trials.append((better, trials[0][1]))
    everything, best = {str(trial_id(row)) for row, _ in trials}, {"music/V/8", "music/SRN/1"}
    wanted = {"none": set(), "best": best, "all": everything}
    for log_trials in ("none", "best", "all", "best", "none", "all", "none"):
        assert logged(client, experiment, log_trials, trials) == wanted[log_trials]
    best_of_more = [*trials, ({**better, "index": 9, "validation": 8.0}, [])]
    assert logged(client, experiment, "best", best_of_more) == {"music/V/9", "music/SRN/1"}


@pytest.mark.parametrize("log_trials", ["best", "none"])
def test_a_sweep_logs_the_trials_that_are_asked_for(log_trials: str, sweep: Command, tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert sweep("--trials", "2", "--log-trials", log_trials).returncode == 0
    table = AnalysisTables(load_results(StudyFolder(results, "s")))["summary"]
    best = {f"music {row['variant']} #{row['best_index']:.0f}" for row in table.to_dict("records")}
    found = {run.info.run_name for run in runs(results) if run.data.tags["kind"] == "trial"}
    assert found == (best if log_trials == "best" else set())
    check_summaries(results)
    assert sweep("--report-only", "--study", "s", small=False).returncode == 0
    check_mlflow(results)  # and now all of them


def test_an_unknown_choice_of_trials_is_refused(sweep: Command, tmp_path: Path) -> None:
    done = sweep("--log-trials", "some")
    assert done.returncode == 2 and "log_trials is some; it must be one of all, best, none" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_study_of_the_older_layout_is_brought_to_todays(client: MlflowClient, tmp_path: Path) -> None:
    experiment = client.create_experiment("s", artifact_location=(tmp_path / "artifacts").as_uri())
    (row, curve), *_ = example_trials()
    tags = {"task": "music", "variant": "V"}
    parent = client.create_run(experiment, run_name="music / V", tags=tags).info.run_id
    client.log_param(parent, "epochs", "2")
    client.log_text(parent, "a figure", "figures/boxes.png")
    tags |= {"ablate.trial": "music/V/0", "mlflow.parentRunId": parent, "state": "completed"}
    old = client.create_run(experiment, run_name="V #0", tags=tags).info.run_id
    for epoch, _, validation in curve:
        client.log_metric(old, "validation", validation + 1, step=epoch)
    client.set_terminated(old)
    theirs = client.create_run(experiment, run_name="a user's own").info.run_id
    report = tmp_path / "report"
    report.mkdir()
    (report / "index.html").write_text("the page")
    for _ in range(2):
        tracker = MlflowTracker(client, experiment, METADATA)
        tracker.repair([(row, curve)])
        tracker.close(report)
    found = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert set(found) == {"study s", "music V", "music V #0", "a user's own"}
    assert found["music V"].info.run_id == parent and found["music V"].data.metrics["best_validation"] == 8.5
    assert [file.path for file in client.list_artifacts(parent)] == ["figures"]  # what was there stays
    assert [file.path for file in client.list_artifacts(found["study s"].info.run_id)] == ["index.html"]
    assert client.get_metric_history(found["music V #0"].info.run_id, "validation")[0].value == row["validation"]
    assert client.get_run(theirs).info.status == "RUNNING"  # nothing of others is touched
    assert len(client.get_metric_history(parent, "best_validation")) == 1  # what has not changed is not written again


def test_replicates_are_told_apart_and_leave_the_summary_alone(client: MlflowClient) -> None:
    trials = example_trials()
    found = {}
    for name, rows in {"with": trials, "without": [each for each in trials if not each[0]["replicate"]]}.items():
        experiment = client.create_experiment(name)
        logged(client, experiment, "all", rows)
        found[name] = {run.info.run_name: run for run in client.search_runs([experiment])}
    for variant in ("music V", "music SRN"):
        assert found["with"][variant].data.metrics == found["without"][variant].data.metrics
    new = {name: run for name, run in found["with"].items() if run.data.tags["kind"] == "replicate"}
    assert set(new) == {
        *("music V #0 control 1", "music V #0 control 2", "music V #7 control 1"),
        *("music SRN #1 confirmation 1", "music SRN #1 confirmation 2"),
    }
    for name, run in new.items():
        parent = found["with"][f"music {name.split()[1]}"]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert f"{run.data.tags['purpose']} {run.data.tags['replicate']}" == name.partition("#")[2].partition(" ")[2]


def test_a_number_that_is_no_longer_known_is_not_shown(client: MlflowClient) -> None:
    experiment = client.create_experiment("s")
    trials = example_trials()[:2]  # one completed, one diverged
    for rows in (trials, trials[1:]):
        logged(client, experiment, "all", rows)
    (parent,) = client.search_runs([experiment], filter_string="tags.kind = 'variant'")
    assert parent.data.metrics["completed"] == 0
    assert math.isnan(parent.data.metrics["best_validation"])


def test_the_description_is_ours_until_somebody_writes_another(client: MlflowClient) -> None:
    experiment = client.create_experiment("s")
    logged(client, experiment, "all", example_trials())
    text = client.get_experiment(experiment).tags["mlflow.note.content"]
    assert "the run `study s`" in text and "music (nats a frame, lower is better)" in text
    assert "viewStateShareKey=variants-music" in text
    view = json.loads(client.get_experiment(experiment).tags["mlflow.sharedViewState.variants-music"])
    ranked = client.search_runs([experiment], view["searchFilter"], order_by=[view["orderByKey"] + " ASC"])
    assert [run.info.run_name for run in ranked] == ["music SRN", "music V"]  # MLflow takes the filter as it is
    describe_experiment(client, experiment, "a newer one")
    assert client.get_experiment(experiment).tags["mlflow.note.content"] == "a newer one"
    client.set_experiment_tag(experiment, "mlflow.note.content", "a user's")
    describe_experiment(client, experiment, "the newest")
    assert client.get_experiment(experiment).tags["mlflow.note.content"] == "a user's"


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_summaries_of_any_trials_are_those_of_the_report(direction: str) -> None:
    """Ties, diverged and failed trials, and numbers of trials even and odd."""
    generator = np.random.default_rng(0)
    rows: list[Row] = []
    for variant, count in {"A": 1, "B": 2, "C": 7, "D": 8, "E": 30, "F": 4}.items():
        for index in generator.permutation(count):
            state = (
                str(generator.choice(["completed", "completed", "diverged", "failed"]))
                if variant != "F"
                else "diverged"
            )
            scores = (
                {name: float(generator.integers(5)) for name in ("validation", "test")} if state == "completed" else {}
            )
            row = {**example_trials()[0][0], "validation": None, "test": None, **scores}
            rows.append({**row, "variant": variant, "index": int(index), "state": state})
    results = StudyResults(
        name="s",
        trials=pd.DataFrame(rows),
        curves=pd.DataFrame(),
        samples=pd.DataFrame(),
        tasks=[TaskMetadata("music", direction=direction)],
        variants=[],
        expected_trials=1,
    )
    table = AnalysisTables(results)["summary"].set_index("variant")
    for variant in table.index:
        found = summarise([row for row in rows if row["variant"] == variant], direction)
        for name in NAMES:
            assert found.get(name, math.nan) == pytest.approx(table.loc[variant, name], abs=0, nan_ok=True)


def test_an_experiment_of_somebody_else_is_left_alone(sweep: Command, tmp_path: Path) -> None:
    """On a server that others use, an experiment of the same name is theirs."""
    uri = f"sqlite:///{tmp_path / 'shared.db'}"
    client = MlflowClient(uri)
    theirs = client.create_experiment("s", tags={"owner": "a colleague"})
    run = client.create_run(theirs)
    done = sweep("--tracking-uri", uri, "--trials", "1")
    assert done.returncode == 0, done.stderr
    assert "an experiment 's' of another study, which is left alone" in done.stdout
    kept = client.get_experiment(theirs)
    assert (kept.name, kept.lifecycle_stage) == ("s", "active") and kept.tags == {"owner": "a colleague"}
    assert [each.info.run_id for each in client.search_runs([theirs])] == [run.info.run_id]
    (ours,) = [each for each in client.search_experiments() if each.name.startswith("s (")]
    assert ours.artifact_location == (tmp_path / "results" / "mlartifacts").as_uri()
    assert not (tmp_path / "mlruns").exists() and not (ROOT / "mlruns").exists()
    assert len(mlflow_held(client, ours.experiment_id)) == 2
    assert sweep("--tracking-uri", uri, "--trials", "2").returncode == 0
    assert len(mlflow_held(client, ours.experiment_id)) == 4
