"""Tasks through the command, as a user meets them: their settings, their samples, their mistakes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ablate.definitions.task import TASKS
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


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("“Où est la clé?” he asked; it was under the mat, as ever.\n" * 30, encoding="utf-8")
    return file


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS, encoding="utf-8")
    return file


def study(command: Command, settings: Path, text: Path, name: str, *options: str) -> Path:
    words = ["--config", str(settings), "--data", f"text={text}", "--variants", "V,NFG", "--jobs", "1"]
    done = command(*words, "--study", name, *options, small=False)
    assert done.returncode == 0, done.stderr
    return settings.parent / "results" / name


def test_what_networks_write_is_kept_and_shown(command: Command, settings: Path, text: Path) -> None:
    """A sample a trial, in the characters of the training text, the same when the study is run in two goes."""
    folder = study(command, settings, text, "whole", "--tasks", "text", "--trials", "2")
    samples = pd.read_csv(folder / "samples.csv")
    assert list(zip(samples["variant"], samples["index"], strict=True)) == [("NFG", 0), ("NFG", 1), ("V", 0), ("V", 1)]
    for sample in samples["sample"]:
        written = eval(sample)
        assert len(written) == 60 and set(written) <= set(text.read_text(encoding="utf-8")) | {"\ufffd"}
    trials = pd.read_csv(folder / "trials.csv")
    best = trials[trials["variant"].eq("V")].sort_values("validation")["index"].iloc[0]
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "What the networks wrote" in page
    shown = pd.read_csv(folder / "report" / "tables" / "samples.csv").set_index("variant")
    assert shown.loc["V", "index"] == best
    parts = study(command, settings, text, "parts", "--tasks", "text", "--trials", "1")
    study(command, settings, text, "parts", "--tasks", "text", "--trials", "2")
    assert (parts / "samples.csv").read_text() == (folder / "samples.csv").read_text()


def test_both_backends_train_what_is_generated_and_what_is_read(command: Command, settings: Path, text: Path) -> None:
    options = ("--tasks", "text,adding", "--trials", "1")
    kernel, reference = (
        pd.read_csv(study(command, settings, text, backend, *options, "--backend", backend) / "trials.csv")
        for backend in ("cpu", "reference")
    )
    assert list(kernel["state"]) == 4 * ["completed"]
    assert kernel["test"].tolist() == pytest.approx(reference["test"].tolist(), rel=1e-3)
    assert list(kernel["backend"]) == 4 * ["cpu"] and list(reference["backend"]) == 4 * ["reference"]


def test_the_originals_are_trained_on_from_the_users_copies(command: Command, tmp_path: Path) -> None:
    """TIMIT and IAM-OnDB in their true formats, from the files to the report, which says how the counts differ."""
    speech = timit_tree(tmp_path / "TIMIT")
    handwriting = tmp_path / "IAM"
    for name, boards in BOARDS.items():
        for board, lines in boards.items():
            write_board(handwriting, board, lines)
        (handwriting / name).write_text("\n".join(boards) + "\n")
    data = ("--data", f"speech={speech}", "--data", f"handwriting={handwriting}")
    words = ("--tasks", "speech,handwriting", *data, "--variants", "V", "--trials", "1", "--preset", "smoke")
    done = command(*words, "--jobs", "1", small=False)
    assert done.returncode == 0, done.stderr
    trials = pd.read_csv(tmp_path / "results" / "smoke" / "trials.csv")
    assert list(trials["state"]) == ["completed", "completed"]
    # Two directions of 20 units over 39 inputs and 61 phones.
    own = trials.set_index("task").loc["speech", "parameters"]
    assert own == 2 * (4 * (20 * 39 + 20 * 20 + 20) + 3 * 20) + 61 * (2 * 20 + 1)
    page = (tmp_path / "results" / "smoke" / "report" / "index.html").read_text(encoding="utf-8")
    assert "train has 4 utterances, TIMIT 3696" in page and "5,355" in page


def test_a_task_is_described_with_its_data(command: Command, text: Path) -> None:
    done = command("--describe", "text", "--data", f"text={text}", small=False)
    assert done.returncode == 0
    for words in ("source", "splits", str(text), "hash", "tbptt_steps = 100", "bits per character"):
        assert words in done.stdout
    for name in ("speech", "handwriting", "digits", "timing-generate"):
        done = command("--describe", name, small=False)
        assert done.returncode == 0 and TASKS[name].unit in done.stdout and "hash" in done.stdout


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
    command: Command, tmp_path: Path, task: str, contents: bytes | str | None, words: str
) -> None:
    path = tmp_path / "given"
    if contents == "folder":
        path.mkdir()
    elif isinstance(contents, bytes):
        path.write_bytes(contents)
    done = command("--tasks", task, "--data", f"{task}={path}", "--preset", "smoke", small=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and words in done.stderr
    assert str(path) in done.stderr or task == "parity"
    assert not (tmp_path / "results").exists()


def test_a_setting_out_of_range_is_told_before_anything_is_written(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[settings.adding]\nlength = 1\n")
    done = command("--tasks", "adding", "--config", str(file), small=False)
    assert done.returncode == 2 and "settings.adding.length is 1; it must be from 2" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_dry_run_says_how_long_the_study_takes(command: Command, settings: Path, text: Path) -> None:
    """More trials take longer in proportion, and what is measured is said."""

    def hours(trials: int) -> float:
        options = ("--tasks", "adding", "--variants", "V", "--trials", str(trials), "--dry-run")
        done = command("--config", str(settings), *options, small=False)
        assert done.returncode == 0, done.stderr
        line = next(line for line in done.stdout.splitlines() if line.startswith("time:"))
        assert "measured on this machine for a trial of V" in done.stdout
        number, unit = line.rpartition(", ")[2].split()[:2]
        return float(number) * {"s": 1, "min": 60, "h": 3600, "days": 86400}[unit]

    assert 20 < hours(5000) / hours(50) < 500
