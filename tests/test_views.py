"""Views are made whole or made again: the report, MLflow's database, Optuna's journal, whatever became of them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ablate.plan.config import Config
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import StudyTables, trial_id
from ablate.storage.views import REPORT, Views
from ablate.trackers import background
from ablate.trackers.background import BackgroundTrackers
from tests.conftest import Command

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def ended(study: Path, tmp_path: Path) -> Path:
    """A results folder with a study that has ended, whose views are current."""
    shutil.copytree(study / "results", tmp_path / "results", ignore=shutil.ignore_patterns("*.lock", ".*.lock"))
    return tmp_path / "results"


def mlflow_trials(results: Path) -> dict[str, str]:
    """The runs of trials in the study's experiment with their status."""
    from mlflow import MlflowClient

    client = MlflowClient(StudyFolder(results, "s").mlflow_uri)
    experiment = client.get_experiment_by_name("s")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return {run.data.tags["ablate.trial"]: run.info.status for run in runs if "ablate.trial" in run.data.tags}


def expected(results: Path) -> dict[str, str]:
    return {str(trial_id(row)): "FINISHED" for row in StudyTables(results / "s").trial_rows()}


def test_what_is_whole_is_left_alone(sweep: Command, ended: Path) -> None:
    sweep()  # the copy stands elsewhere, so MLflow's artifacts do
    before = {file: file.stat().st_mtime_ns for file in ended.rglob("*") if file.is_file()}
    done = sweep()
    assert "nothing to train" in done.stdout
    after = {file: file.stat().st_mtime_ns for file in ended.rglob("*") if file.is_file()}
    touched = {file.name for file in after if after[file] != before.get(file)}
    assert touched <= {"config.toml", "metadata.json"}


@pytest.mark.parametrize("lost", ["index.html", "mlflow.db", "optuna.journal"])
def test_a_view_that_was_deleted_comes_back(sweep: Command, ended: Path, lost: str) -> None:
    sweep()
    (file,) = (each for each in ended.rglob(lost) if "mlartifacts" not in each.parts)
    file.unlink()
    done = sweep()
    assert done.returncode == 0 and "nothing to train" in done.stdout
    assert file.exists() and mlflow_trials(ended) == expected(ended)


def test_no_command_deletes_rows_that_have_lost_their_trials(sweep: Command, ended: Path) -> None:
    """As when trials.csv has been put back from an older copy: neither the report nor the sweep cuts curves.csv."""
    ours = ended / "s"
    (ours / "trials.csv").write_bytes(b"".join((ours / "trials.csv").read_bytes().splitlines(keepends=True)[:3]))
    before = {file.name: file.read_bytes() for file in ours.glob("*.csv")}
    for options in ([], ["--report-only"], ["--verify", "s"], ["--trials", "4"]):
        refused = sweep(*options)
        assert refused.returncode == 2 and "trials.csv lacks 4 trials, music/" in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert {file.name: file.read_bytes() for file in ours.glob("*.csv")} == before
    assert sweep("--redo", "V,SRN").returncode == 0
    assert len(StudyFolder(ended, "s").tables.trials()) == 6


def test_a_report_from_the_future_is_not_current(sweep: Command, ended: Path) -> None:
    sweep()
    tables = StudyTables(ended / "s")
    tables.drop(["SRN"])  # as when somebody works on the tables
    page = ended / "s" / "report" / "index.html"
    os.utime(page, (time.time() + 1e6,) * 2)
    assert not Views(StudyFolder(ended, "s"), Config()).are_current([REPORT])
    assert "SRN" not in tables.trials()["variant"].tolist() and sweep().returncode == 0
    assert len(tables.trials()) == 6 and page.stat().st_mtime < time.time() + 1


@pytest.mark.parametrize("damage", ["torn", "poisoned", "not JSON", "empty"])
def test_a_damaged_journal_is_made_anew(sweep: Command, ended: Path, damage: str) -> None:
    import optuna

    journal = ended / "s" / "optuna.journal"
    whole = journal.read_bytes()
    journal.write_bytes(
        {
            "torn": whole[:-20],
            "poisoned": whole + b"{}\n",
            "not JSON": whole[:100] + b"\0\xff\n" + whole[100:],
            "empty": b"",
        }[damage]
    )
    done = sweep("--report-only")
    assert done.returncode == 0 and "cannot be written" not in done.stdout
    assert ("made anew from the tables" in done.stdout) == (damage != "empty")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    found = {
        name: len(optuna.load_study(study_name=name, storage=storage).trials) for name in ("s/music/V", "s/music/SRN")
    }
    assert found == {"s/music/V": 3, "s/music/SRN": 3}


