"""The command over whole studies: what it leaves behind, how it resumes, and what it refuses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from ablate.cli.main import main
from ablate.storage.tables import MACHINE_COLUMNS, TRIAL_COLUMNS, StudyTables
from tests.conftest import ROOT, Command, sweep_arguments
from tests.faults import workers_of


def tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables of a study without what tells of the machine, which alone may differ."""
    kept = StudyTables(folder)
    return kept.trials().drop(columns=MACHINE_COLUMNS), kept.curves()


def assert_same(one: tuple[pd.DataFrame, ...], other: tuple[pd.DataFrame, ...]) -> None:
    for a, b in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_a_study_leaves_all_that_design_says(study: Path) -> None:
    folder = study / "results" / "s"
    trials, curves = tables(folder)
    assert list(StudyTables(folder).trials().columns) == [column.name for column in TRIAL_COLUMNS]
    assert trials.groupby("variant").size().to_dict() == {"SRN": 3, "V": 3}
    assert set(trials["state"]) == {"completed"}
    assert len(curves) == trials["epochs"].sum()
    for name in ("config.toml", "metadata.json", "optuna.journal", "report/index.html"):
        assert (folder / name).stat().st_size > 0
    said = (study / "said.txt").read_text()
    assert "report: " in said and "mlflow ui --backend-store-uri sqlite:///" in said
    for noise in ("alembic", "INFO", "WARNING", "Warning"):
        assert noise not in said


def test_the_best_epoch_is_the_curves(study: Path) -> None:
    trials, curves = tables(study / "results" / "s")
    best = curves.loc[curves.groupby(["variant", "index"])["validation"].idxmin()]
    merged = trials.merge(best, on=["variant", "index"], suffixes=("", "_curve"))
    assert (merged["validation"] == merged["validation_curve"]).all()
    assert (merged["best_epoch"] == merged["epoch"]).all()


