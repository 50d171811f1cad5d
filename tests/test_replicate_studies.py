"""Replicates through the command: what is kept of them, and that no kill, failure or extension changes it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock

import ablate
from ablate.execution import trial_runner
from ablate.execution.executor import TrialResult
from ablate.plan.random_streams import TrialId
from ablate.storage.tables import REPLICATE_COLUMNS, StudyTables
from tests.conftest import ROOT, Command, run_command, shared_folder, sweep_arguments
from tests.test_storage import older

OPTIONS = ("--controls", "1", "--confirm", "2")


def tables(folder: Path) -> list[pd.DataFrame]:
    """The tables of a study without the times, which alone may differ."""
    kept = StudyTables(folder)
    return [kept.trials().drop(columns="seconds"), kept.curves(), kept.replicates().drop(columns="seconds")]


def assert_same(one: Path, other: Path) -> None:
    for a, b in zip(tables(one), tables(other), strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory, small_music: Path) -> Path:
    """The folder of a study with controls and confirmation that ran straight through on two workers; never changed."""
    folder = shared_folder(tmp_path_factory) / "replicated"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "said.txt").exists():
            folder.mkdir(exist_ok=True)
            done = run_command(folder, *sweep_arguments(folder, small_music), *OPTIONS, "--jobs", "2")
            assert done.returncode == 0, done.stderr
            (folder / "said.txt").write_text(done.stdout + done.stderr)
    return folder / "results" / "s"


@pytest.fixture
def copied(replicated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(replicated, tmp_path / "results" / "s"))


def test_replicates_have_a_table_of_their_own(replicated: Path) -> None:
    trials, curves, replicates = (StudyTables(replicated).trials(), *tables(replicated)[1:])
    assert trials.groupby("variant").size().to_dict() == {"SRN": 3, "V": 3}
    assert len(curves) == trials["epochs"].sum(), "the curves are the search's"
    assert list(StudyTables(replicated).replicates().columns) == [column.name for column in REPLICATE_COLUMNS]
    counts = replicates.groupby(["variant", "purpose"]).size().to_dict()
    assert counts == {("SRN", "confirmation"): 2, ("V", "confirmation"): 4, ("V", "control"): 3}
    searched = trials.set_index(["variant", "index"])
    for row in replicates.to_dict("records"):
        trial = searched.loc[row["variant"], row["index"]]
        for name in ("hidden_size", "learning_rate", "momentum", "input_noise", "parameters"):
            assert row[name] == trial[name]
        assert row["test"] != trial["test"] and row["validation"] != trial["validation"]
    confirmed = replicates[replicates["purpose"] == "confirmation"].groupby("variant")["index"].unique()
    for variant, rows in trials.groupby("variant"):
        assert confirmed[variant].tolist() == [rows.loc[rows["validation"].idxmin(), "index"]]
    assert replicates["test"].is_unique
    said = (replicated.parents[1] / "said.txt").read_text()
    assert "15/15" in said
    study = ablate.load(replicated)
    assert len(study.replicates) == 9 and len(study.trials) == 6 and study.results.reference == "V"


def test_the_same_command_again_trains_nothing(copied: Path, sweep: Command) -> None:
    before = {file: file.read_bytes() for file in copied.glob("*.csv")}
    done = sweep(*OPTIONS)
    assert done.returncode == 0 and "complete: 15 trials; nothing to train" in done.stdout
    assert {file: file.read_bytes() for file in copied.glob("*.csv")} == before


def rows_in(file: Path, word: str = "\n") -> int:
    return file.read_text().count(word) if file.exists() else 0


PHASES: dict[str, Callable[[Path], bool]] = {
    "search": lambda folder: rows_in(folder / "trials.csv") >= 3,
    # The confirmation's workers take seconds to start.
    "between": lambda folder: rows_in(folder / "trials.csv") == 7 and rows_in(folder / "replicates.csv") == 4,
    "confirmation": lambda folder: rows_in(folder / "replicates.csv", "confirmation") >= 2,
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_study_resumes_to_the_same_tables(
    phase: str, replicated: Path, sweep: Command, tmp_path: Path, small_music: Path
) -> None:
    folder = tmp_path / "results" / "s"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_sweep.py"), *sweep_arguments(tmp_path, small_music), *OPTIONS],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not PHASES[phase](folder):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    confirmed = rows_in(folder / "replicates.csv", "confirmation")
    assert confirmed < 6 and (confirmed > 0) == (phase == "confirmation")
    resumed = sweep(*OPTIONS)
    assert resumed.returncode == 0, resumed.stderr
    assert_same(folder, replicated)


def test_replicates_can_be_asked_for_later_and_taken_further(
    study: Path, replicated: Path, sweep: Command, tmp_path: Path
) -> None:
    """A study without any comes to the same tables; more replicates are added to those that are there."""
    folder = Path(shutil.copytree(study / "results" / "s", tmp_path / "results" / "s"))
    done = sweep(*OPTIONS)
    assert done.returncode == 0 and "6 of 15 trials are there already" in done.stdout, done.stdout
    assert_same(folder, replicated)
    before = tables(folder)[2]
    assert sweep("--controls", "2", "--confirm", "3", "--confirm-variants", "V").returncode == 0
    after = tables(folder)[2]
    assert len(after) == 9 + 3 + 2
    kept = before.merge(after, how="inner", on=list(before.columns))
    pd.testing.assert_frame_equal(kept, before, check_dtype=False)


def test_a_longer_search_confirms_its_new_best_as_well(copied: Path, sweep: Command) -> None:
    """Of eight further trials some variant has a better one; what was confirmed before stays."""
    before = tables(copied)[2]
    assert sweep(*OPTIONS, "--trials", "11").returncode == 0
    trials, _, after = tables(copied)
    assert set(before.astype(str).itertuples(index=False)) <= set(after.astype(str).itertuples(index=False))
    changed = 0
    confirmed = after[after["purpose"] == "confirmation"]
    for variant, rows in trials.groupby("variant"):
        best = rows.loc[rows["validation"].idxmin(), "index"]
        mine = confirmed[confirmed["variant"] == variant]
        assert (mine["index"] == best).sum() == (4 if variant == "V" else 2)
        changed += mine["index"].nunique() - 1
    assert changed, "no best setting changed, so that nothing was tested"
    assert "nothing to train" in sweep(*OPTIONS, "--trials", "11").stdout


def test_a_failed_replicate_is_told_and_tried_again(
    replicated: Path, sweep: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trial_runner.TrialRunner.run
    victims = [TrialId("music", "V", 1, "control", 1)]

    def run_or_fail(self: trial_runner.TrialRunner, trial: TrialId) -> TrialResult:
        if trial in victims or (trial.variant, trial.purpose, trial.replicate) == ("SRN", "confirmation", 2):
            return trial_runner.failed_trial(self._plan, trial, "Boom: of this replicate alone", "Traceback: boom")
        return run(self, trial)

    with monkeypatch.context() as patch:
        patch.setattr(trial_runner.TrialRunner, "run", run_or_fail)
        done = sweep(*OPTIONS)
    assert done.returncode == 1 and "2 trials failed" in done.stdout
    folder = tmp_path / "results" / "s"
    (file, other) = sorted(file.name for file in (folder / "failures").iterdir())
    assert other == "music-V-1-control-1.txt" and file.startswith("music-SRN-") and file.endswith("-confirmation-2.txt")
    kept = StudyTables(folder).replicates()
    assert kept["state"].value_counts().to_dict() == {"completed": 7, "failed": 2}
    assert sweep(*OPTIONS).returncode == 0
    assert_same(folder, replicated)


def short(tmp_path: Path, text: str = "") -> tuple[str, ...]:
    file = tmp_path / "short.toml"
    file.write_text(f"confirm = 1\nconfirm_variants = 'all'\n{text}\n[training]\nepochs = 2\nbatch_size = 3\n")
    return "--config", str(file), "--trials", "2"


def test_variants_that_only_diverge_have_nothing_to_confirm(sweep: Command, tmp_path: Path) -> None:
    options = (*short(tmp_path), "--variants", "V,NOAF")
    config = tmp_path / "short.toml"
    config.write_text(config.read_text() + "[search]\nlearning_rate = 1e36\n")
    assert sweep(*options).returncode == 0
    kept = StudyTables(tmp_path / "results" / "s")
    assert set(kept.trials()["state"]) == {"diverged"} and set(kept.trials()["stop_reason"]) == {"not finite"}
    assert kept.replicates()["purpose"].tolist() == ["control"] * 4  # the preset's
    again = sweep(*options)
    assert again.returncode == 0 and "nothing to train" in again.stdout


def test_controls_of_a_study_without_pairs(sweep: Command, tmp_path: Path) -> None:
    options = short(tmp_path, "paired = false\ncontrols = 2")
    assert sweep(*options).returncode == 0
    kept = StudyTables(tmp_path / "results" / "s")
    drawn = kept.trials().set_index(["variant", "index"])["learning_rate"]
    assert drawn.is_unique
    replicates = kept.replicates()
    controls = replicates[replicates["purpose"] == "control"]
    assert len(controls) == 4 and set(controls["variant"]) == {"V"}
    for row in replicates.to_dict("records"):
        assert row["learning_rate"] == drawn[row["variant"], row["index"]]


def reference(folder: Path) -> Any:
    return json.loads((folder / "metadata.json").read_text())["reference"]


def test_the_reference_is_the_studys_until_another_is_named(copied: Path, sweep: Command) -> None:
    page = copied / "report" / "index.html"
    assert reference(copied) == "V" and "Comparison with V" in page.read_text()
    done = sweep("--report-only", "--study", "s", "--reference", "srn", small=False)
    assert done.returncode == 0, done.stderr
    assert reference(copied) == "SRN" and "Comparison with SRN" in page.read_text()
    trained = sweep("--confirm", "2")  # which names none: SRN's best has two more replicates, being the reference
    assert trained.returncode == 0 and "10 of 12 trials are there already" in trained.stdout, trained.stdout
    assert reference(copied) == "SRN" and ablate.load(copied).results.reference == "SRN"
    assert set(ablate.load(copied).compare()["reference"]) == {"SRN"}
    assert sweep("--reference", "V").returncode == 0  # nothing to train, but another report
    assert reference(copied) == "V" and "Comparison with V" in page.read_text()
    refused = sweep("--report-only", "--study", "s", "--reference", "GRU", small=False)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "study 's' has no variant 'GRU' to be the reference" in refused.stderr


def test_a_missing_reference_is_told_in_a_line(sweep: Command, tmp_path: Path) -> None:
    done = sweep(*short(tmp_path, "controls = 2"), "--variants", "SRN")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the reference V is not among the variants, so that nothing is compared") == 1
    replicates = StudyTables(tmp_path / "results" / "s").replicates()
    assert replicates[["variant", "purpose"]].drop_duplicates().to_numpy().tolist() == [["SRN", "confirmation"]]
    refused = sweep("--reference", "VV")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1 and "unknown variant 'VV'" in refused.stderr


def test_a_study_of_before_replicates_is_read(study: Path, sweep: Command, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(study / "results" / "s", tmp_path / "results" / "s"))
    older(folder)
    assert ablate.load(folder).replicates.empty and ablate.load(folder).results.reference == "V"
    assert sweep("--report-only", "--study", "s", small=False).returncode == 0
    assert not (folder / "replicates.csv").exists()


def test_a_dry_run_says_what_replicates_add(command: Command) -> None:
    said = command(*OPTIONS, "--dry-run").stdout
    assert "1 x 2 x 3 = 6 trials" in said
    assert "controls: 3 more trials of V, 1 at every index" in said
    assert "confirmation: at most 6 more trials, the best setting of each anew on each task: V 4, SRN 2" in said
