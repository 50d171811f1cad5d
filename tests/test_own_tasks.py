"""Tasks of one's own: from a Python file, and from data without code; and what is said when they are wrong."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablate.cli.main import main
from ablate.data.validation import validate
from ablate.definitions.dataset import SPLITS, Dataset
from ablate.definitions.task import TASKS, TASKS_FROM_DATA, Task
from ablate.errors import UserError
from ablate.plan.config_file import load_config
from ablate.plan.study_plan import make_plan
from ablate.testing.task_case import TaskCase
from ablate.testing.tasks import Check, checks_for
from tasks.sources import table_file
from tests.conftest import ROOT, Command

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    TASKS.load()
    monkeypatch.setattr(TASKS, "_entries", dict(TASKS._entries))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache: nothing that another test has parsed is found."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("ABLATE_CACHE", str(cache))
    return cache


def made(path: Path, **own: Any) -> Task:
    TASKS.load()
    return TASKS_FROM_DATA["own"].make(path, own)


def loaded(path: Path, **own: Any) -> tuple[Task, Dataset]:
    task = made(path, **own)
    assert task.load is not None
    dataset = task.load(path, task.settings, lambda what, done, total: None)
    validate(task, task.settings, dataset)
    return task, dataset


def table(count: int = 20, seed: int = 0) -> pd.DataFrame:
    """Sequences of 3 to 6 frames: `heat` far from 0, `on` of 0 and 1; whether heat has risen since the first frame."""
    generator = np.random.default_rng(seed)
    parts = []
    for number in range(count):
        heat = 300 + 20 * generator.standard_normal(int(generator.integers(3, 7)))
        on = generator.integers(2, size=len(heat))
        on[:2] = 0, 1
        rising = (heat > heat[0]).astype(int)
        split = ("train", "train", "train", "validation", "test")[number % 5]
        parts.append(pd.DataFrame({"sequence": number, "split": split, "heat": heat, "on": on, "target": rising}))
    return pd.concat(parts, ignore_index=True)


def write(frame: pd.DataFrame, path: Path) -> Path:
    """A table as CSV, Parquet or npz."""
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        groups = frame.groupby("sequence", sort=False)
        targets = [name for name in frame if str(name).startswith("target")]
        inputs = [name for name in frame if name not in ("sequence", "split", *targets)]
        values = frame[targets].to_numpy()
        values = values.astype(str) if values.dtype == object else values
        arrays = {"inputs": frame[inputs].to_numpy(float), "targets": values}
        arrays["lengths"] = groups.size().to_numpy()
        if "split" in frame:
            arrays["split"] = groups["split"].first().to_numpy(str)
        np.savez(path, **arrays)
    return path


SUFFIXES = (".csv", ".parquet", ".npz")

# --- Data without code.


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_form_becomes_the_task(tmp_path: Path, suffix: str) -> None:
    task, dataset = loaded(write(table(), tmp_path / f"data{suffix}"))
    assert (task.name, task.loss, task.score, task.target_position) == (
        *("own", "cross_entropy", "error_rate"),
        "every_frame",
    )
    assert task.unit == "% frame error" and dataset.class_names == ("0", "1")
    frame = table()
    for split in SPLITS:
        rows = frame[frame["split"] == split]
        found = dataset.splits[split]
        np.testing.assert_array_equal(found.targets[:, 0], rows["target"])
        np.testing.assert_array_equal(found.inputs[:, 1], rows["on"])  # of 0 and 1, and so left alone
        train = frame[frame["split"] == "train"]["heat"]
        expected = (rows["heat"] - train.mean()) / train.std(ddof=0)
        np.testing.assert_allclose(found.inputs[:, 0], expected, rtol=1e-5, atol=1e-6)
        assert list(found.lengths) == list(rows.groupby("sequence").size())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_form_does_not_matter_for_the_numbers(tmp_path: Path, data: st.DataObject) -> None:
    """The same table as CSV, Parquet and npz has one hash, and without standardising the numbers are those given."""
    number = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False)
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=5, max_size=9))
    rows = sum(lengths)
    kind = data.draw(st.sampled_from(["classes", "words", "numbers", "bits"]))
    column = st.lists(number, min_size=rows, max_size=rows)
    frame = pd.DataFrame({"sequence": np.repeat(np.arange(len(lengths)), lengths)})
    for name in ("a", "b"):
        frame[name] = data.draw(column)
    draws: dict[str, st.SearchStrategy[Any]] = {
        "classes": st.integers(-3, 3),
        "words": st.sampled_from(["é", "b c", "d"]),
        "numbers": number,
        "bits": st.integers(0, 1),
    }
    for name in ("target_0", "target_1") if kind == "bits" else ("target",):
        frame[name] = data.draw(st.lists(draws[kind], min_size=rows, max_size=rows))
    choices = {"standardise": data.draw(st.booleans()), "target_position": "every_frame"}
    paths = [write(frame, tmp_path / f"same{suffix}") for suffix in SUFFIXES]
    if len(frame[[name for name in frame if name.startswith("target")]].drop_duplicates()) == 1:
        for path in paths:
            with pytest.raises(UserError, match="all targets are the same"):
                made(path, **choices)
        return
    found = [loaded(path, **choices) for path in paths]
    assert len({dataset.hash for _, dataset in found}) == 1
    assert len({(task.loss, task.unit) for task, _ in found}) == 1
    if not choices["standardise"]:
        _, dataset = found[0]
        split = np.repeat([number % 5 for number in range(len(lengths))], lengths)
        for name, chosen in (("train", split < 3), ("validation", split == 3), ("test", split == 4)):
            np.testing.assert_array_equal(
                dataset.splits[name].inputs, frame.loc[chosen, ["a", "b"]].to_numpy(np.float32)
            )


def with_target(values: Any, **more: Any) -> pd.DataFrame:
    return table().drop(columns="target").assign(target=values, **more)


def last_only(frame: pd.DataFrame, values: Sequence[Any]) -> pd.Series:
    """A column that holds a value in the last row of each sequence alone."""
    column = pd.Series([None] * len(frame), dtype=object)
    ends = frame.groupby("sequence").tail(1).index
    column[ends] = [values[k % len(values)] for k in range(len(ends))]
    return column


FRAME = table()
EVERY, END = "every_frame", "sequence_end"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("frame", "choices", "expected", "told"),
    [
        (with_target(FRAME["heat"]), {}, ("squared_error", "squared_error", EVERY, 1), "mean 0 and variance 1"),
        (with_target(FRAME["heat"].round()), {}, ("squared_error", "squared_error", EVERY, 1), "with decimals"),
        (with_target(FRAME["heat"].round()), {"loss": "cross_entropy"}, ("cross_entropy", "error_rate", EVERY, 0), ""),
        (with_target(["one", "two"] * (len(FRAME) // 2) + ["one"] * (len(FRAME) % 2)), {}, ("cross_entropy",
         "error_rate", EVERY, 2), "one of 2 classes at every frame"),
        (with_target(FRAME["sequence"] % 3), {}, ("cross_entropy", "error_rate", END, 3), "stays the same"),
        (with_target(FRAME["sequence"] % 3), {"target_position": EVERY}, ("cross_entropy", "error_rate", EVERY, 3), ""),
        (with_target(last_only(FRAME, [0.5, 1.5])), {}, ("squared_error", "squared_error", END, 1), "1 number at the"),
        (with_target(last_only(FRAME, [2, 7])), {}, ("cross_entropy", "error_rate", END, 2), "at the end"),
        (with_target(last_only(FRAME, ["no", "yes"])), {"score": "bits"}, ("cross_entropy", "bits", END, 2), ""),
        (with_target(last_only(FRAME, ["no", "yes"])), {"target_position": EVERY}, ("cross_entropy", "error_rate",
         EVERY, 2), "at every frame"),
        (FRAME, {"target_position": END, "score": "accuracy"}, ("cross_entropy", "accuracy", END, 2), "at the end"),
        (FRAME, {"loss": "binary_cross_entropy"}, ("binary_cross_entropy", "nats", EVERY, 1), "1 sigmoid unit at"),
        (FRAME.assign(target_b=FRAME["on"]).rename(columns={"target": "target_a"}), {}, ("binary_cross_entropy",
         "nats", EVERY, 2), "2 sigmoid units"),
        (FRAME.assign(target_b=1 - FRAME["target"]).rename(columns={"target": "target_a"}), {},
         ("binary_cross_entropy", "nats", EVERY, 2), "'cross_entropy' takes classes"),
        (FRAME.assign(target_b=1 - FRAME["target"]).rename(columns={"target": "target_a"}),
         {"loss": "cross_entropy"}, ("cross_entropy", "error_rate", EVERY, 2), "one of 2 classes"),
        (FRAME.assign(target_b=FRAME["heat"]).rename(columns={"target": "target_a"}), {}, ("squared_error",
         "squared_error", EVERY, 2), "2 numbers"),
        (FRAME.drop(columns="split"), {}, ("cross_entropy", "error_rate", EVERY, 2), "of each five sequences"),
        (FRAME.sample(frac=1, random_state=0), {}, ("cross_entropy", "error_rate", EVERY, 2), "stand apart"),
        (FRAME.assign(split=FRAME["split"].map(SPLITS.index)), {}, ("cross_entropy", "error_rate", EVERY, 2), ""),
        (FRAME.rename(columns={"heat": "Wärme ☀"}), {}, ("cross_entropy", "error_rate", EVERY, 2), ""),
    ],
)  # fmt: skip
def test_the_layer_follows_from_the_targets(
    tmp_path: Path, suffix: str, frame: pd.DataFrame, choices: dict[str, Any], expected: tuple[Any, ...], told: str
) -> None:
    if suffix == ".parquet" and frame["target"].dtype == object if "target" in frame else False:
        values = frame["target"].dropna()
        frame = frame.assign(target=frame["target"].astype("string" if isinstance(values.iloc[0], str) else float))
    task, dataset = loaded(write(frame, tmp_path / f"data{suffix}"), **choices)
    loss, score, position, outputs = expected
    assert (task.loss, task.score, task.target_position) == (loss, score, position)
    assert outputs in (0, dataset.output_size)
    assert told in "; ".join(dataset.notes) and len(dataset.notes[0].splitlines()) == 1
    assert task.baseline_score(dataset, task.settings) > 0


def test_gaps_and_uneven_time_become_inputs(tmp_path: Path) -> None:
    """0 and a mask where a value is missing; the time since the frame before, whose own scale is that of training."""
    frame = table()
    frame.loc[[1, 4, 30], "heat"] = np.nan
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(len(frame)) ** 2, unit="s")
    path = write(frame, tmp_path / "gaps.csv")
    with pytest.raises(UserError, match=r"row 2: 'heat' is missing or NaN; settings.own.mask_gaps"):
        made(path, time="when")
    _, dataset = loaded(path, time="when", mask_gaps=True, standardise=False)
    assert dataset.input_size == 4 and "1 input has gaps" in "; ".join(dataset.notes)
    train = frame["split"] == "train"
    found = dataset.splits["train"].inputs
    np.testing.assert_array_equal(found[:, 1], frame.loc[train, "heat"].notna())
    np.testing.assert_array_equal(found[:, 0], frame.loc[train, "heat"].fillna(0).to_numpy(np.float32))
    since = frame.groupby("sequence")["when"].diff().dt.total_seconds().fillna(0)
    np.testing.assert_array_equal(found[:, 3], since[train].to_numpy(np.float32))
    _, dataset = loaded(path, time="when", mask_gaps=True)
    found = dataset.splits["train"].inputs
    assert found[:, 3].mean() == pytest.approx(0, abs=1e-5) and found[:, 3].std() == pytest.approx(1, rel=1e-5)
    assert not found[found[:, 1] == 0, 0].any()
    assert loaded(write(frame, tmp_path / "gaps.parquet"), time="when", mask_gaps=True)[1].hash == dataset.hash


def learnable(kind: str, count: int = 120) -> pd.DataFrame:
    """Data that a network learns and no constant predicts: what the first frame was."""
    frame = table(count)
    first = frame.groupby("sequence")["heat"].transform("first")
    high = (first > 300).astype(int)
    if kind == "classes":
        return frame.assign(target=high.map({0: "low", 1: "high"}))
    if kind == "bits":
        return frame.drop(columns="target").assign(target_a=high, target_b=1 - frame["on"])
    return frame.assign(target=(first - 300) * 3 + 1000)


LOADED_TASK = next(task for task in TASKS if task.load is not None)  # whose checks are those of own data


@pytest.mark.parametrize("check", checks_for(LOADED_TASK), ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["classes", "bits", "numbers"])
def test_own_data_keep_the_contract(tmp_path: Path, kind: str, check: Check) -> None:
    path = write(learnable(kind), tmp_path / f"{kind}.csv")
    check(TaskCase(made(path), path, epochs=40))


# --- Through the command.


def own(path: Path, *options: str, trials: str = "2") -> list[str]:
    return ["--data", f"own={path}", "--variants", "V", "--trials", trials, "--study", "s", *options]


def test_a_study_of_own_data_learns_goes_on_and_is_reported(sweep: Command, tmp_path: Path) -> None:
    path = write(learnable("classes"), tmp_path / "mine.csv")
    config = tmp_path / "c.toml"
    config.write_text("controls = 0\nconfirm = 0\n"
                      "[training]\nepochs = 40\noptimiser = 'adam'\n[search]\nhidden_size = 8\nlearning_rate = 0.02\n"
                      "input_noise = 0.0\n")  # fmt: skip
    done = sweep(*own(path, "--config", str(config)), small=False)
    assert done.returncode == 0, done.stderr
    told = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("own: 2 inputs")]
    assert told and "one of 2 classes at the end of each sequence" in told[0]
    study = tmp_path / "results" / "s"
    trials = pd.read_csv(study / "trials.csv")
    assert list(trials["task"]) == ["own", "own"] and list(trials["state"]) == ["completed"] * 2
    kept = json.loads((study / "metadata.json").read_text())["tasks"]["own"]
    assert trials["test"].min() < 0.5 * kept["baseline"]
    assert (kept["loss"], kept["score"]) == ("cross_entropy", "error_rate")
    assert "one of 2 classes" in (study / "report" / "index.html").read_text(encoding="utf-8")

    done = sweep(*own(path, "--config", str(config), trials="3"), small=False)
    assert done.returncode == 0 and "2 of 3 trials are there already" in done.stdout + done.stderr
    pd.testing.assert_frame_equal(pd.read_csv(study / "trials.csv")[:2], trials)

    write(learnable("classes", 121), path)
    done = sweep(*own(path, "--config", str(config), trials="4"), small=False)
    assert done.returncode == 2 and "was made with other data for own" in done.stderr
    path.unlink()  # a report needs no data
    done = sweep("--study", "s", "--report-only", small=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Empty CSV file"),
        ("sequence,split,x,target\n", "there are no rows"),
        ("sequence,split,x,target\n0,train,1,0\n0,train,1\n", "Row #3: Expected 4 columns, got 3"),
        ("sequence;split;x;target\n0;train;1;0\n", "separated by ';'; expected commas"),
        ("sequence,x,x,target\n0,1,2,0\n", "two columns are called 'x'"),
        (",sequence,x,target\n0,0,2,0\n", "a column has no name"),
        ("x,target\n1,0\n", "no column is called 'sequence'"),
        ("sequence,x\n1,0\n", "no column is called 'target'"),
        ("sequence,x,target,target_b\n1,0,1,1\n", "'target' beside 'target_b'"),
        ("sequence,target\n1,0\n", "no column is left for the inputs"),
        ("sequence,x,target\n1,0,1\n,0,1\n", "row 2: 'sequence' is missing"),
        ("sequence,split,x,target\n0,train,1,0\n0,train,,1\n1,validation,1,0\n2,test,1,1\n", "row 2: 'x' is missing"),
        ("sequence,split,x,target\n0,train,1,0\n0,train,nan,1\n1,validation,1,0\n2,test,1,1\n", "row 2: 'x' is missi"),
        ("sequence,split,x,target\n0,train,inf,0\n1,validation,1,0\n2,test,1,1\n", "row 1: 'x' is inf"),
        ("sequence,split,x,target\n0,train,1,0\n1,validation,1,0\n2,test,n/k,1\n", "row 3: 'x' is 'n/k'; expected a n"),
        ("sequence,split,x,target\n0,train,1,0\n1,validation,1,1\n", "no sequence is in the split 'test'"),
        ("sequence,split,x,target\n0,train,1,0\n0,test,1,0\n", "row 2: 'split' is not that of the sequence's first"),
        ("sequence,split,x,target\n0,train,1,0\n1,val,1,1\n", "row 2: 'split' is 'val'; give train, valid"),
        ("sequence,split,x,target\n0,train,1,0\n1,,1,1\n", "row 2: 'split' is missing"),
        ("sequence,x,target\n0,1,0\n0,2,1\n", "1 sequences without a split are split by fifths"),
        ("sequence,split,x,target\n0,0,1,1\n1,1,1,1\n2,2,1,1\n", "all targets are the same"),
        ("sequence,split,x,target\n0,0,1,1\n0,0,1,\n1,1,1,2\n2,2,1,3\n", "row 2: 'target' is missing or NaN; give a"),
        ("sequence,split,x,target\n0,0,1,1\n1,1,1,inf\n2,2,1,3\n", "row 2: 'target' is inf"),
        ("sequence,split,x,target_a,target_b\n0,0,1,1,2\n1,1,1,3,\n2,2,1,3,4\n", "row 2: 'target_b' is missing"),
        ("sequence,split,x,target_a,target_b\n0,0,1,1,b\n1,1,1,3,a\n2,2,1,3,c\n", "several columns of targets hold te"),
        ("sequence,split,x,target\n0,0,1,9007199254740993\n1,1,1,3\n2,2,1,3\n", "too large for a number; write class"),
        ("sequence,split,x,target\n0,0,1e300,1\n0,0,-1e308,2\n1,1,1,3\n2,2,1,3\n", "'x' has numbers that are too lar"),
        ("sequence,split,x,target\n0,0,2024-01-01,1\n1,1,2024-01-02,3\n2,2,2024-01-03,3\n", "holds dates or times"),
        ("sequence,split,x,target\n0,0,\xff,1\n1,1,1,3\n2,2,1,3\n", "row 1: 'x' is '\\\\xff'"),
        ("\x00\x01\x02\x03", "not CSV as expected: Empty"),
    ],
)  # fmt: skip
def test_a_bad_table_is_one_line(sweep: Command, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(text.encode("latin1"))
    told(sweep(*own(path), small=False), words, tmp_path)


def told(done: Any, words: str, folder: Path) -> None:
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert words in done.stderr, done.stderr
    assert not (folder / "results").exists()


ARRAYS: dict[str, Any] = {
    "inputs": np.arange(12.0).reshape(6, 2),
    "targets": np.array([0, 1, 0, 1, 0, 1]),
    "lengths": np.array([2, 2, 2]),
    "split": np.array(["train", "validation", "test"]),
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lengths": np.array([2, 2, 3])}, "the lengths sum up to 7, but inputs have 6 frames"),
        ({"lengths": np.array([2, 0, 4])}, "lengths[1] is 0"),
        ({"lengths": np.array([2.0, 2, 2])}, "lengths are float64"),
        ({"lengths": np.array([2**62, 2**62, 2**62])}, "the lengths sum up to 13835058055282163712"),
        ({"targets": np.zeros((4, 1))}, "targets are of shape (4, 1); expected (6,)"),
        ({"targets": np.array([0, 1, np.nan, 1, 0, 1])}, "targets[2] is missing or NaN"),
        ({"targets": np.array([[0, 1], [1, np.nan], [0, 1]])}, "targets[1, 1] is missing or NaN"),
        ({"inputs": np.array([["a", "b"]] * 6)}, "inputs are <U1; expected numbers"),
        ({"inputs": np.full((6, 2), np.nan)}, "inputs[0, 0] is missing or NaN"),
        ({"inputs": np.zeros((6, 2), complex)}, "inputs are complex128"),
        ({"inputs": np.zeros((6, 0))}, "inputs are of shape (6, 0)"),
        ({"inputs": np.array([{}] * 6, object)}, "it holds Python objects"),
        ({"split": np.array(["train", "train", "test"])}, "no sequence is in the split 'validation'"),
        ({"split": np.array(["train", "dev", "test"])}, "split[1] is 'dev'"),
        ({"split": np.array(["train"])}, "split is of shape (1,)"),
        ({"inputs": None}, "there is no array 'inputs'"),
        ({"weights": np.zeros(3)}, "the array 'weights' is not one of"),
        ({"time": np.zeros(6)}, "settings.own.time names an array of the time"),
    ],
)
def test_bad_arrays_are_one_line(sweep: Command, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **{name: array for name, array in {**ARRAYS, **change}.items() if array is not None})
    told(sweep(*own(path), small=False), words, tmp_path)


def test_arrays_that_would_fill_the_memory_are_refused_before_they_are_unpacked(
    sweep: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("inputs.npy", "w") as member:
        head = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2)}
        np.lib.format.write_array_header_1_0(member, head)
        member.write(b"\0" * 100)
    said = (
        "the array 'inputs' is said to be of shape (1099511627776, 2) and float64, 17,592,186,044,416 bytes, but there"
    )
    told(sweep(*own(path), small=False), said, tmp_path)
    packed = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with packed as archive, archive.open("inputs.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (2**24, 10)})
        for _ in range(160):
            member.write(bytes(2**23))
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it is unpacked"))
    told(sweep(*own(path), small=False), "bytes become 1,342,177,408 when they are unpacked, more than data", tmp_path)


def test_a_table_in_pieces_is_the_table_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a column's type is only seen in a later piece, or never in the first ones."""
    import pyarrow.csv

    monkeypatch.setattr(table_file, "PIECE", 200)
    rows = [
        f"s{k // 10},{k},{'' if k < 60 else k},{k if k < 70 else k + 0.5},{k % 2},{'' if k < 90 else 'yes'}"
        for k in range(100)
    ]
    rows += ["s9,1,2,3,true,no"]  # which only a look at the whole of a column can tell
    for last in (100, 101):
        path = tmp_path / f"{last}.csv"
        path.write_text("\n".join(["sequence,a,late,later,bit,target", *rows[:last]]) + "\n", encoding="utf-8")
        found, whole = table_file._read(path).combine_chunks(), pyarrow.csv.read_csv(path).combine_chunks()
        assert found.schema == whole.schema and found.equals(whole)


