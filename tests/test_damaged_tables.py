"""A study that is damaged on disk is told with its file and line; one of an older version is read as far as it goes."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from ablate.analysis import AnalysisTables
from ablate.cli.main import main
from ablate.errors import UserError
from ablate.plan.config import Config
from ablate.report.page import render_page
from ablate.report.registry import FIGURES
from ablate.storage.folder import StudyFolder
from ablate.storage.results import load_results
from ablate.storage.stored_table import StoredTable
from ablate.storage.tables import TRIAL_COLUMNS, Curve
from ablate.testing.synthetic import synthetic_results

Fault = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A study of two variants and three trials, as it lies on disk."""
    folder = StudyFolder(tmp_path_factory.mktemp("whole"), "study")
    results = synthetic_results(variants=("V", "NFG"), trials=3)
    folder.path.mkdir()
    folder.config_file.write_text(tomli_w.dumps(Config(study="study").to_toml()), encoding="utf-8")
    folder.write_metadata(
        {"expected": 3, "tasks": {"jsb": {"name": "jsb"}}, "variants": {name: {"name": name} for name in ("V", "NFG")}}
    )
    curves: dict[tuple[str, str, int], Curve] = {}
    for row in results.curves.to_dict("records"):
        key = (row["task"], row["variant"], row["index"])
        curves.setdefault(key, []).append((row["epoch"], row["train"], row["validation"]))
    for row in results.trials.to_dict("records"):
        key = (row["task"], row["variant"], row["index"])
        plain = {name: None if value != value else value for name, value in row.items()}
        for name in ("hidden_size", "best_epoch", "epochs", "parameters"):
            plain[name] = None if plain.get(name) is None else int(plain[name])
        folder.tables.add({**plain, "replicate": 0}, curves.get(key, []))
    return folder.path


@pytest.fixture
def study(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "study"))


def in_line(number: int, change: Callable[[list[str]], list[str]]) -> Fault:
    """A row changed as a list of its cells; line 1 holds the headings."""

    def fault(content: bytes) -> bytes:
        rows = list(csv.reader(io.StringIO(content.decode())))
        rows[number - 1] = change(rows[number - 1])
        return written(rows)

    return fault


def without(column: str) -> Fault:
    def fault(content: bytes) -> bytes:
        rows = list(csv.reader(io.StringIO(content.decode())))
        place = rows[0].index(column)
        return written([row[:place] + row[place + 1 :] for row in rows])

    return fault


