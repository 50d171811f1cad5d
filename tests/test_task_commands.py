"""Tasks through the command, as a user meets them: their settings, their samples, their mistakes."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ablate.cli.main import main
from ablate.definitions.task import TASKS
from ablate.execution.executor import TrialResult
from ablate.execution.trial_runner import TrialRunner
from ablate.plan.config_file import load_config
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import make_plan
from tests.conftest import Command
from tests.test_iam import BOARDS, write_board
from tests.test_timit import tree as timit_tree

SETTINGS = """
[training]
epochs = 2
[search]
hidden_size = 8
learning_rate = { low = 1e-3, high = 1e-2 }
[settings.text]
tbptt_steps = 25
optimiser = "adagrad"
gradient_clipping = 5.0
sample = 60
temperature = 0.5
[settings.adding]
length = 6
train = 30
validation = 20
test = 20
"""


TEXT = "“Où est la clé?” he asked; it was under the mat, as ever.\n" * 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the settings, and a text of the user's own."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    (folder / "settings.toml").write_text(SETTINGS, encoding="utf-8")
    return folder


def words(folder: Path, *options: str) -> list[str]:
    """A small command on the text and on what is generated, trials one after the other in this process."""
    own = ["--config", str(folder / "settings.toml"), "--data", f"text={folder / 'text.txt'}", "--launcher", "serial"]
    return [*own, "--results", str(folder / "results"), "--tasks", "text,adding", *options]


@pytest.fixture(scope="module")
def study(folder: Path) -> Path:
    """A study of two trials, run in two goes."""
    for trials in ("1", "2"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of MLflow, when it is first imported
            assert main(words(folder, "--variants", "V,NFG", "--trials", trials, "--study", "s")) == 0
    return folder / "results" / "s"


def run_alone(folder: Path, backend: str, trial: TrialId) -> TrialResult:
    """One trial of that study, without all the others."""
    config = load_config(folder / "settings.toml", {"data": {"text": str(folder / "text.txt")}, "tasks": "text,adding"})
    plan = replace(make_plan(replace(config, variants=("V",))), backends={"V": backend})
    return TrialRunner(plan).run(trial)


def test_what_networks_write_is_kept_and_shown(study: Path, folder: Path) -> None:
    """A sample a trial, in the characters of the training text, the same as when that trial is run alone."""
    samples = pd.read_csv(study / "samples.csv")
    assert list(zip(samples["variant"], samples["index"], strict=True)) == [("NFG", 0), ("NFG", 1), ("V", 0), ("V", 1)]
    for sample in samples["sample"]:
        written = eval(sample)
        assert len(written) == 60 and set(written) <= set(TEXT) | {"\ufffd"}
    assert eval(samples["sample"].iloc[-1]) == run_alone(folder, "cpu", TrialId("text", "V", 1)).sample
    trials = pd.read_csv(study / "trials.csv").query("task == 'text' and variant == 'V'")
    best = trials.sort_values("validation")["index"].iloc[0]
    assert "What the networks wrote" in (study / "report" / "index.html").read_text(encoding="utf-8")
    shown = pd.read_csv(study / "report" / "tables" / "generated_texts.csv").set_index("variant")
    assert shown.loc["V", "index"] == best


@pytest.mark.parametrize("task", ["text", "adding"])
def test_both_backends_train_what_is_generated_and_what_is_read(study: Path, folder: Path, task: str) -> None:
    """A study's rows are those of its trials alone; the reference agrees with them."""
    trials = pd.read_csv(study / "trials.csv").set_index(["task", "variant", "index"])
    assert list(trials["state"]) == 8 * ["completed"] and list(trials["backend"]) == 8 * ["cpu"]
    kernel, reference = (run_alone(folder, backend, TrialId(task, "V", 0)).row for backend in ("cpu", "reference"))
    assert trials.loc[(task, "V", 0), "test"] == kernel["test"] == pytest.approx(reference["test"], rel=1e-3)


