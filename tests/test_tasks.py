"""The contract that every registered task keeps, on its embedded data; and the cache that they share."""

import logging
import multiprocessing
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablate.cache import default_cache_folder
from ablate.cell.backend import make_layer
from ablate.data import cache
from ablate.data.cache import open_dataset
from ablate.data.load import task_data
from ablate.definitions.dataset import SPLITS, Dataset, Sequences, content_hash
from ablate.definitions.task import TASKS, ProgressCallback, Settings, Task
from ablate.definitions.variant import VARIANTS
from ablate.errors import UserError
from ablate.plan.config_file import load_config
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.study_plan import StudyPlan
from ablate.training.batches import BatchLoader
from ablate.training.losses import SCORES
from ablate.training.trial import Outcome, run_trial


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def plan_of(task: Task, **settings: object) -> StudyPlan:
    """A plan for one task, with settings of its own."""
    config = load_config(None, {"settings": {task.name: settings}})
    return StudyPlan(config, [task], [VARIANTS["NP-b"]])


# What is enough of each task to learn something: how many sequences and epochs, and what makes it easier.
ENOUGH: dict[str, tuple[int, int, dict[str, object]]] = {
    "music": (300, 15, {}),
    "text": (20, 2, {"sample": 10}),
    "speech": (200, 3, {}),
    "handwriting": (200, 8, {"init_std": 0.3}),
    "digits": (300, 12, {}),
    "digits-permuted": (300, 12, {}),
    "adding": (300, 10, {"length": 10}),
    "copy-memory": (300, 20, {"blank": 3, "recall": 2}),
    "temporal-order": (300, 12, {"length": 15}),
}


@pytest.fixture(scope="module", params=list(TASKS), ids=lambda task: task.name)
def task(request: pytest.FixtureRequest) -> Task:
    return request.param


@pytest.fixture(scope="module")
def dataset(task: Task) -> Dataset:
    return task_data(plan_of(task), task, quiet)


def sequences_of(dataset: Dataset, split: str) -> list[bytes]:
    """Each sequence of a split as bytes."""
    found = dataset.splits[split]
    cuts = np.cumsum(found.lengths)[:-1]
    if found.label_lengths is not None:
        targets: list[np.ndarray] = np.split(found.targets, np.cumsum(found.label_lengths)[:-1])
    else:
        targets = list(found.targets) if found.at_end else np.split(found.targets, cuts)
    return [x.tobytes() + y.tobytes() for x, y in zip(np.split(found.inputs, cuts), targets, strict=True)]


def test_says_what_it_is(task: Task) -> None:
    assert task.summary and "\n" not in task.summary
    for word in ("source", "shapes", "splits", "score"):
        assert word in task.description
    assert all(len(line) <= 120 for line in task.description.splitlines())
    assert task.defined_at.startswith("tasks/") and Path(__file__).parent.parent.joinpath(task.defined_at).exists()
    assert (task.load is None) != (task.generate is None)
    assert task.score in SCORES and (task.score == "accuracy") == (task.direction == "maximize")


def test_shapes_and_types(task: Task, dataset: Dataset) -> None:
    assert tuple(dataset.splits) == SPLITS
    for sequences in dataset.splits.values():
        frames = int(sequences.lengths.sum())
        assert len(sequences) > 0 and sequences.lengths.min() >= 1
        assert sequences.lengths.dtype == np.int64 and sequences.lengths.shape == (len(sequences),)
        assert np.isfinite(sequences.inputs).all()
        if sequences.inputs.shape[1] == dataset.input_size:
            assert sequences.inputs.shape == (frames, dataset.input_size)
        else:  # numbers of symbols
            assert sequences.inputs.shape == (frames, 1) and sequences.inputs.max() < dataset.input_size
        answers = len(sequences) if sequences.at_end else frames
        if task.outputs == "ctc":
            assert sequences.label_lengths is not None and sequences.label_lengths.shape == (len(sequences),)
            assert sequences.label_lengths.dtype == np.int64
            answers = int(sequences.label_lengths.sum())
        width = 1 if task.outputs in ("softmax", "ctc") else dataset.output_size
        assert sequences.targets.shape == (answers, width)
        highest = {"bernoulli": 1, "softmax": dataset.output_size - 1, "ctc": dataset.output_size - 2}
        if task.outputs in highest:
            assert sequences.targets.dtype in (np.uint8, np.uint16) and sequences.targets.max() <= highest[task.outputs]
        else:
            assert sequences.targets.dtype == np.float32


def test_splits_are_disjoint(task: Task, dataset: Dataset) -> None:
    """No sequence is in two splits; of what is generated a few short ones may come up again."""
    train, validation, test = (set(sequences_of(dataset, split)) for split in SPLITS)
    if task.generate is None:
        assert not (train & validation or train & test or validation & test)


