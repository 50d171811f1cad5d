"""The output layer that a user's own targets ask for: classes, columns of 0 and 1, or numbers; and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ablate.definitions.dataset import SPLITS, Array, TargetPosition
from ablate.definitions.scores import SCORES, Loss
from ablate.errors import UserError
from tasks.sources.own_data import Numbers, OwnData, Whole
from tasks.sources.preparation import mean_and_std

MOST_CLASSES = 1000  # of whole numbers, unless classes are asked for
LIMIT_OF_CLASSES = 2**16

DEFAULT_SCORES: dict[Loss, str] = {
    "cross_entropy": "error_rate",
    "binary_cross_entropy": "nats",
    "squared_error": "squared_error",
}
POSITIONS = (TargetPosition.EVERY_FRAME, TargetPosition.SEQUENCE_END)


@dataclass(frozen=True)
class Targets:
    """The targets of each split, (rows, K), and the layer, loss and score that belong to them."""

    arrays: dict[str, Array]
    loss: Loss
    score: str
    position: TargetPosition
    output_size: int
    class_names: tuple[str, ...]
    unit: str
    summary: str  # in a few words
    notes: list[str]


def make_targets(data: OwnData, split: Whole, choices: Mapping[str, Any]) -> Targets:
    """What a user's targets are; `choices` may decide loss, score and target_position, and say `standardise`.

    Raises:
        UserError: a target is missing or infinite, with its place; or the choices do not fit the targets.
    """
    for key, known in (("loss", tuple(DEFAULT_SCORES)), ("target_position", POSITIONS)):
        if choices[key] and choices[key] not in known:
            raise UserError(f"settings.own.{key} is {choices[key]!r}; possible: {', '.join(known)}")
    asked = TargetPosition(choices["target_position"]) if choices["target_position"] else None
    values, position, notes, had_gaps = _placed(data, asked)
    if (values == values[0]).all():
        raise UserError(f"{data.path}: all targets are the same; there is nothing to learn")
    split_of_row = np.repeat(split, data.lengths) if position is TargetPosition.EVERY_FRAME else split
    loss = _loss(data, values, choices["loss"], had_gaps, notes)
    train, unit, names = split_of_row == 0, "", ()
    if loss == "cross_entropy":
        values, names = _classes(data, values)
        unseen = len(names) - len(np.unique(values[train]))
        if unseen:
            notes.append(f"{unseen} of {len(names)} classes are not in training")
        array, size = values.astype(np.uint8 if len(names) <= 2**8 else np.uint16), len(names)
        summary = f"one of {size} classes"
    elif loss == "binary_cross_entropy":
        if any(column.labels for column in data.targets) or values.min() < 0 or values.max() > 1:
            raise UserError(f"{data.path}: settings.own.loss is {loss!r}, but the targets are not all from 0 to 1")
        size = values.shape[1]
        array = values.astype(np.uint8 if _of_bits(values) else np.float32)
        summary = f"{size} sigmoid unit{'s' if size > 1 else ''}"
    else:
        if any(column.labels for column in data.targets):
            raise UserError(f"{data.path}: settings.own.loss is {loss!r}, but the targets are text")
        array, unit, size = (
            _numbers(data, values, train, bool(choices["standardise"])),
            "squared error",
            values.shape[1],
        )
        if choices["standardise"]:
            unit += " of standardised targets"
            notes.append("targets have mean 0 and variance 1 in training (settings.own.standardise)")
        summary = f"{size} number{'s' if size > 1 else ''}"
    score = _score(loss, choices["score"])
    every = position is TargetPosition.EVERY_FRAME
    if not unit:
        unit = SCORES[score].unit
        unit = (unit.replace("% ", "% frame ") if "%" in unit else f"{unit} per frame") if every else unit
    arrays = {name: array[split_of_row == number] for number, name in enumerate(SPLITS)}
    summary += " at every frame" if every else " at the end of each sequence"
    return Targets(arrays, loss, score, position, size, names, unit, summary, notes)


def _placed(data: OwnData, asked: TargetPosition | None) -> tuple[Numbers, TargetPosition, list[str], bool]:
    """The targets (rows, K), where they stand, what to tell of that, and whether the file has rows without targets."""
    every, end = POSITIONS
    values = np.column_stack([column.values for column in data.targets])
    name = data.targets[0].name
    infinite = np.isinf(values)
    if infinite.any():
        row, k = (int(each) for each in np.argwhere(infinite)[0])
        raise UserError(
            f"{data.place_of_target(row, data.targets[k].name)} is {values[row, k]}; expected finite numbers"
        )
    missing = np.asarray(np.isnan(values))
    absent = np.asarray(missing.all(axis=1))
    partly = np.asarray(missing.any(axis=1) & ~absent)
    if partly.any():
        row = int(partly.argmax())
        where = data.place_of_target(row, data.targets[int(np.argmax(missing[row, :]))].name)
        raise UserError(f"{where} is missing or NaN beside others that are there")
    if data.one_a_sequence:
        found, notes = end, []
        if absent.any():
            raise UserError(f"{data.place_of_target(int(absent.argmax()), name)} is missing or NaN")
    elif absent.any():
        last = np.zeros(len(values), bool)
        last[data.ends] = True
        wrong = absent == last
        if wrong.any():
            row = int(absent.argmax()) if not absent[~last].all() else int(wrong.argmax())
            where = data.place_of_target(row, name)
            raise UserError(
                f"{where} is missing or NaN; give a target in every row, or in the last row of each sequence alone"
            )
        found, notes, values = end, [], values[data.ends]
    else:
        steady = (values == np.repeat(values[data.ends], data.lengths, axis=0)).all()
        found, notes = every, []
        if asked is end:
            found, values = end, values[data.ends]
        elif steady and asked is None and (data.lengths > 1).any() and data.repeats_mean_one:
            found, values = end, values[data.ends]
            notes.append(
                "the target stays the same in each sequence, and so is asked for once, at its end; "
                "settings.own.target_position = 'every_frame' asks at every frame"
            )
    if asked is every and found is end:
        values = np.repeat(values, data.lengths, axis=0)
    return values, asked or found, notes, bool(absent.any())


def _loss(data: OwnData, values: Numbers, asked: str, had_gaps: bool, notes: list[str]) -> Loss:
    """The loss that was asked for, or that the targets ask for."""
    for loss in DEFAULT_SCORES:
        if asked == loss:
            return loss
    if len(data.targets) > 1:
        if any(column.labels for column in data.targets):
            raise UserError(f"{data.path}: several columns of targets hold text; give one, 'target'")
        if not _of_bits(values):
            return "squared_error"
        if (values.sum(axis=1) == 1).all():
            notes.append("one column of the targets is 1 everywhere: settings.own.loss = 'cross_entropy' takes classes")
        return "binary_cross_entropy"
    (column,) = data.targets
    if column.labels:
        return "cross_entropy"
    whole = bool((values == np.round(values)).all())
    if column.whole or (whole and had_gaps):  # a column with gaps is written with decimals by many a program
        count = len(np.unique(values))
        if count > MOST_CLASSES:
            raise UserError(
                f"{data.path}: the targets are {count:,} different whole numbers; settings.own.loss = 'squared_error' "
                "predicts numbers, 'cross_entropy' classes"
            )
        return "cross_entropy"
    if whole:
        notes.append("targets are written with decimals, and so are numbers: settings.own.loss = 'cross_entropy' "
                     "takes classes")  # fmt: skip
    return "squared_error"


def _classes(data: OwnData, values: Numbers) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The class of each row, (rows, 1), and the names of the classes."""
    if len(data.targets) > 1:
        if not _of_bits(values) or (values.sum(axis=1) != 1).any():
            raise UserError(f"{data.path}: settings.own.loss is 'cross_entropy', but not one target column alone is 1")
        return values.argmax(axis=1)[:, None], tuple(column.name.removeprefix("target_") for column in data.targets)
    (column,) = data.targets
    found = np.unique(values[:, 0])
    classes = np.searchsorted(found, values[:, 0])  # in a third of the memory that unique's own inverse takes
    if len(found) > LIMIT_OF_CLASSES:
        raise UserError(
            f"{data.path}: the targets have {len(found):,} classes; at most {LIMIT_OF_CLASSES:,} are possible"
        )
    if column.labels:
        return classes[:, None], tuple(column.labels[int(number)] for number in found)
    return classes[:, None], tuple(f"{number:.17g}" for number in found)


def _numbers(data: OwnData, values: Numbers, train: npt.NDArray[np.bool_], standardise: bool) -> Array:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if standardise:
            mean, std = mean_and_std(values[train])
            values = (values - mean) / np.where(np.isfinite(std), std, 0)
        array = values.astype(np.float32)
    if not np.isfinite(array).all():
        raise UserError(f"{data.path}: the targets have numbers that are too large; scale them down")
    return array


def _score(loss: Loss, asked: str) -> str:
    possible = [score.name for score in SCORES.values() if loss in score.losses]
    if asked and asked not in possible:
        raise UserError(f"settings.own.score is {asked!r}; possible with {loss}: {', '.join(possible)}")
    return asked or DEFAULT_SCORES[loss]


def _of_bits(values: Numbers) -> bool:
    return bool(((values == 0) | (values == 1)).all())