def test_the_originals_are_trained_on_from_the_users_copies(sweep: Command, tmp_path: Path) -> None:
    """TIMIT and IAM-OnDB in their true formats, from the files to the report, which says how the counts differ."""
    speech = timit_tree(tmp_path / "TIMIT")
    handwriting = tmp_path / "IAM"
    for name, boards in BOARDS.items():
        for board, lines in boards.items():
            write_board(handwriting, board, lines)
        (handwriting / name).write_text("\n".join(boards) + "\n")
    data = ("--data", f"speech={speech}", "--data", f"handwriting={handwriting}")
    options = ("--tasks", "speech,handwriting", *data, "--variants", "V", "--trials", "1", "--preset", "smoke")
    done = sweep(*options, small=False)
    assert done.returncode == 0, done.stderr
    trials = pd.read_csv(tmp_path / "results" / "smoke" / "trials.csv")
    assert list(trials["state"]) == ["completed", "completed"]
    # Two directions of 20 units over 39 inputs and 61 phones.
    own = trials.set_index("task").loc["speech", "parameters"]
    assert own == 2 * (4 * (20 * 39 + 20 * 20 + 20) + 3 * 20) + 61 * (2 * 20 + 1)
    page = (tmp_path / "results" / "smoke" / "report" / "index.html").read_text(encoding="utf-8")
    assert "train has 4 utterances, TIMIT 3696" in page and "5,355" in page


def test_a_task_is_described_with_its_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = folder / "text.txt"
    assert main(["--describe", "text", "--data", f"text={text}"]) == 0
    said = capsys.readouterr().out
    for word in ("source", "splits", str(text), "hash", "tbptt_steps = 100", "bits per character, lower is better"):
        assert word in said
    for name in ("speech", "handwriting", "digits", "timing-generate"):
        assert main(["--describe", name]) == 0
        said = capsys.readouterr().out
        assert TASKS[name].unit in said and "hash" in said


@pytest.mark.parametrize(
    ("task", "contents", "words"),
    [
        ("text", b"caf\xe9 " * 50, "not UTF-8 (byte 3 is 0xe9)"),
        ("text", b"", "the file is empty"),
        ("text", b"too short", "9 characters are too few"),
        ("text", None, "cannot be read (No such file or directory)"),
        ("speech", b"RIFF", "cannot be read as a folder"),
        ("speech", "folder", "neither TIMIT"),
        ("handwriting", b"<xml>", "IAM-OnDB"),
        ("handwriting", "folder", "IAM-OnDB"),
        ("digits", b"", "they cannot be read from"),
        ("parity", b"", "parity is generated; it reads no data"),
    ],
)
def test_what_is_not_the_data_is_told_in_one_line(
    sweep: Command, tmp_path: Path, task: str, contents: bytes | str | None, words: str
) -> None:
    path = tmp_path / "given"
    if contents == "folder":
        path.mkdir()
    elif isinstance(contents, bytes):
        path.write_bytes(contents)
    done = sweep("--tasks", task, "--data", f"{task}={path}", "--preset", "smoke", small=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and words in done.stderr
    assert str(path) in done.stderr or task == "parity"
    assert not (tmp_path / "results").exists()


def test_a_setting_out_of_range_is_told_before_anything_is_written(sweep: Command, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[settings.adding]\nlength = 1\n")
    done = sweep("--tasks", "adding", "--config", str(file), small=False)
    assert done.returncode == 2 and "settings.adding.length is 1; it must be from 2" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_dry_run_says_how_long_the_study_takes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As long as its trials together, each as long as the one that was measured, and what is measured is said."""
    alone = ("--controls", "0", "--confirm", "0")
    options = ("--variants", "V", "--trials", "5000", *alone, "--dry-run", "--jobs", "1")
    assert main(words(folder, *options)) == 0
    said = capsys.readouterr().out
    unit = {"s": 1, "min": 60, "h": 3600, "days": 86400}

    def seconds(pattern: str) -> float:
        found = re.search(pattern.format(r"([\d.e-]+) (s|min|h|days)"), said)
        assert found is not None, said
        return float(found[1]) * unit[found[2]]

    total = seconds("time: at most about {} on 1 worker")
    trials = sum(seconds(rf"for a trial of V .*\b{task} {{}} at 8 units") for task in ("text", "adding"))
    assert total == pytest.approx(5000 * trials, rel=0.1)