def _half_made(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        database.execute("CREATE TABLE experiments (experiment_id INTEGER)")
        database.commit()


def _garbage(file: Path) -> None:
    file.write_bytes(b"no database at all" * 1000)


def _page_lost(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096 : 4096 * 30] = bytes(4096 * 29)
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [_half_made, _garbage, _page_lost, Path.touch])
def test_a_broken_database_is_kept_aside_and_made_anew(
    sweep: Command, ended: Path, damage: Callable[[Path], None]
) -> None:
    file = ended / "mlflow.db"
    if damage is not _page_lost:
        file.unlink()
    damage(file)
    broken = file.read_bytes()
    done = sweep("--report-only")
    assert done.returncode == 0 and "is kept as mlflow.db.broken-1" in done.stdout
    assert (ended / "mlflow.db.broken-1").read_bytes() == broken
    assert mlflow_trials(ended) == expected(ended)


def test_half_made_parts_of_a_database_are_no_trouble(sweep: Command, ended: Path) -> None:
    (ended / "mlflow.db").unlink()
    _half_made(ended / ".mlflow.db.part")  # by a kill
    assert sweep("--report-only").returncode == 0
    assert mlflow_trials(ended) == expected(ended) and not (ended / ".mlflow.db.part").exists()


def test_a_copy_writes_nothing_to_the_place_that_it_was_copied_from(
    sweep: Command, ended: Path, tmp_path: Path
) -> None:
    sweep()
    shutil.copytree(ended, tmp_path / "copy")
    before = {file: file.read_bytes() for file in ended.rglob("*") if file.is_file()}
    done = sweep("--results", str(tmp_path / "copy"), "--trials", "4")
    assert done.returncode == 0 and "it is written anew, here" in done.stdout
    assert {file: file.read_bytes() for file in ended.rglob("*") if file.is_file()} == before
    assert mlflow_trials(tmp_path / "copy") == expected(tmp_path / "copy")
    assert len(expected(tmp_path / "copy")) == 8


Stores = dict[str, dict[str, int]]


def shared_stores(place: Path) -> Stores:
    """What a lab's MLflow and Optuna databases hold: trials by study id."""
    import optuna
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    runs: dict[str, int] = {}
    for experiment in client.search_experiments():
        if identity := experiment.tags.get("ablate.study_id"):
            found = client.search_runs([experiment.experiment_id], max_results=1000)
            runs[identity] = sum("ablate.trial" in run.data.tags for run in found)
    trials: dict[str, int] = {}
    for summary in optuna.get_all_study_summaries(f"sqlite:///{place}/optuna.db"):
        identity = summary.user_attrs["ablate.study_id"]
        trials[identity] = trials.get(identity, 0) + summary.n_trials
    return {"mlflow": runs, "optuna": trials}


def test_a_copy_of_a_study_is_another_one_in_the_stores_that_the_two_share(
    sweep: Command, ended: Path, tmp_path: Path
) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    stores = ["--tracking-uri", f"sqlite:///{lab}/mlflow.db", "--storage", f"sqlite:///{lab}/optuna.db"]
    assert sweep(*stores).returncode == 0
    first = StudyFolder(ended, "s").id
    assert shared_stores(lab) == {"mlflow": {first: 6}, "optuna": {first: 6}}

    shutil.copytree(ended, tmp_path / "copy")
    there = ["--results", str(tmp_path / "copy"), *stores]
    done = sweep(*there)
    assert done.returncode == 0 and done.stdout.count(f"study 's' was copied from {ended.resolve() / 's'}: in") == 1
    second = StudyFolder(tmp_path / "copy", "s").id
    both = {first: 6, second: 6}
    assert first != second and shared_stores(lab) == {"mlflow": both, "optuna": both}
    assert "was copied" not in sweep(*there).stdout
    assert sweep(*there, "--fresh", "--variants", "V", "--trials", "1").returncode == 0
    third = StudyFolder(tmp_path / "copy", "s").id
    assert shared_stores(lab) == {"mlflow": {first: 6, third: 1}, "optuna": {first: 6, third: 1}}

    # Fresh at once, in another copy: nothing of the first study is deleted.
    shutil.copytree(ended, tmp_path / "other")
    assert sweep("--results", str(tmp_path / "other"), *stores, "--fresh", "--trials", "1").returncode == 0
    found = shared_stores(lab)
    assert found["mlflow"][first] == found["optuna"][first] == 6 and len(found["mlflow"]) == 3

    ended.rename(tmp_path / "moved")  # which is no copy
    done = sweep("--results", str(tmp_path / "moved"), *stores, "--report-only")
    assert done.returncode == 0 and "was copied" not in done.stdout
    assert StudyFolder(tmp_path / "moved", "s").id == first


