"""The contract that every registered task keeps, on its embedded data, and a task from outside as well."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablate.definitions.dataset import SPLITS, Dataset
from ablate.definitions.loading import load_file
from ablate.definitions.task import TASKS, ProgressCallback, Settings, Task
from ablate.testing.task_case import TaskCase
from ablate.testing.tasks import (
    Check,
    check_batches,
    check_dataset,
    check_learns,
    check_loads_the_same_again,
    check_splits_are_disjoint,
    check_task,
    checks_for,
)
from tests.test_declarations import END, declared, sequences

# What is enough of a task to learn something, where the suite's own measure is not.
ENOUGH: dict[str, dict[str, Any]] = {
    "music": {"epochs": 15},
    "text": {"sequences": 20, "epochs": 2, "easier": {"sample": 10}},
    "speech": {"sequences": 200, "epochs": 3},
    "handwriting": {"sequences": 200, "epochs": 8, "easier": {"init_std": 0.3}},
    "digits": {"epochs": 12},
    "digits-permuted": {"epochs": 12},
    "adding": {"easier": {"length": 10}},
    "copy-memory": {"epochs": 20, "easier": {"blank": 3, "recall": 2}},
    "temporal-order": {"epochs": 12, "easier": {"length": 15}},
}
CASES = {task.name: TaskCase(task, **ENOUGH.get(task.name, {})) for task in TASKS}


def every_check() -> list[Any]:
    found = []
    for case in CASES.values():
        for check in checks_for(case.task):
            # Half a minute of parsing; tests/test_chorales.py has its parts.
            slow = case.task.name == "music" and check is check_loads_the_same_again
            marks = [pytest.mark.slow] if slow else []
            found.append(pytest.param(case, check, marks=marks, id=f"{case.task.name}-{check.__name__}"))
    return found


@pytest.mark.parametrize(("case", "check"), every_check())
def test_keeps_the_contract(case: TaskCase, check: Check) -> None:
    check(case)


@pytest.mark.parametrize("name", ["speech", "handwriting"])
def test_only_training_statistics_are_in_the_inputs(name: str) -> None:
    """What is normalised has mean 0 and variance 1 over the training frames, and nowhere else."""
    dataset = CASES[name].dataset
    train, test = (dataset.splits[split].inputs.astype(np.float64) for split in ("train", "test"))
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(train.std(0), 1, atol=1e-4)
    assert np.abs(test.mean(0)).max() > 1e-3 and np.abs(test.std(0) - 1).max() > 1e-3


def test_importing_the_tasks_is_light() -> None:
    heavy = ["music21", "scipy", "torch", "pandas", "matplotlib", "mlflow", "filelock", "sympy", "librosa", "sklearn"]
    code = f"import sys, tasks; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- Tasks from outside.

OUTSIDE = """
import numpy as np
from ablate.data.generated import checked_setting
from ablate.definitions.dataset import Sequences, TargetPosition
from ablate.definitions.task import TASKS, Task


def generate(generator, count, settings):
    length = checked_setting(settings, "first-bit", "length", 1, 100)
    bits = generator.integers(2, size=(count, length), dtype=np.uint8)
    lengths = np.full(count, length, np.int64)
    return Sequences(bits.reshape(-1, 1), bits[:, :1], lengths, TargetPosition.SEQUENCE_END)


TASKS.add(
    Task(
        name="first-bit",
        summary="the first of some random bits",
        description="source generated; shapes bits x 1; splits as many as set; score % error",
        loss="cross_entropy",
        score="error_rate",
        target_position=TargetPosition.SEQUENCE_END,
        baseline=lambda dataset, settings: 50.0,
        generate=generate,
        n_classes=2,
        settings={"length": 4},
    )
)
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task from a file of the user's, which is gone after the test."""
    TASKS.load()
    monkeypatch.setattr(TASKS, "_entries", dict(TASKS._entries))
    file = tmp_path / "outside_task.py"
    file.write_text(OUTSIDE)
    load_file(str(file), TASKS, "--tasks-from", "call TASKS.add(Task(...))")
    return TASKS["first-bit"]


def test_a_task_from_outside_runs_the_suite(outside: Task) -> None:
    assert outside.defined_at.endswith("/outside_task.py")
    check_task(outside)
    check_task(replace(outside, settings={**outside.settings, "length": 1}))  # one frame a sequence


def test_the_suite_tells_what_is_wrong(outside: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="the class 1; expected classes below 1"):
        check_dataset(TaskCase(replace(outside, n_classes=1)))
    with pytest.raises(AssertionError, match=r"first-bit: a network scores 0 beside the baseline 0"):
        check_learns(TaskCase(replace(outside, baseline=lambda dataset, settings: 0.0)))
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path))
    same = sequences(3, END)

    def load(path: Path | None, settings: Settings, progress: ProgressCallback) -> Dataset:
        return Dataset(dict.fromkeys(SPLITS, same), "made up", 2, 2)

    loaded = TaskCase(declared(name="leaking", target_position=END, load=load))
    with pytest.raises(AssertionError, match="leaking: 3 sequences are both in train and in validation"):
        check_splits_are_disjoint(loaded)
    check_batches(loaded)
