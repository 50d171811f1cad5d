"""The inputs of a user's own data: standardised, with masks for gaps and differences of the time where asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ablate.definitions.dataset import SPLITS
from ablate.errors import UserError
from tasks.sources.own_data import Numbers, OwnData, Whole
from tasks.sources.preparation import mean_and_std

TIME_DIFFERENCE = "time difference"


@dataclass(frozen=True)
class Inputs:
    """The inputs of each split, (frames, M), and what was made of them."""

    arrays: dict[str, npt.NDArray[np.float32]]
    names: list[str]
    notes: list[str]


def make_inputs(data: OwnData, split: Whole, standardise: bool, mask_gaps: bool, time: str) -> Inputs:
    """The inputs of a user's data.

    Every column that is not of 0 and 1 alone gets mean 0 and variance 1 over the training frames. With `mask_gaps` a
    value that is missing becomes 0, and each input that has gaps is followed by another, which is 1 where there is a
    value. Where there is a time, what has passed since the frame before is the last input, 0 at a sequence's first.

    Raises:
        UserError: a value is missing, infinite or too large; time goes backwards; with its place.
    """
    split_of_frame = np.repeat(split, data.lengths)
    frames = {name: split_of_frame == number for number, name in enumerate(SPLITS)}
    columns: list[npt.NDArray[np.float32]] = []
    names: list[str] = []
    standardised, gaps, notes = 0, 0, []
    for name, read in data.inputs.items():
        values = read()
        missing = np.isnan(values)
        has_gaps = bool(missing.any())
        if has_gaps and not mask_gaps:
            where = data.place(int(missing.argmax()), name)
            raise UserError(f"{where} is missing or NaN; settings.own.mask_gaps = true makes 0 and a mask of gaps")
        _check_finite(data, name, values)
        if has_gaps and not (frames["train"] & ~missing).any():
            notes.append(f"the input {name!r} has no value in training")
        column, scaled = _standardised(values, frames["train"]) if standardise else (values, False)
        standardised += scaled
        names.append(name)
        columns.append(_as_float32(data, name, np.where(missing, 0, column) if has_gaps else column))
        if has_gaps:
            gaps += 1
            names.append(f"mask of {name}")
            columns.append((~missing).astype(np.float32))
    if data.time is not None:
        difference = _time_differences(data, time, data.time())
        column, scaled = _standardised(difference, frames["train"]) if standardise else (difference, False)
        standardised += scaled
        names.append(TIME_DIFFERENCE)
        columns.append(_as_float32(data, TIME_DIFFERENCE, column))
    if standardised:
        notes.append(
            f"{standardised} of {len(names)} inputs have mean 0 and variance 1 in training (settings.own.standardise)"
        )
    if gaps:
        notes.append(f"{gaps} input{'s have' if gaps > 1 else ' has'} gaps, told by a mask each")
    arrays = {}
    for name, chosen in frames.items():
        array = np.empty((int(chosen.sum()), len(columns)), np.float32)
        for k, column in enumerate(columns):
            array[:, k] = column[chosen]
        arrays[name] = array
    return Inputs(arrays, names, notes)


def _check_finite(data: OwnData, name: str, values: Numbers) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        frame = int(infinite.argmax())
        raise UserError(f"{data.place(frame, name)} is {values[frame]}; expected finite numbers")


def _standardised(values: Numbers, train: npt.NDArray[np.bool_]) -> tuple[Numbers, bool]:
    """The values with the mean and deviation of training, and whether they were changed: 0 and 1 are left alone."""
    known = ~np.isnan(values)
    if (((values == 0) | (values == 1)) | ~known).all():
        return values, False
    observed = values[train & known]
    if not len(observed):
        return values, False
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mean, std = mean_and_std(observed[:, None])
        # Deviations that overflow would make zeros of all: as infinities they are refused.
        return (values - mean[0]) / (std[0] if np.isfinite(std[0]) else 0), True


def _as_float32(data: OwnData, name: str, values: Numbers) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        array = values.astype(np.float32)
    if not np.isfinite(array).all():
        raise UserError(f"{data.path}: the input {name!r} has numbers that are too large; scale them down")
    return array


def _time_differences(data: OwnData, name: str, time: Numbers) -> Numbers:
    missing = ~np.isfinite(time)
    if missing.any():
        raise UserError(f"{data.place(int(missing.argmax()), name)} is missing or not finite; every row needs a time")
    difference = np.diff(time, prepend=time[0])
    difference[data.ends[:-1] + 1] = 0  # at the start of a sequence nothing has passed
    if (difference < 0).any():
        frame = int((difference < 0).argmax())
        raise UserError(f"{data.place(frame, name)} goes back, from {time[frame - 1]:g} to {time[frame]:g}")
    return difference