def test_only_training_statistics_are_in_the_inputs(task: Task, dataset: Dataset) -> None:
    """What is normalised has mean 0 and variance 1 over the training frames, and nowhere else."""
    if task.name not in ("speech", "handwriting"):
        return
    train, test = (dataset.splits[split].inputs.astype(np.float64) for split in ("train", "test"))
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(train.std(0), 1, atol=1e-4)
    assert np.abs(test.mean(0)).max() > 1e-3 and np.abs(test.std(0) - 1).max() > 1e-3


def test_the_hash_is_of_the_numbers(dataset: Dataset) -> None:
    assert dataset.hash == content_hash(dataset.splits)


def test_the_same_again(task: Task, dataset: Dataset) -> None:
    """Loading and generating are deterministic; what is generated depends on seed and index, not on the variant."""
    plan = plan_of(task)
    if task.load is not None:
        if task.name == "music":  # takes half a minute: see test_chorales.py
            return
        assert task.load(None, plan.task_config(task).settings, quiet).hash == dataset.hash
    else:
        assert task_data(plan, task, quiet).hash == dataset.hash
        assert task_data(replace(plan, variants=[VARIANTS["V"]]), task, quiet).hash == dataset.hash
        other = replace(plan, config=replace(plan.config, seed=1))
        assert task_data(other, task, quiet).hash != dataset.hash


def test_baseline_is_a_score(task: Task, dataset: Dataset) -> None:
    score = task.baseline(dataset, plan_of(task).task_config(task).settings)
    assert type(score) is float and np.isfinite(score) and score > 0


def run(plan: StudyPlan, dataset: Dataset, engine: str, sequences: int) -> Outcome:
    """The LSTM with a forget bias, trained and judged on the first training sequences."""
    (task,) = plan.tasks
    variant, few = VARIANTS["NP-b"], dataset.splits["train"].first(sequences)
    return run_trial(
        plan.task_config(task),
        replace(dataset, splits=dict.fromkeys(SPLITS, few)),
        variant,
        make_layer(variant.equations, variant.trace, variant.name, engine),
        RandomStreams(0, TrialId(task.name, variant.name, 0)),
        {"hidden_size": 30, "learning_rate": 5e-3, "momentum": 0.9, "input_noise": 0.0},
    )


def test_is_learnt(task: Task, dataset: Dataset) -> None:
    """It leaves the best constant predictor behind."""
    sequences, epochs, easier = ENOUGH.get(task.name, (300, 10, {}))
    plan = plan_of(task, epochs=epochs, optimiser="adam", **easier)
    if task.generate is not None:
        dataset = task_data(plan, task, quiet)
    outcome = run(plan, dataset, "cpu", sequences)
    assert outcome.state == "completed"
    better = 1 if task.direction == "minimize" else -1
    assert better * outcome.curve[-1][1] < better * outcome.curve[0][1]
    baseline = task.baseline(dataset, plan.task_config(task).settings)
    assert outcome.test < 0.9 * baseline if better == 1 else outcome.test > 1.2 * baseline
    if task.generative:
        assert len(outcome.sample) == plan.task_config(task).settings["sample"]