@pytest.mark.parametrize(
    ("name", "contents", "words"),
    [
        ("x.txt", b"", "own data are a file whose name ends in .npz, .csv, .parquet"),
        ("x.npz", b"PK\x03\x04 cut off", "no .npz file, or a damaged one"),
        ("x.npz", b"", "no .npz file, or a damaged one"),
        ("x.parquet", b"PAR1", "not Parquet as expected"),
        ("x.csv", None, "cannot be read (No such file or directory)"),
    ],
)
def test_what_is_no_such_file_is_one_line(
    sweep: Command, tmp_path: Path, name: str, contents: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if contents is not None:
        path.write_bytes(contents)
    told(sweep(*own(path), small=False), words, tmp_path)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("loss = 'ctc'", "settings.own.loss is 'ctc'; possible: cross_entropy"),
        ("score = 'nuts'", "settings.own.score is 'nuts'; possible with cross_entropy: nats, bits"),
        ("target_position = 'label'", "possible: every_frame, sequence_end"),
        ("time = 'heaat'", "settings.own.time is 'heaat', which is no column"),
        ("time = 'heat'", "'heat' goes back, from"),
        ("looss = 'x'", "unknown key 'settings.own.looss': did you mean loss"),
        ("mask_gaps = 1", "settings.own.mask_gaps is 1; it must be true or false"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(sweep: Command, tmp_path: Path, setting: str, words: str) -> None:
    path = write(table(), tmp_path / "x.csv")
    (tmp_path / "c.toml").write_text(f"[settings.own]\n{setting}\n")
    told(sweep(*own(path, "--config", str(tmp_path / "c.toml")), small=False), words, tmp_path)


def test_own_is_known_where_it_has_data(sweep: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(table(), tmp_path / "x.csv")
    assert "own" not in TASKS and "own" in TASKS_FROM_DATA
    told(sweep("--tasks", "own", small=False), "the task 'own' follows from data of yours: give them, --data own=FILE",
         tmp_path)  # fmt: skip
    told(sweep("--data", f"mine={path}", small=False), f"for data that no task knows, --data own={path}", tmp_path)
    told(sweep("--tasks", "parity", "--data", f"own={path}", small=False), "own, which is not among", tmp_path)
    plan = make_plan(load_config(None, {"data": {"own": str(path)}}))
    assert [task.name for task in plan.tasks] == ["own"]
    plan = make_plan(load_config(None, {"data": {"own": str(path)}, "tasks": "parity,own"}))
    assert [task.name for task in plan.tasks] == ["parity", "own"]
    assert main(["--describe", "own"]) == 0 and "--data own=FILE" in capsys.readouterr().out
    assert main(["--list"]) == 0 and "  own " in capsys.readouterr().out


def test_a_file_is_read_once(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows from it is known to the next process, which maps the numbers into memory."""
    from ablate.data.load import task_data
    from tasks import own as module

    path = write(table(), tmp_path / "x.csv")
    parse, times = module._parse, []
    monkeypatch.setattr(module, "_parse", lambda *arguments: times.append(0) or parse(*arguments))
    for _ in range(2):
        plan = make_plan(load_config(None, {"data": {"own": str(path)}}))
        dataset = task_data(plan, plan.tasks[0], lambda what, done, total: None)
        assert isinstance(dataset.splits["train"].inputs, np.memmap)
    assert len(times) == 1


@pytest.mark.slow
def test_two_million_rows_are_read(own_cache: Path, tmp_path: Path) -> None:
    """More than is read whole of any other file, and mapped into memory from then on."""
    from ablate.data.load import task_data

    rows, length = 2_000_000, 100
    sequence = np.repeat(np.arange(rows // length), length)
    columns = {f"x{k}": np.random.default_rng(k).standard_normal(rows) for k in range(8)}
    path = tmp_path / "big.csv"
    from pyarrow import csv
    from pyarrow import table as table_of

    csv.write_csv(table_of({"sequence": sequence, **columns, "target": sequence % 3}), path)
    assert path.stat().st_size > 256 * 2**20
    plan = make_plan(load_config(None, {"data": {"own": str(path)}}))
    dataset = task_data(plan, plan.tasks[0], lambda what, done, total: None)
    assert isinstance(dataset.splits["train"].inputs, np.memmap)
    assert sum(len(split.inputs) for split in dataset.splits.values()) == rows


# --- Tasks from a Python file.

TASK = README.partition("`my_task.py`")[2].partition("```python\n")[2].partition("```")[0]


def test_the_readme_goes_from_an_empty_file_to_a_task(sweep: Command, tmp_path: Path) -> None:
    assert len([line for line in TASK.splitlines() if line.strip()]) <= 15
    file = tmp_path / "my_task.py"
    file.write_text(TASK, encoding="utf-8")
    (tmp_path / "c.toml").write_text("[settings.first-bit]\ntrain = 50\nvalidation = 20\ntest = 20\n")
    words = ["--tasks-from", str(file), "--tasks", "first-bit", "--variants", "V", "--study", "s", "--preset", "smoke"]
    done = sweep(*words, "--config", str(tmp_path / "c.toml"), small=False)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "results" / "s"
    assert list(pd.read_csv(study / "trials.csv")["state"]) == ["completed"] * 2
    assert json.loads((study / "metadata.json").read_text())["tasks"]["first-bit"]["counts"]["train"] == 50
    check = [check for check in checks_for(TASKS["first-bit"]) if check.__name__ != "check_description"]
    for each in check:
        each(TaskCase(TASKS["first-bit"]))


def test_workers_load_the_file_too(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my_task.py").write_text(TASK, encoding="utf-8")
    words = ["--tasks-from", "my_task.py", "--tasks", "first-bit", "--variants", "V", "--study", "s", "--jobs", "2"]
    done = command(*words, "--preset", "smoke", small=False)
    assert done.returncode == 0, done.stderr
    listed = command("--tasks-from", "my_task.py", "--describe", "first-bit", small=False)
    assert listed.returncode == 0 and "the best constant predictor scores" in listed.stdout  # since it brings none
    (tmp_path / "my_task.py").write_text(TASK.replace('"error_rate"', '"bits"'), encoding="utf-8")
    changed = command(*words, "--preset", "smoke", "--trials", "3", small=False)
    assert changed.returncode == 2 and "was made with the score error_rate for first-bit" in changed.stderr
    (tmp_path / "my_task.py").unlink()
    reported = command("--study", "s", "--report-only", small=False)
    assert reported.returncode == 0, reported.stderr


LOADED = """
import numpy as np
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, Task

def load(path, settings, progress):
    part = Sequences(np.zeros((4, 1), np.float32), np.array([[0], [1], [0], [1]], np.uint8), np.array([2, 2]))
    return Dataset({"train": part, "validation": part, "test": part}, "made up", 1, 2)

TASKS.add(Task(name="mine", summary="mine", loss="cross_entropy", score="error_rate", load=load))
"""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("def load(path, settings, progress)", "def load(path)"), "has a load that takes (path); it is called with"),
        (("load=load", "load=7"), "has the load 7; give a function of (path, settings, progress)"),
        (("load=load", "load=load, generate=load"), "needs either load or generate"),
        (("load=load", "load=load, baseline=lambda: 1.0"), "has a baseline that takes (); it is called with (dataset,"),
        (("return Dataset", "Dataset"), "load returns a NoneType; it must return Dataset"),
        (("np.zeros((4, 1)", "np.zeroes((4, 1)"), "line 7: task 'mine': AttributeError: module 'numpy' has no attr"),
        (("np.array([2, 2])", "np.array([2, 3])"), "inputs are of shape (4, 1); expected (5, 1)"),
        (("TASKS.add(", "print("), "registers no task; call TASKS.add(Task(...))"),
        (('name="mine"', 'name="music"'), "task 'music' is defined twice"),
        (('name="mine", ', ""), "TypeError: Task.__init__() missing 1 required positional argument: 'name'"),
        (("import numpy as np", "import numpy as np,"), "line 2: invalid syntax"),
    ],
)
def test_a_wrong_file_of_tasks_is_one_line(sweep: Command, tmp_path: Path, change: tuple[str, str], words: str) -> None:
    assert change[0] in LOADED
    file = tmp_path / "my_task.py"
    file.write_text(LOADED.replace(*change), encoding="utf-8")
    done = sweep("--tasks-from", str(file), "--tasks", "mine", "--variants", "V", small=False)
    assert "my_task.py" in done.stderr or "data of mine" in done.stderr
    told(done, words, tmp_path)


def test_a_task_that_is_being_written_is_not_read_from_the_cache(own_cache: Path, tmp_path: Path) -> None:
    """Its parsed data belong to the contents of its file."""
    from ablate.data.load import task_data

    hashes = []
    for number, code in enumerate((LOADED, LOADED.replace("np.zeros", "np.ones"))):
        file = tmp_path / f"task_{number}.py"
        file.write_text(code, encoding="utf-8")
        TASKS._entries.pop("mine", None)
        plan = make_plan(load_config(None, {"tasks_from": [str(file)], "tasks": "mine"}))
        hashes.append(task_data(plan, plan.tasks[0], lambda what, done, total: None).hash)
    assert hashes[0] != hashes[1]


def test_an_installed_package_offers_tasks(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "offered_tasks.py").write_text(LOADED, encoding="utf-8")
    metadata = tmp_path / "offered_tasks-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: offered-tasks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[ablate.tasks]\nmine = offered_tasks\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = command("--describe", "mine", small=False)
    assert done.returncode == 0 and "mine: mine" in done.stdout, done.stderr