def test_the_same_command_again_trains_nothing(study: Path, sweep: Command, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(study / "results" / "s", results / "s")
    before = {file: file.read_bytes() for file in (results / "s").glob("*.csv")}
    done = sweep()
    assert done.returncode == 0
    assert "complete: 6 trials; nothing to train" in done.stdout
    assert {file: file.read_bytes() for file in (results / "s").glob("*.csv")} == before


def test_workers_and_order_do_not_matter(study: Path, command: Command, tmp_path: Path) -> None:
    """One worker, the variants the other way round, and in two commands: the same table."""
    assert command("--variants", "SRN", "--trials", "1").returncode == 0
    assert command("--variants", "SRN,V").returncode == 0
    assert_same(tables(tmp_path / "results" / "s"), tables(study / "results" / "s"))


@pytest.mark.parametrize("victim", ["parent", "worker", "interrupt", "interrupt twice", "terminate"])
def test_a_killed_study_resumes_to_the_same_table(
    victim: str, study: Path, sweep: Command, tmp_path: Path, small_music: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_sweep.py"), *sweep_arguments(tmp_path, small_music)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that Ctrl-C can be sent to all of it, as a terminal does
    )
    trials = tmp_path / "results" / "s" / "trials.csv"
    deadline = time.monotonic() + 120
    while not (trials.exists() and trials.read_text().count("\n") >= 2):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    pool = workers_of(process.pid)
    assert pool
    if victim == "parent":
        process.kill()
    elif victim == "worker":
        os.kill(pool[0], signal.SIGKILL)
    elif victim.startswith("interrupt"):
        os.killpg(process.pid, signal.SIGINT)
        if victim == "interrupt twice":  # as who sees no end of it does
            time.sleep(0.2)
            os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    _, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors
    if victim not in ("parent", "worker"):
        assert process.returncode == 130
        assert "Go on with: python run_sweep.py --config" in errors.splitlines()[-1]
    if victim == "worker":
        kept = StudyTables(tmp_path / "results" / "s").trials()
        lost = kept[kept["state"] == "failed"]
        assert len(kept) == 6 and process.returncode == (1 if len(lost) else 0)
        assert all(reason.startswith("the worker died: killed by SIGKILL") for reason in lost["reason"])
    if victim == "parent":
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{pid}/cmdline").exists() for pid in pool) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pool), "workers outlive their parent"
    resumed = sweep()
    assert resumed.returncode == 0, resumed.stderr
    assert_same(tables(tmp_path / "results" / "s"), tables(study / "results" / "s"))


def test_a_half_written_row_is_dropped(study: Path, sweep: Command, tmp_path: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    file = tmp_path / "results" / "s" / "trials.csv"
    file.write_text(file.read_text()[:-40])
    assert sweep().returncode == 0
    assert_same(tables(tmp_path / "results" / "s"), tables(study / "results" / "s"))


def test_trials_are_a_total(study: Path, sweep: Command, tmp_path: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    done = sweep("--trials", "4")
    assert done.returncode == 0 and "6 of 8 trials are there already" in done.stdout
    assert len(StudyTables(tmp_path / "results" / "s").trials()) == 8


def test_a_command_may_ask_for_less_than_the_study_has(study: Path, sweep: Command, tmp_path: Path) -> None:
    """Fewer variants and trials than are there: what is there stays, and only what is asked for is finished."""
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    file = tmp_path / "results" / "s" / "trials.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("music,V,1,")))
    done = sweep("--variants", "V", "--trials", "2")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 trials are there already" in done.stdout
    assert_same(tables(tmp_path / "results" / "s"), tables(study / "results" / "s"))


def test_another_configuration_is_refused_with_the_difference(study: Path, sweep: Command, tmp_path: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    refused = sweep("--seed", "7")
    assert refused.returncode == 2
    assert "seed is 0 there and 7 here" in refused.stderr and "--fresh" in refused.stderr
    assert_same(tables(tmp_path / "results" / "s"), tables(study / "results" / "s"))
    fresh = sweep("--seed", "7", "--fresh", "--trials", "1")
    assert fresh.returncode == 0
    assert len(StudyTables(tmp_path / "results" / "s").trials()) == 2


def test_settings_of_tasks_that_a_study_lacks_make_no_difference(study: Path, sweep: Command, tmp_path: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    sweep_arguments(tmp_path, tmp_path)
    other = tmp_path / "other.toml"
    other.write_text((tmp_path / "small.toml").read_text() + "[settings.handwriting]\ntrain = 9\n")
    done = sweep("--config", str(other))
    assert done.returncode == 0 and "nothing to train" in done.stdout, done.stderr
    refused = sweep("--config", str(other), "--seed", "7")
    assert "seed is 0 there and 7 here. Give" in refused.stderr


def test_a_study_that_is_missing_is_told_with_those_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("other", "mines", *(f"x{k}" for k in range(8))):
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "config.toml").touch()
    assert main(["--report-only", "--study", "mine"]) == 2
    said = capsys.readouterr().err
    assert f"there is no study 'mine' in {tmp_path}/results; it has mines, " in said and " and 2 more" in said


def test_other_data_is_refused(study: Path, sweep: Command, tmp_path: Path, small_music: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    other = tmp_path / "other.json"
    other.write_text(small_music.read_text().replace("[50, 57]", "[50, 58]").replace("[55, 62]", "[55, 63]"))
    refused = sweep(*sweep_arguments(tmp_path, other), small=False)
    assert refused.returncode == 2
    assert "made with other data for music" in refused.stderr


def test_two_commands_on_one_study(sweep: Command, tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "results").mkdir()
    with FileLock(tmp_path / "results" / ".s.lock"):
        refused = sweep()
    assert refused.returncode == 2
    assert "is being run by another process" in refused.stderr
    assert not (tmp_path / "results" / "s").exists()


def test_diverged_trials_are_results(sweep: Command, tmp_path: Path) -> None:
    config = tmp_path / "wild.toml"
    config.write_text("[search]\nlearning_rate = 1e36\n[training]\nepochs = 2\n")
    done = sweep("--config", str(config), "--variants", "NOAF", "--trials", "2")
    assert done.returncode == 0, done.stderr
    trials = StudyTables(tmp_path / "results" / "s").trials()
    assert set(trials["state"]) == {"diverged"} and trials["test"].isna().all()
    assert "nothing to train" in sweep("--config", str(config), "--variants", "NOAF", "--trials", "2").stdout


def test_an_exception_fails_its_trial_alone(sweep: Command, tmp_path: Path) -> None:
    """A network too large for any memory: its trials fail with the reason, the traceback is kept, the exit is 1."""
    config = tmp_path / "huge.toml"
    config.write_text("[search]\nhidden_size = 1000000\n[training]\nepochs = 1\n")
    done = sweep("--config", str(config), "--variants", "SRN", "--trials", "1")
    assert done.returncode == 1, done.stdout
    assert "trials failed" in done.stdout
    trials = StudyTables(tmp_path / "results" / "s").trials()
    assert set(trials["state"]) == {"failed"}
    assert trials["reason"].str.len().min() > 10
    assert "Traceback" in (tmp_path / "results" / "s" / "failures" / "music-SRN-0.txt").read_text()
    assert (tmp_path / "results" / "s" / "report" / "index.html").exists()


def test_a_study_that_gets_another_task_says_so(study: Path, sweep: Command, tmp_path: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    done = sweep("--tasks", "music,parity", "--variants", "V", "--trials", "1")
    assert done.returncode == 0, done.stderr
    assert "adds parity to study 's', which has music\n" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variants", "VV"], "unknown variant 'VV'"),
        (["--variants", ","], "no variant is named"),
        (["--tasks", "musc"], "unknown task 'musc': did you mean music"),
        (["--trials", "0"], "trials is 0; it must be at least 1"),
        (["--trials", "many"], "argument --trials: invalid int value: 'many'"),
        (["--jobs", "-1"], "jobs is -1"),
        (["--preset", "papr"], "unknown preset 'papr': did you mean paper"),
        (["--backend", "cuda"], "backend is 'cuda'"),
        (["--config", "none.toml"], "configuration none.toml cannot be read: No such file"),
        (["--data", "music"], "--data 'music' is not of the form TASK=PATH"),
        (["--data", "own=a.csv", "--data", "own=b.csv"], "--data own is given twice, a.csv and b.csv; a study has one"),
        (["--data", "musc=x.json"], "unknown task 'musc'"),
        (["--data", "music=none.json"], "none.json"),
        (["--study", "a/b"], "study is 'a/b'"),
        (["--storage", "nosuchdb://x"], "storage 'nosuchdb://x' cannot be opened"),
        (["--colour"], "unrecognized arguments: --colour"),
        (["--describe", "LSMT"], "unknown variant 'LSMT'"),
        (["--variants", "Hedge"], "; a cell of your own needs --variants-from FILE"),
        (["--describe", "handwritting"], "unknown task 'handwritting': did you mean handwriting?"),
        (["--report-only", "--study", "none"], "there is no study 'none' in /"),
        (["--variants", "V", "GRU"], "--variants takes names with commas and no spaces: --variants V,GRU"),
        (["--tasks", "music,", "speech"], "--tasks takes names with commas and no spaces: --tasks music,speech"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_leaves_nothing(
    options: list[str],
    message: str,
    tmp_path: Path,
    small_music: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*sweep_arguments(tmp_path, small_music), *options]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("error: ") and said.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_results_that_cannot_be_written(sweep: Command, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    done = sweep()
    assert done.returncode == 2
    assert "results folder" in done.stderr and "cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_that_is_no_study_is_left_alone(sweep: Command, tmp_path: Path) -> None:
    mine = tmp_path / "results" / "s" / "thesis.tex"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    for options in ((), ("--fresh",)):
        done = sweep(*options)
        assert done.returncode == 2 and "holds no study" in done.stderr
    assert mine.read_text() == "years of work"


@pytest.mark.parametrize("options", [["--help"], ["--list"], ["--describe", "FGR"], ["--dry-run"]], ids=" ".join)
def test_answers_without_the_framework(options: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from ablate.cli.main import main\n"
        f"try: main({options})\nexcept SystemExit: pass\n"
        "assert not {'torch', 'mlflow', 'music21', 'pandas', 'optuna'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_dry_run_prints_the_draws_of_the_study(study: Path, command: Command, tmp_path: Path) -> None:
    shown = command("--dry-run").stdout
    trials, _ = tables(study / "results" / "s")
    for rate in trials["learning_rate"]:
        assert f"{rate:.4g}" in shown
    assert not (tmp_path / "results").exists()