def test_engines_agree(task: Task, dataset: Dataset) -> None:
    plan = plan_of(task, epochs=2, optimiser="adam", **({"sample": 1} if task.generative else {}))
    size = 1 if task.name == "text" else 8
    one, other = (run(plan, dataset, engine, size) for engine in ("cpu", "reference"))
    for ours, theirs in zip(one.curve, other.curve, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_batches_hold_what_the_data_hold(task: Task, dataset: Dataset) -> None:
    """Every frame and answer comes up once in an epoch, as float32 and in its place."""
    data = dataset.splits["validation"]
    few = np.arange(min(len(data), 10))
    for size in (1, 4):
        seen = 0
        for batch in BatchLoader(data, dataset.input_size).batches(few, size):
            x = batch.x.numpy()
            assert x.dtype == np.float32 and x.shape[2] == dataset.input_size
            for column, length in enumerate(batch.lengths):
                start = int(data.lengths[:seen].sum())
                inputs = data.inputs[start : start + length]
                if inputs.shape[1] != dataset.input_size:
                    inputs = np.eye(dataset.input_size, dtype=np.float32)[inputs[:, 0]]
                np.testing.assert_array_equal(x[:length, column], inputs.astype(np.float32))
                assert not x[length:, column].any()
                seen += 1
        assert seen == len(few)


def test_importing_the_tasks_is_light() -> None:
    heavy = ["music21", "scipy", "torch", "pandas", "matplotlib", "mlflow", "filelock", "sympy", "librosa", "sklearn"]
    code = f"import sys, tasks; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- The cache.


def load_counted(path: Path | None, settings: Settings, progress: ProgressCallback) -> Dataset:
    """Random sequences, seeded by the file's text; each call leaves a line in the file `loads` beside it."""
    assert path is not None
    with (path.parent / "loads").open("a") as loads:
        loads.write("loaded\n")
    time.sleep(0.1)  # long enough that processes which start together meet
    if path.read_text() == "bad":
        raise UserError(f"{path}: bad")
    generator = np.random.default_rng(int(path.read_text()))
    splits = {
        split: Sequences(
            generator.normal(size=(9, 3)).astype(np.float32),
            generator.integers(0, 2, (9, 2), dtype=np.uint8),
            np.array([4, 5], np.int64),
        )
        for split in SPLITS
    }
    return Dataset(splits, str(path), 3, 2, ("a", "b"), ("a note",))


COUNTED = Task(
    name="counted",
    summary="",
    description="",
    outputs="bernoulli",
    score="nats",
    metric="nats per frame",
    load=load_counted,
    baseline=lambda dataset, settings: 1.0,
    settings={"difficulty": 1},
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.txt"
    path.write_text("1")
    return path


def loads(source: Path) -> int:
    return len((source.parent / "loads").read_text().splitlines())


def entry_of(folder: Path) -> Path:
    (entry,) = [path for path in folder.iterdir() if path.is_dir()]
    return entry


def open_hash(source: Path) -> str:
    return open_dataset(COUNTED, source, COUNTED.settings, source.parent / "cache", quiet).hash


def test_the_second_time_is_read_from_the_cache(source: Path, tmp_path: Path) -> None:
    fresh = load_counted(source, {}, quiet)
    first, second = (open_dataset(COUNTED, source, {}, tmp_path / "deep" / "cache", quiet) for _ in range(2))
    assert loads(source) == 2  # the fresh one and the first
    assert fresh.hash == first.hash == second.hash == content_hash(second.splits)
    for split in SPLITS:
        for array, kept in second.splits[split].arrays.items():
            assert isinstance(kept, np.memmap) and not kept.flags.writeable
            np.testing.assert_array_equal(kept, fresh.splits[split].arrays[array])
    assert replace(second, splits={}) == replace(fresh, splits={})


def test_an_entry_is_keyed_by_contents_and_version(source: Path, tmp_path: Path) -> None:
    before = open_hash(source)
    copy = source.with_name("copy.txt")
    copy.write_text("1")
    again = open_dataset(COUNTED, copy, COUNTED.settings, tmp_path / "cache", quiet)
    assert again.hash == before and again.source == str(copy) and loads(source) == 1
    copy.write_text("2")
    assert open_hash(copy) != before and loads(source) == 2
    open_dataset(replace(COUNTED, version=2), source, COUNTED.settings, tmp_path / "cache", quiet)
    assert loads(source) == 3
    open_dataset(COUNTED, source, {"difficulty": 2}, tmp_path / "cache", quiet)
    assert loads(source) == 4


def test_processes_that_start_together_parse_once(source: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        hashes = pool.map(open_hash, [source] * 4, chunksize=1)
    assert loads(source) == 1 and len(set(hashes)) == 1


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "index", "no index", "emptied"])
def test_a_damaged_entry_is_made_anew(source: Path, tmp_path: Path, damage: str) -> None:
    before = open_hash(source)
    entry = entry_of(tmp_path / "cache")
    array = entry / "train-inputs.npy"
    data = array.read_bytes()
    if damage == "truncated":
        array.write_bytes(data[:-5])
    elif damage == "flipped":
        array.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    elif damage == "missing":
        array.unlink()
    elif damage == "index":
        (entry / cache.INDEX).write_text('{"sizes": ')
    elif damage == "no index":
        (entry / cache.INDEX).unlink()
    else:
        for file in entry.iterdir():
            file.write_bytes(b"")
    assert open_hash(source) == before and loads(source) == 2
    assert open_hash(source) == before and loads(source) == 2


def test_what_a_killed_process_left_is_cleared_away(source: Path, tmp_path: Path) -> None:
    open_hash(source)
    entry = entry_of(tmp_path / "cache")
    partial = entry.with_suffix(".partial")
    entry.rename(partial)
    open_hash(source)
    assert entry_of(tmp_path / "cache") == entry and not partial.exists()


def test_an_unwritable_cache_is_a_warning(source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert open_hash(source) == load_counted(source, {}, quiet).hash
    (record,) = caplog.records
    assert "the cache cannot be used" in record.getMessage() and "\n" not in record.getMessage()


def test_a_full_disk_is_a_warning(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with caplog.at_level(logging.WARNING):
        open_hash(source)
    assert "No space left on device" in caplog.text
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_bad_data_leave_no_entry_and_no_lock_held(source: Path, tmp_path: Path) -> None:
    source.write_text("bad")
    for _ in range(2):
        with pytest.raises(UserError):
            open_hash(source)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_the_default_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_CACHE", "some/where")
    assert default_cache_folder() == Path("some/where")
    monkeypatch.delenv("ABLATE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert default_cache_folder() == Path("caches/ablate")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_folder() == Path.home() / ".cache" / "ablate"