def test_a_copy_beside_its_study_is_another_one(sweep: Command, ended: Path) -> None:
    sweep()
    shutil.copytree(ended / "s", ended / "s2")
    done = sweep("--study", "s2")
    assert done.returncode == 0 and "was copied from" in done.stdout, done.stderr
    assert len(expected(ended)) == 6 and mlflow_trials(ended) == expected(ended)
    assert StudyFolder(ended, "s2").id != StudyFolder(ended, "s").id


def test_a_study_that_has_moved_has_its_report_where_it_is(sweep: Command, ended: Path, tmp_path: Path) -> None:
    """Though there is nothing to train: whoever moves it may delete what was there."""
    from mlflow import MlflowClient

    sweep()
    ended.rename(tmp_path / "moved")
    done = sweep("--results", str(tmp_path / "moved"))
    assert done.returncode == 0 and "it is written anew, here" in done.stdout
    client = MlflowClient(StudyFolder(tmp_path / "moved", "s").mlflow_uri)
    experiment = client.get_experiment_by_name("s")
    assert experiment is not None and experiment.artifact_location == (tmp_path / "moved" / "mlartifacts").as_uri()
    (study,) = client.search_runs([experiment.experiment_id], filter_string="tags.kind = 'study'")
    assert "index.html" in {file.path for file in client.list_artifacts(study.info.run_id)}
    assert not ended.exists()


class Slow:
    """A tracker on a server that has stopped to answer, or that takes its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.held = seconds, 0
        self.released = threading.Event()

    def repair(self, trials: Sequence[Any]) -> None:
        for _ in trials:
            self.released.wait(self.seconds)
            self.held += 1

    def add(self, *_: object) -> None:
        self.released.wait(self.seconds)

    def close(self, report: Path | None) -> None: ...


@pytest.fixture
def trackers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Slow], tuple[BackgroundTrackers, list[str]]]:
    def make(slow: Slow) -> tuple[BackgroundTrackers, list[str]]:
        said: list[str] = []
        monkeypatch.setattr(background, "tracker_names", lambda: ["slow"])
        monkeypatch.setattr(background, "tracker_module", lambda _: SimpleNamespace(open_tracker=lambda *_: slow))
        return BackgroundTrackers(StudyFolder(Path("results"), "s"), Config(), said.append), said

    return make


def test_a_server_that_does_not_answer_does_not_hold_the_end(trackers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PATIENCE", 0.5)
    slow = Slow(60.0)
    made, said = trackers(slow)
    made.repair([({}, [])])
    assert made.close(Path("report")) == []
    (line,) = said
    assert "the slow tracker has not answered for 0 s" in line and "--report-only, writes what it lacks" in line
    slow.released.set()


def test_a_slow_server_is_waited_for_as_long_as_it_answers(trackers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PATIENCE", 0.5)
    slow = Slow(0.2)
    made, said = trackers(slow)
    made.repair([({}, [])] * 8)  # three times the patience
    assert made.close(Path("report")) == ["slow"] and said == [] and slow.held == 8


def test_an_interrupt_does_not_wait_for_what_is_behind(trackers: Any) -> None:
    slow = Slow(0.05)
    made, said = trackers(slow)
    made.repair([({}, [])] * 5400)
    for _ in range(100):
        made.add({}, [])
    started = time.monotonic()
    made.interrupt()
    assert time.monotonic() - started < 2 * background.FAREWELL and said == []
    time.sleep(0.2)
    held = slow.held
    time.sleep(0.2)
    assert slow.held == held < 5400  # it has ended, and not just been left alone


def test_marks_of_views_that_are_damaged_are_no_marks(ended: Path) -> None:
    views = Views(StudyFolder(ended, "s"), StudyFolder(ended, "s").config())
    assert views.are_current([REPORT])
    for damage in ("", "[]", "{", json.dumps({"report": 3})):
        (ended / "s" / ".views.json").write_text(damage)
        assert not views.are_current([REPORT])
