"""What inputs are normalised with: the statistics of the training frames, and of no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float64]  # (M,)


def mean_and_deviation(train: npt.NDArray[Any]) -> tuple[Row, Row]:
    """The mean and the standard deviation of each input over the training frames (frames, M).

    An input that is constant there, but for rounding, has the deviation 1: it tells nothing, and stays constant.
    """
    mean = train.mean(axis=0, dtype=np.float64)
    deviation = train.std(axis=0, dtype=np.float64)
    deviation[deviation < 1e-9] = 1
    return mean, deviation
