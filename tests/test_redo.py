"""Variants that are trained anew: what is dropped, what a kill on the way leaves, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import ablate
from ablate.definitions.variant import VARIANTS
from ablate.execution import sweep as execution
from ablate.storage import stored_table
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import MACHINE_COLUMNS
from tests.conftest import Command
from tests.test_trackers import check_mlflow, runs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow, when it is first imported

CELL = """
from ablate import variant
from ablate.cell.language import sigmoid, tanh

@variant("leaky", "a leaky unit", parent="SRN")
def leaky(x, h, w):
    f = sigmoid(w.f(x, h))
    return f * h + (1 - f) * tanh(w.h(x, h))
"""
EDITED = CELL.replace("(1 - f) * ", "")


def define(cell: str) -> None:
    """As a notebook's cell is run, and run again."""
    exec(compile(cell, "<cell>", "exec"), {"__name__": "__main__"})


@pytest.fixture
def at_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    VARIANTS.load()
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setattr(VARIANTS, "_entries", dict(VARIANTS._entries))


@pytest.fixture
def small(small_music: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "variants": "V,leaky",
        "tasks": "music",
        "trials": 2,
        "controls": 1,
        "confirm": 1,
        "confirm_variants": "all",
        "training": {"epochs": 2, "batch_size": 3},
        "search": {"hidden_size": 3, "learning_rate": {"low": 1e-3, "high": 1e-1}},
        "data": {"music": small_music},
        "launcher": "serial",
        "backend": "reference",
        "study": "s",
        "results": tmp_path / "results",
    }


def tables(study: ablate.Study) -> list[pd.DataFrame]:
    trials = study.trials.drop(columns=MACHINE_COLUMNS)
    order = ["variant", "index"]
    replicates = study.replicates.drop(columns=MACHINE_COLUMNS)
    sorted_by = ((trials, []), (study.curves, ["epoch"]), (replicates, ["purpose", "replicate"]))
    return [each.sort_values([*order, *more], ignore_index=True) for each, more in sorted_by]


class Killed(BaseException):
    """What a kill is: nothing handles it."""


class Trackers:
    """None, so that a study takes no time."""

    def __init__(self, *_: object) -> None: ...
    def repair(self, *_: object) -> None: ...
    def add(self, *_: object) -> None: ...
    def interrupt(self) -> None: ...

    def close(self, *_: object) -> list[str]:
        return []


class NoHeartbeat(nullcontext[Any]):
    def __init__(self, *_: object) -> None:
        super().__init__(self)

    def add(self) -> None:
        pass


