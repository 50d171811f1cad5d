"""Optuna's store holds what the tables hold, and its tracker keeps to the contract."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from ablate.plan.random_streams import TrialId
from ablate.plan.search_space import GREFF_SEARCH_SPACE
from ablate.storage.tables import Curve, StudyTables
from ablate.testing.trackers import Held, check_tracker
from ablate.trackers.optuna_tracker import OptunaTracker, open_journal, open_storage
from ablate.trackers.tracker import Row
from tests.conftest import Command

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def storage_at(place: str | Path) -> BaseStorage:
    """A database by its URL, or a journal by its path."""
    return open_journal(place, print) if isinstance(place, Path) else open_storage(place)


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


def test_a_lock_that_a_killed_run_left_is_no_hindrance(study: Path, sweep: Command, tmp_path: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    (tmp_path / "results" / "s" / "optuna.journal.lock").symlink_to("results/s/optuna.journal")
    assert sweep("--report-only", "--study", "s", small=False).returncode == 0
    assert not (tmp_path / "results" / "s" / "optuna.journal.lock").is_symlink()


def test_an_optuna_database_takes_the_place_of_the_journal(sweep: Command, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    assert sweep("--storage", url, "--trials", "2").returncode == 0
    assert len(optuna.load_study(study_name="s/music/V", storage=url).get_trials()) == 2
    assert not (tmp_path / "results" / "s" / "optuna.journal").exists()


def optuna_held(storage: BaseStorage, study: str = "s", without: str = "") -> Held:
    held: Held = {}
    for summary in optuna.get_all_study_summaries(storage):
        name, task, variant = summary.study_name.split("/")
        if name != study or summary.study_name == without:
            continue
        for trial in optuna.load_study(study_name=summary.study_name, storage=storage).get_trials():
            key = TrialId(task, variant, trial.user_attrs["index"])
            assert key not in held
            state = {"COMPLETE": "completed", "PRUNED": "diverged", "FAIL": "failed"}[trial.state.name]
            held[key] = (state, trial.value if state == "completed" else None)
    return held


def make_optuna_tracker(kind: type[OptunaTracker], place: Path | str, owns_storage: bool) -> OptunaTracker:
    directions = {"music": "minimize"}
    return kind(storage_at(place), "s", "id-1", GREFF_SEARCH_SPACE, directions, owns_storage=owns_storage)


@pytest.mark.parametrize("kind", ["journal", "database"])
def test_the_optuna_tracker_keeps_to_the_contract(kind: str, tmp_path: Path) -> None:
    journal = kind == "journal"
    place = tmp_path / "o.journal" if journal else f"sqlite:///{tmp_path / 'o.db'}"

    def open_tracker() -> OptunaTracker:
        return OptunaTracker(
            storage_at(place), "s", "id-1", GREFF_SEARCH_SPACE, {"music": "minimize"}, owns_storage=journal
        )

    theirs = ""
    if not journal:
        theirs = "s/music/V"
        created = optuna.create_study(storage=storage_at(place), study_name=theirs)
        created.add_trial(optuna.trial.create_trial(value=1.0, user_attrs={"index": 0, "state": "completed"}))
    # Where the name of an Optuna study is taken, this study's has its id in it; other names are as ever.
    names = ["s"] if journal else ["s", "s (id-1)"]

    def read() -> Held:
        held: Held = {}
        for name in names:
            held |= optuna_held(storage_at(place), name, without=theirs)
        return held

    check_tracker(open_tracker, read, holds_replicates=False)
    if not journal:
        (kept,) = optuna.load_study(study_name=theirs, storage=storage_at(place)).get_trials()
        assert kept.value == 1.0, "another study's trials were touched"


class Amnesiac(OptunaTracker):
    """Adds a trial whenever it is asked to, without looking."""

    def add(self, trial: Row, curve: Curve) -> None:
        self._open(trial["task"], trial["variant"]).add_trial(self._frozen(trial, curve))


class Lazy(OptunaTracker):
    """Repairs nothing."""

    def repair(self, trials: Sequence[tuple[Row, Curve]]) -> None:
        pass


@pytest.mark.parametrize("broken", [Amnesiac, Lazy])
def test_a_broken_tracker_is_found_out(broken: type[OptunaTracker], tmp_path: Path) -> None:
    file = tmp_path / "o.journal"
    with pytest.raises(AssertionError):
        check_tracker(
            lambda: broken(storage_at(file), "s", "id-1", GREFF_SEARCH_SPACE, {"music": "minimize"}, owns_storage=True),
            lambda: optuna_held(storage_at(file)),
            holds_replicates=False,
        )
