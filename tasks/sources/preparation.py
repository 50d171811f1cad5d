"""What the readers of data sets share: splits by number, and the statistics that inputs are normalised with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float64]  # (M,)


def split_by_fifths(number: int) -> str:
    """The split of what has this number: modulo 5, 3 validates and 4 tests, the other three fifths train."""
    return {3: "validation", 4: "test"}.get(number % 5, "train")


def mean_and_std(train: npt.NDArray[Any]) -> tuple[Row, Row]:
    """The mean and the standard deviation of each input over the training frames (frames, M), and over no others.

    An input that is constant there, but for rounding, has the deviation 1: it tells nothing, and stays constant.
    """
    mean = train.mean(axis=0, dtype=np.float64)
    std = train.std(axis=0, dtype=np.float64)
    std[std < 1e-9] = 1
    return mean, std