def test_a_kill_at_any_step_leaves_a_study_that_goes_on(
    at_a_prompt: None, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before or after each write: old trials never stand under new equations, and none is lost unnoticed."""
    monkeypatch.setattr(execution, "BackgroundTrackers", Trackers)
    monkeypatch.setattr(execution, "report_study", lambda folder, *_, **options: folder.path / "report")
    monkeypatch.setattr(stored_table, "ROWS_PER_PART", 2)  # so that some rows are in sealed parts
    monkeypatch.setattr(execution, "Heartbeat", NoHeartbeat)  # whose thread writes when it likes
    define(CELL)
    before = ablate.run(**small)
    trials = before.trials.set_index(["variant", "index"])
    (before.path / "failures").mkdir()
    (before.path / "failures" / "music-leaky-1.txt").write_text("old")
    (before.path / "failures" / "music-V-1.txt").write_text("another's")
    shutil.copytree(before.path, tmp_path / "kept")
    define(EDITED)
    wanted = tables(ablate.run(**{**small, "study": "anew"}))
    assert not wanted[0].equals(tables(before)[0])

    steps, left = 0, 0
    replace, unlink = Path.replace, Path.unlink

    def faulty(write: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == -1:
                raise Killed
            done = write(*arguments, **options)
            left -= 1
            if left == -1:
                raise Killed
            return done

        return run

    while True:
        shutil.rmtree(before.path)
        shutil.copytree(tmp_path / "kept", before.path)
        left = steps
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", faulty(replace))
            patch.setattr(Path, "unlink", faulty(unlink))
            try:
                ablate.run(redo="leaky", **small)
                killed = False
            except Killed:
                killed = True
        folder = StudyFolder(small["results"], "s")
        metadata = folder.metadata()
        new = (
            metadata["variants"]["leaky"]["equations"]
            != json.loads((tmp_path / "kept" / "metadata.json").read_text())["variants"]["leaky"]["equations"]
        )
        there = folder.tables.trials().set_index(["variant", "index"])
        old = [key for key in trials.index if key[0] == "leaky" and key in there.index
               and there.loc[key, "test"] == trials.loc[key, "test"]]  # fmt: skip
        if new:
            assert not old, f"step {steps}: old trials under new equations"
        elif len(old) < 2:
            assert metadata["redo"] == ["leaky"], f"step {steps}: trials are lost, and the old equations stay"
        if killed and not new and not metadata.get("redo"):
            with pytest.raises(ablate.UserError, match="redo='leaky'"):
                ablate.run(**small)
        again = ablate.run(**small, **({"redo": "leaky"} if not new and not metadata.get("redo") else {}))
        for found, expected in zip(tables(again), wanted, strict=True):
            pd.testing.assert_frame_equal(found, expected, check_exact=True)
        assert [file.name for file in (before.path / "failures").iterdir()] == ["music-V-1.txt"]
        assert not folder.metadata().get("redo")
        if not killed:
            break
        steps += 1
    assert steps > 10


def test_a_pending_variant_waits_for_a_command_that_has_it(
    at_a_prompt: None, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "BackgroundTrackers", Trackers)
    monkeypatch.setattr(execution, "report_study", lambda folder, *_, **options: folder.path / "report")
    define(CELL)
    first = ablate.run(**small)
    define(EDITED)
    with monkeypatch.context() as patch:
        patch.setattr(StudyFolder, "drop", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            ablate.run(redo=["leaky"], **small)
    other = ablate.run(**{**small, "variants": "V"})
    assert set(other.trials["variant"]) == {"V"}
    again = ablate.run(**small)
    both = first.trials.merge(again.trials, on=["variant", "index"]).set_index("variant")
    assert (both.loc["leaky", "test_x"] != both.loc["leaky", "test_y"]).all()
    assert (both.loc["V", "test_x"] == both.loc["V", "test_y"]).all()


def test_the_trackers_hold_the_new_trials(
    at_a_prompt: None, small: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a kill has kept them from being told: they then find runs of the same names and states."""
    define(CELL)
    ablate.run(**small)
    results, studies = small["results"], small["results"] / "s"
    before = {run.info.run_id: run.data.tags for run in runs(results)}
    define(EDITED)
    with monkeypatch.context() as patch:
        patch.setattr(execution, "BackgroundTrackers", Trackers)  # as killed before they had written anything
        ablate.run(redo="leaky", **small)
    assert "redo leaky: drops 3 trials (3 of music)\n" in capsys.readouterr().out
    again = ablate.run(**{**small, "trials": 3})
    check_mlflow(results)
    after = {run.info.run_id: run.data.tags for run in runs(results)}
    kept = {run for run in before if run in after}
    assert {before[run]["variant"] for run in before if run not in kept} == {"leaky"}
    assert {tags.get("variant") for run, tags in before.items() if run in kept} == {"V", None}
    storage = JournalStorage(JournalFileBackend(str(studies / "optuna.journal")))
    held = {trial.user_attrs["index"]: trial.value for trial in optuna.load_study(
        study_name="s/music/leaky", storage=storage).get_trials()}  # fmt: skip
    assert held == again.trials.query("variant == 'leaky'").set_index("index")["validation"].to_dict()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--redo", "GRU"], "--redo GRU: study 's' has no variant of this name; it has SRN, V"),
        (["--redo", "V,nil"], "--redo nil: study 's' has no variant of this name; it has SRN, V"),
        (["--redo", "SRN", "--variants", "V"], "--redo SRN: it is not among the variants of this command; add it"),
        (["--redo", "V", "--study", "none"], "--redo V: there is no study 'none' in "),
        (["--redo", "V", "--fresh"], "--fresh trains everything anew; leave out --redo"),
    ],
)
def test_what_cannot_be_redone_is_one_line(
    options: list[str], message: str, study: Path, sweep: Command, tmp_path: Path
) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    done = sweep(*options)
    assert done.returncode == 2 and done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1
    for name in ("trials.csv", "metadata.json"):
        assert (tmp_path / "results" / "s" / name).read_bytes() == (study / "results" / "s" / name).read_bytes()


def test_the_command_says_what_it_drops_and_trains_the_same_again(study: Path, sweep: Command, tmp_path: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    done = sweep("--redo", "srn", "--trials", "2")
    assert done.returncode == 0, done.stderr
    assert "redo SRN: drops 3 trials (3 of music); 2 of them are in this command\n" in done.stdout
    before, after = (
        StudyFolder(place / "results", "s").tables.trials().drop(columns=MACHINE_COLUMNS) for place in (study, tmp_path)
    )
    pd.testing.assert_frame_equal(
        after, before[(before["variant"] == "V") | (before["index"] < 2)].reset_index(drop=True)
    )