def written(rows: list[list[str]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()


def cell(place: int, text: str) -> Callable[[list[str]], list[str]]:
    return lambda row: [*row[:place], text, *row[place + 1 :]]


WIDTH = len(TRIAL_COLUMNS)
PLACES = {column.name: place for place, column in enumerate(TRIAL_COLUMNS)}

DAMAGE: dict[str, tuple[str, Fault, str]] = {
    "a row that is cut": ("trials.csv", in_line(4, lambda row: row[:6]), "trials.csv, line 4: 6 cells where"),
    "a row that is too long": (
        "trials.csv",
        in_line(3, lambda row: [*row, "x"]),
        f"line 3: {WIDTH + 1} cells",
    ),
    "a word for a number": (
        "trials.csv",
        in_line(5, cell(PLACES["learning_rate"], "fast")),
        "learning_rate is 'fast', no number",
    ),
    "half a unit": (
        "trials.csv",
        in_line(5, cell(PLACES["hidden_size"], "3.5")),
        "hidden_size is '3.5', no whole number",
    ),
    "no index": ("curves.csv", in_line(2, cell(2, "")), "curves.csv, line 2: index is '', no number"),
    "an unknown state": ("trials.csv", in_line(6, cell(3, "done")), "line 6: state is 'done', not one of completed,"),
    "no name": ("trials.csv", in_line(2, cell(1, "")), "trials.csv, line 2: variant is '', which names nothing"),
    "a row cut behind a comma in quotes": (
        "trials.csv",
        lambda content: in_line(3, lambda row: row[:-1])(in_line(2, cell(PLACES["reason"], "a, b"))(content)),
        f"trials.csv, line 3: {WIDTH - 1} cells",
    ),
    "no column of scores": ("trials.csv", without("test"), "trials.csv, line 1: the table has no column 'test'"),
    "no column of names": ("curves.csv", without("variant"), "curves.csv, line 1: the table has no column 'variant'"),
    "another separator": ("trials.csv", lambda content: content.replace(b",", b";"), "has no column 'task'"),
    "nothing": ("trials.csv", lambda content: b"", "trials.csv lacks 5 trials, "),
    "rows lost": (
        "trials.csv",
        lambda content: b"".join(content.splitlines(keepends=True)[:-2]),
        "trials.csv lacks 2 trials, ",
    ),
    "a trial twice": (
        "trials.csv",
        lambda content: content + in_line(2, cell(PLACES["test"], "0.5"))(content).splitlines(keepends=True)[1],
        "twice, with different numbers; delete the line that is false",
    ),
    "a task that nobody knows": (
        "trials.csv",
        in_line(2, cell(0, "jsc")),
        "trials.csv holds trials of the task 'jsc', of which metadata.json knows nothing",
    ),
    "a variant that nobody knows": ("trials.csv", in_line(2, cell(1, "W")), "holds trials of the variant 'W', of"),
    "bytes": ("trials.csv", lambda content: bytes(range(256)), "trials.csv, line 2: no text in UTF-8"),
    "UTF-16": ("trials.csv", lambda content: content.decode().encode("utf-16"), "trials.csv, line 1: no text in UTF-8"),
    "Latin-1": (
        "trials.csv",
        lambda content: in_line(5, cell(1, "Möbius"))(content).decode().encode("latin-1"),
        "trials.csv, line 5: no text in UTF-8",
    ),
    "metadata cut in the middle": (
        "metadata.json",
        lambda content: content[: len(content) // 2],
        "metadata.json, line ",
    ),
    "metadata of another form": ("metadata.json", lambda content: b'{"tasks": ["jsb"]}', "'tasks' does not hold"),
    "a number as text": ("metadata.json", lambda content: b'{"expected": "3"}', "'expected' is '3', of the wrong kind"),
    "a configuration cut in the middle": ("config.toml", lambda content: content[:9], "config.toml cannot be read: "),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told_in_one_line_with_its_place(name, study, capsys):
    file, fault, said = DAMAGE[name]
    (study / file).write_bytes(fault((study / file).read_bytes()))
    command = ["--report-only", "--results", str(study.parent), "--study", study.name]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert said in told and told.startswith("error: ") and told.count("\n") == 1
    assert not (study / "report").exists()


@pytest.mark.parametrize("column", ["parameters", "learning_rate", "seconds", "stop_reason", "reason", "best_epoch"])
def test_a_table_of_an_older_version_is_reported_as_far_as_it_goes(column, study):
    before = load_results(StudyFolder(study.parent, study.name))
    (study / "trials.csv").write_bytes(without(column)((study / "trials.csv").read_bytes()))
    results = load_results(StudyFolder(study.parent, study.name))
    assert results.trials[column].isna().all()
    assert results.trials["test"].equals(before.trials["test"]) and len(results.curves) == len(before.curves)
    page = render_page(results, AnalysisTables(results), dict.fromkeys((entry.name for entry in FIGURES), b"<svg/>"))
    assert "nan" not in page.lower().split()


@pytest.mark.parametrize(
    "harmless",
    [
        lambda content: b"\xef\xbb\xbf" + content,  # as spreadsheets write UTF-8
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content + b"jsb,V,9,comp",  # of a process that was killed
        lambda content: content + b"\n",
        in_line(2, cell(PLACES["reason"], 'said "no", twice')),
    ],
)
def test_what_is_no_damage_is_read(harmless, study):
    before = load_results(StudyFolder(study.parent, study.name))
    (study / "trials.csv").write_bytes(harmless((study / "trials.csv").read_bytes()))
    after = load_results(StudyFolder(study.parent, study.name))
    assert after.trials.drop(columns="reason").equals(before.trials.drop(columns="reason"))


def test_a_curve_without_its_trial_is_what_a_kill_leaves(study):
    """The curve is written before the row that makes the trial count."""
    curves = (study / "curves.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    first = ",".join(curves[1].split(",")[:3])
    (study / "curves.csv").write_text("".join(line for line in curves if line.startswith((first, "task"))))
    (study / "trials.csv").write_bytes(b"")
    assert load_results(StudyFolder(study.parent, study.name)).trials.empty


def test_a_kill_while_variants_are_dropped_leaves_no_row_without_its_trial(study, monkeypatch):
    folder = StudyFolder(study.parent, study.name)
    drop = StoredTable.drop
    for survived in range(4):
        calls = iter([*range(survived), None])

        def killed(table, column, values, calls=calls):
            if next(calls) is None:
                raise KeyboardInterrupt
            drop(table, column, values)

        monkeypatch.setattr(StoredTable, "drop", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.drop(["NFG"])
        folder.check_tables()
    monkeypatch.undo()
    folder.drop(["NFG"])
    assert set(folder.tables.trials()["variant"]) == {"V"}


def test_a_sealed_part_that_is_damaged_is_named(study):
    (study / "curves").mkdir()
    (study / "curves" / "part-00000.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"part-00000\.parquet cannot be read"):
        StudyFolder(study.parent, study.name).tables.curves()


ODD_CELLS = (
    "",
    "nan",
    "inf",
    "-1",
    "1e400",
    "9" * 30,
    "1.5",
    "True",
    "=1",
    "é",
    "\0",
    '"',
    "a b",
    "<NA>",
    "0x10",
    "1_000",
)


def damaged(content: bytes, generator: np.random.Generator) -> bytes:
    """A file with other bytes, lines or cells."""
    lines = content.split(b"\n")
    k = int(generator.integers(len(lines)))
    kind = generator.integers(5)
    if kind == 0:
        changed = bytearray(content)
        for place in generator.integers(len(content), size=generator.integers(1, 20)):
            changed[place] = generator.integers(256)
        return bytes(changed)
    if kind == 1:
        return b"\n".join(lines[:k] + lines[k + 1 :])
    if kind == 2:
        return b"\n".join([*lines, lines[k]])
    if kind == 3:
        return b"\n".join(lines)[: generator.integers(len(content))]
    cells = lines[k].split(b",")
    cells[generator.integers(len(cells))] = str(generator.choice(ODD_CELLS)).encode()
    return b"\n".join([*lines[:k], b",".join(cells), *lines[k + 1 :]])


@pytest.mark.parametrize("name", ["trials.csv", "curves.csv", "metadata.json", "config.toml"])
def test_a_file_with_any_damage_is_read_or_refused_and_never_shortened(name, study):
    generator = np.random.default_rng(0)
    whole, folder = (study / name).read_bytes(), StudyFolder(study.parent, study.name)
    refused = 0
    for _ in range(40):
        content = damaged(whole, generator)
        (study / name).write_bytes(content)
        try:
            folder.config()
            load_results(folder)
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
        assert (study / name).read_bytes() == content
    assert 5 < refused < 40


def test_metadata_of_a_newer_version_is_read(study):
    file = study / "metadata.json"
    kept = json.loads(file.read_text(encoding="utf-8"))
    kept["tasks"]["jsb"]["colour"] = kept["colour"] = "blue"
    file.write_text(json.dumps(kept), encoding="utf-8")
    assert load_results(StudyFolder(study.parent, study.name)).tasks[0].name == "jsb"
