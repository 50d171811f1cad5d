"""Tasks from data without code: every form, the layer that follows, and a study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablate.cli.main import main
from ablate.definitions.dataset import SPLITS
from ablate.definitions.task import TASKS, TASKS_FROM_DATA
from ablate.errors import UserError
from ablate.plan.config_file import load_config
from ablate.plan.study_plan import make_plan
from ablate.testing.task_case import TaskCase
from ablate.testing.tasks import Check, checks_for
from tests.conftest import Command
from tests.own_data import learnable, loaded, made, own, table, told, write

pytestmark = pytest.mark.usefixtures("restored_tasks")
SUFFIXES = (".csv", ".parquet", ".npz")


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


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


LOADED_TASK = next(task for task in TASKS if task.load is not None)  # whose checks are those of own data


@pytest.mark.parametrize("check", checks_for(LOADED_TASK), ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["classes", "bits", "numbers"])
def test_own_data_keep_the_contract(tmp_path: Path, kind: str, check: Check) -> None:
    path = write(learnable(kind), tmp_path / f"{kind}.csv")
    check(TaskCase(made(path), path, epochs=40))


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
