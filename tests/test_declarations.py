"""What a task declares of its data, losses and scores; and what is refused because it does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ablate.data.validation import validate
from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition
from ablate.definitions.scores import SCORES
from ablate.definitions.task import TASKS, Task
from ablate.errors import UserError


def sequences(rows: int = 6, position: TargetPosition = TargetPosition.EVERY_FRAME, **changes: Any) -> Sequences:
    """Three sequences of 1, 2 and 3 frames over two inputs, with targets 0 and 1."""
    arrays = {
        "inputs": np.arange(12, dtype=np.float32).reshape(6, 2),
        "targets": np.arange(rows, dtype=np.uint8)[:, None] % 2,
        "lengths": np.array([1, 2, 3]),
    }
    return Sequences(**{**arrays, "target_position": position, **changes})


def declared(**changes: Any) -> Task:
    fields = {
        "name": "declared",
        "summary": "",
        "description": "",
        "loss": "cross_entropy",
        "score": "error_rate",
        "target_position": TargetPosition.EVERY_FRAME,
        "baseline": lambda dataset, settings: 1.0,
        "load": lambda path, settings, progress: None,
    }
    return Task(**{**fields, **changes})


def validated(task: Task, each: Sequences, output_size: int = 2) -> None:
    validate(task, {}, Dataset(dict.fromkeys(SPLITS, each), "made up", 2, output_size))


END, LABEL = TargetPosition.SEQUENCE_END, TargetPosition.UNALIGNED_LABEL
COUNTS = np.array([1, 2, 1])


def test_targets_are_where_the_task_says() -> None:
    """Also where every sequence has one frame, so that lengths alone cannot tell the end from every frame."""
    validated(declared(), sequences())
    validated(declared(target_position=END), sequences(3, END))
    validated(
        declared(loss="ctc", score="label_error_rate", target_position=LABEL),
        sequences(4, LABEL, target_lengths=COUNTS),
        output_size=3,
    )
    ones = {"inputs": np.ones((3, 2), np.float32), "lengths": np.ones(3, np.int64)}
    validated(declared(target_position=END), sequences(3, END, **ones))
    with pytest.raises(
        UserError, match=r"the train data of declared .*: the targets stand at every_frame, but the task"
    ):
        validated(declared(target_position=END), sequences(3, **ones))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (sequences(5), r"targets are of shape \(5, 1\); expected \(6, 1\)"),
        (sequences(lengths=np.array([1, 2, 4])), r"inputs are of shape \(6, 2\); expected \(7, 2\)"),
        (sequences(lengths=np.array([0, 3, 3])), "lengths go down to 0; expected at least 1"),
        (sequences(lengths=np.array([1, 2, 3], np.int32)), "lengths are int32"),
        (sequences(0, lengths=np.array([], np.int64)), "there are no sequences"),
        (sequences(inputs=np.full((6, 2), np.nan, np.float32)), "inputs are not all finite"),
        (sequences(inputs=np.full((6, 1), 2, np.uint8)), "symbols are uint8 up to 2; expected .* below 2"),
        (sequences(targets=np.full((6, 1), 2, np.uint8)), "targets have the class 2; expected classes below 2"),
        (sequences(targets=np.zeros((6, 1), np.int64)), "targets are int64; expected uint8 or uint16"),
        (sequences(target_lengths=COUNTS), "target_lengths are not for targets at every_frame"),
    ],
)
def test_data_that_are_not_what_is_declared_are_refused(found: Sequences, words: str) -> None:
    with pytest.raises(UserError, match=f"the train data of declared \\(made up\\): {words}"):
        validated(declared(), found)


def test_labels_and_probabilities_are_checked_too() -> None:
    ctc = declared(loss="ctc", score="label_error_rate", target_position=LABEL)
    with pytest.raises(UserError, match="target_lengths are needed for targets at unaligned_label"):
        validated(ctc, sequences(4, LABEL))
    with pytest.raises(UserError, match="the class 1; expected classes below 1"):  # the blank is the last class
        validated(ctc, sequences(4, LABEL, target_lengths=COUNTS))
    units = declared(loss="binary_cross_entropy", score="nats")
    with pytest.raises(UserError, match="targets are from 0 to 3; binary_cross_entropy needs them within 0 and 1"):
        validated(units, sequences(targets=np.full((6, 2), [0, 3], np.uint8)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": "softmax"}, "has the loss 'softmax'; known: binary_cross_entropy, cross_entropy, squared_error, ctc"),
        ({"score": "f1"}, "has the score 'f1'; known: nats, bits"),
        ({"score": "label_error_rate"}, "cannot have the score 'label_error_rate' with the loss 'cross_entropy'"),
        ({"load": None}, "needs either load or generate"),
        ({"load": None, "generate": lambda generator, count, settings: None}, "give their number, n_classes"),
        (
            {"target_position": LABEL},
            "target position unaligned_label with the loss cross_entropy; possible: every_frame, seq",
        ),
        ({"target_position": TargetPosition.OWN_SEQUENCE}, "target position own_sequence with the loss cross_entropy"),
    ],
)
def test_parts_that_do_not_fit_are_told_where_the_task_is_defined(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=rf"tests/test_declarations.py: task 'declared' .*{words}"):
        declared(**changes)


def test_a_score_says_its_direction() -> None:
    assert {task.name for task in TASKS if task.direction == "maximize"} == {"temporal-order"}
    assert declared().direction == "minimize" and declared().unit == SCORES["error_rate"].unit == "% error"
    assert declared(score="accuracy").direction == "maximize" and SCORES["accuracy"].better == "higher"


def test_a_split_is_its_sequences_one_after_the_other() -> None:
    found = sequences(4, LABEL, target_lengths=COUNTS)
    assert [(len(inputs), len(targets)) for inputs, targets in found] == [(1, 1), (2, 2), (3, 1)]
    two = found.first(2)
    assert len(two) == 2 and len(two.inputs) == 3 and len(two.targets) == 3 and two.target_position is LABEL
