"""The contract that every task keeps, as plain functions that raise AssertionError with what is wrong.

`check_task(TASKS["my-task"])` runs all of them; a test may as well take each from `checks_for(task)`. Every check takes
a `TaskCase`: the task, its data, and what is enough of them to learn something.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ablate.cell.backend import make_layer
from ablate.data.load import task_data
from ablate.data.validation import validate
from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition, content_hash
from ablate.definitions.task import Task
from ablate.definitions.variant import VARIANTS
from ablate.errors import UserError
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.study_plan import StudyPlan
from ablate.testing.task_case import CELL, TaskCase, check_progress
from ablate.training.batches import BatchLoader
from ablate.training.trial import Outcome, run_trial

SECTIONS = ("source", "shapes", "splits", "score")  # of a task's description


def check_task(task: Task, path: Path | None = None, **enough: Any) -> None:
    """Run every check; `enough` are the further arguments of TaskCase.

    Raises:
        AssertionError: the first check that fails.
    """
    case = TaskCase(task, path, **enough)
    for check in checks_for(task):
        check(case)


def check_description(case: TaskCase) -> None:
    """It says in a line what it is, and in lines that fit a terminal where its data come from and how it scores."""
    task = case.task
    _require(case, bool(task.summary) and "\n" not in task.summary, "its summary must be one line")
    for word in SECTIONS:
        _require(case, word in task.description, f"its description must say its {word}")
    longest = max(map(len, task.description.splitlines()))
    _require(case, longest <= 120, f"its description has lines of {longest} characters; at most 120")
    _require(case, Path(task.defined_at).suffix == ".py", f"it is defined at {task.defined_at!r}, no Python file")


def check_dataset(case: TaskCase) -> None:
    """Shapes, types and numbers are those that the task declares, and the hash is of the numbers."""
    try:
        validate(case.task, case.settings, case.dataset)
    except UserError as error:
        raise AssertionError(str(error)) from error
    _require(case, case.dataset.hash == content_hash(case.dataset.splits), "its hash is not that of its numbers")


def check_splits_are_disjoint(case: TaskCase) -> None:
    """No sequence of loaded data is in two splits."""
    found = {split: _as_bytes(case.dataset.splits[split]) for split in SPLITS}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        shared = len(found[one] & found[other])
        _require(case, not shared, f"{shared} sequences are both in {one} and in {other}")


def check_loads_the_same_again(case: TaskCase) -> None:
    """Loading is deterministic."""
    assert case.task.load is not None
    again = case.task.load(case.path, case.settings, check_progress)
    _require(case, again.hash == case.dataset.hash, "loading it twice gives different numbers")


def check_generates_by_seed(case: TaskCase) -> None:
    """What is generated depends on seed and index, and not on the variant."""
    task, plan = case.task, case.plan()
    another = {
        "again": (plan, True),
        "for another variant": (replace(plan, variants=[VARIANTS["V"]]), True),
        "with another seed": (replace(plan, config=replace(plan.config, seed=1)), False),
    }
    for how, (other, same) in another.items():
        equal = task_data(other, task, check_progress).hash == case.dataset.hash
        _require(case, equal == same, f"generated {how}, its numbers are {'the same' if equal else 'others'}")


def check_baseline(case: TaskCase) -> None:
    """The baseline is a positive number."""
    score = case.task.baseline_score(case.dataset, case.settings)
    fine = type(score) is float and math.isfinite(score) and score > 0
    _require(case, fine, f"its baseline is {score!r}, not a positive float")


def check_batches(case: TaskCase) -> None:
    """Every frame and target of an epoch is in a batch once, as float32 and in its place; padding is zero."""
    data, size = case.dataset.splits["validation"], case.dataset.input_size
    few = np.arange(min(len(data), 10))
    sequences = list(data.first(len(few)))
    for batch_size in (1, 4):
        seen = 0
        for batch in BatchLoader(data, size).batches(few, batch_size):
            x = batch.x.numpy()
            _require(case, x.dtype == np.float32 and x.shape[2] == size, f"a batch has inputs {x.dtype} {x.shape}")
            of_batch = sequences[seen : seen + len(batch.lengths)]
            for column, (inputs, targets) in enumerate(of_batch):
                length = len(inputs)
                if inputs.shape[1] != size:
                    inputs = np.eye(size, dtype=np.float32)[inputs[:, 0].astype(np.int64)]
                right = np.array_equal(x[:length, column], inputs.astype(np.float32)) and not x[length:, column].any()
                _require(case, right, f"sequence {seen + column} is not in its batch as it is in the data")
                found = _targets_of(batch.targets, data.target_position, column, length, of_batch)
                _require(case, np.array_equal(found, targets), f"sequence {seen + column} has other targets in a batch")
            rows = sum(len(targets) for _, targets in of_batch)
            _require(case, batch.n_targets == rows, f"a batch counts {batch.n_targets} targets, not {rows}")
            seen += len(of_batch)
        _require(case, seen == len(few), f"the batches hold {seen} of {len(few)} sequences")


def check_learns(case: TaskCase) -> None:
    """A small network leaves the best constant predictor behind, on what it was trained on."""
    task = case.task
    plan = case.plan(**{"epochs": case.epochs, "optimiser": "adam", **case.easier})
    dataset = case.dataset if task.generate is None else task_data(plan, task, check_progress)
    outcome = _train(case, plan, dataset, "cpu", case.sequences)
    _require(case, outcome.state == "completed", f"its training {outcome.state}")
    first, last = outcome.curve[0][1], outcome.curve[-1][1]
    baseline = task.baseline_score(dataset, plan.task_config(task).settings)
    lower = task.direction == "minimize"
    _require(case, last < first if lower else last > first, f"its training score went from {first:.4g} to {last:.4g}")
    better = outcome.test < 0.9 * baseline if lower else outcome.test > 1.2 * baseline
    _require(case, better, f"a network scores {outcome.test:.4g} beside the baseline {baseline:.4g}")
    if task.samples_text:
        length = plan.task_config(task).settings["sample"]
        _require(case, len(outcome.sample) == length, f"its sample has {len(outcome.sample)} characters, not {length}")


def check_backends_agree(case: TaskCase) -> None:
    """The kernels and the reference learn alike."""
    plan = case.plan(**{"epochs": 3, **({"sample": 1} if case.task.samples_text else {})})
    longest = int(case.dataset.splits["train"].lengths[:8].max())
    size = 1 if longest > 1000 else 8
    kernel, reference = (_train(case, plan, case.dataset, backend, size).curve for backend in ("cpu", "reference"))
    close = np.allclose(kernel, reference, rtol=1e-4, atol=0)
    _require(case, close, f"the learning curve is {kernel} in the kernel and {reference} in the reference")


Check = Callable[[TaskCase], None]
CHECKS: tuple[Check, ...] = (
    check_description,
    check_dataset,
    check_baseline,
    check_batches,
    check_learns,
    check_backends_agree,
)


def checks_for(task: Task) -> tuple[Check, ...]:
    """The checks that a task has to pass; in generated data a few short sequences may be in two splits."""
    if task.generate is not None:
        return (*CHECKS, check_generates_by_seed)
    return (*CHECKS, check_splits_are_disjoint, check_loads_the_same_again)


def _train(case: TaskCase, plan: StudyPlan, dataset: Dataset, backend: str, sequences: int) -> Outcome:
    """An LSTM, trained and judged on the first training sequences."""
    variant, few = VARIANTS[CELL], dataset.splits["train"].first(sequences)
    return run_trial(
        plan.task_config(case.task),
        replace(dataset, splits=dict.fromkeys(SPLITS, few)),
        variant,
        make_layer(variant.equations, variant.trace, variant.name, backend),
        RandomStreams(0, TrialId(case.task.name, variant.name, 0)),
        {"hidden_size": 30, "learning_rate": 5e-3, "momentum": 0.9, "input_noise": 0.0},
    )


def _targets_of(
    targets: np.ndarray, position: TargetPosition, column: int, length: int, of_batch: list[Any]
) -> np.ndarray:
    """The targets of one sequence of a batch."""
    if position is TargetPosition.EVERY_FRAME:
        return targets[:length, column]
    if position is TargetPosition.SEQUENCE_END:
        return targets[:, column]
    ends = np.cumsum([len(rows) for _, rows in of_batch])
    return targets[ends[column] - len(of_batch[column][1]) : ends[column]]


def _as_bytes(sequences: Sequences) -> set[bytes]:
    return {inputs.tobytes() + targets.tobytes() for inputs, targets in sequences}


def _require(case: TaskCase, holds: bool, problem: str) -> None:
    if not holds:
        raise AssertionError(f"{case.task.name}: {problem}")
