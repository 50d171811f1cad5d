"""Whether a data set is what its task declares, checked once when it is loaded or generated."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition
from ablate.definitions.scores import LOSSES_OF_CLASSES
from ablate.definitions.task import Settings, Task
from ablate.errors import UserError

TARGET_TYPES = ("uint8", "uint16", "float32")  # what the losses are compiled for


def validate(task: Task, settings: Settings, dataset: Dataset) -> None:
    """Check shapes, types and numbers of a data set against the declaration of its task.

    Raises:
        UserError: the first thing that is wrong, with the task and the split.
    """
    position = task.targets_at(settings)
    if tuple(dataset.splits) != SPLITS:
        raise UserError(f"the data of {task.name}: the splits are {tuple(dataset.splits)}; expected {SPLITS}")
    for split, sequences in dataset.splits.items():
        for problem in _problems(task, position, dataset, sequences):
            raise UserError(f"the {split} data of {task.name} ({dataset.source}): {problem}")


def _problems(task: Task, position: TargetPosition, dataset: Dataset, sequences: Sequences) -> Iterator[str]:
    """What is wrong, each problem in words; a later check relies on the earlier ones."""
    if sequences.target_position != position:
        yield f"the targets stand at {sequences.target_position}, but the task declares {position}"
    yield from _wrong_lengths("lengths", sequences.lengths, len(sequences), least=1)
    if not len(sequences):
        yield "there are no sequences"
    own_length = position in (TargetPosition.UNALIGNED_LABEL, TargetPosition.OWN_SEQUENCE)
    if own_length != (sequences.target_lengths is not None):
        yield f"target_lengths are {'needed for' if own_length else 'not for'} targets at {position}"
    if sequences.target_lengths is not None:
        yield from _wrong_lengths("target_lengths", sequences.target_lengths, len(sequences), least=0)
    yield from _wrong_inputs(dataset.input_size, sequences)
    yield from _wrong_targets(task, dataset.output_size, sequences)


def _wrong_lengths(name: str, lengths: np.ndarray, count: int, least: int) -> Iterator[str]:
    if lengths.dtype != np.int64 or lengths.shape != (count,):
        yield f"{name} are {lengths.dtype} of shape {lengths.shape}; expected int64 of shape ({count},)"
    if count and lengths.min() < least:
        yield f"{name} go down to {lengths.min()}; expected at least {least}"


def _wrong_inputs(input_size: int, sequences: Sequences) -> Iterator[str]:
    inputs, frames = sequences.inputs, int(sequences.lengths.sum())
    if inputs.ndim != 2 or len(inputs) != frames or inputs.shape[1] not in (1, input_size):
        yield f"inputs are of shape {inputs.shape}; expected ({frames}, {input_size}), or ({frames}, 1) of symbols"
    if inputs.dtype.kind not in "fiu":
        yield f"inputs are {inputs.dtype}; expected numbers"
    if inputs.shape[1] == input_size:
        if not np.isfinite(inputs).all():
            yield "inputs are not all finite"
    elif inputs.dtype.kind != "u" or inputs.max() >= input_size:
        yield f"symbols are {inputs.dtype} up to {inputs.max()}; expected unsigned integers below {input_size}"


def _wrong_targets(task: Task, output_size: int, sequences: Sequences) -> Iterator[str]:
    targets, rows = sequences.targets, int(sequences.target_counts.sum())
    of_classes = task.loss in LOSSES_OF_CLASSES
    width = 1 if of_classes else output_size
    if targets.shape != (rows, width):
        where = f"one for each of {rows} target positions"
        yield f"targets are of shape {targets.shape}; expected ({rows}, {width}), {where}"
    if targets.dtype not in TARGET_TYPES[: 2 if of_classes else 3]:
        yield f"targets are {targets.dtype}; expected {' or '.join(TARGET_TYPES[: 2 if of_classes else 3])}"
    if not rows:
        yield "there are no targets"
    if of_classes:
        classes = output_size - (task.loss == "ctc")  # the blank is no target
        if targets.max() >= classes:
            yield f"targets have the class {targets.max()}; expected classes below {classes}"
    elif not np.isfinite(targets).all():
        yield "targets are not all finite"
    elif task.loss == "binary_cross_entropy" and not (targets.min() >= 0 and targets.max() <= 1):
        yield f"targets are from {targets.min()} to {targets.max()}; {task.loss} needs them within 0 and 1"
