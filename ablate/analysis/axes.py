"""The sampled axes of a study, as places between 0 and 1 on the scale that the search drew them on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ablate.analysis.trials import DRAWN_TRAINING, HYPERPARAMETERS
from ablate.definitions.study_results import StudyResults

Array = npt.NDArray[np.float64]


def sampled_axes(results: StudyResults) -> dict[str, dict[str, Any]]:
    """The hyperparameters that were drawn from a range, with its `low`, `high` and `scale`."""
    search = results.configuration.get("search", {})
    return {
        name: search[name]
        for name in (*HYPERPARAMETERS, *DRAWN_TRAINING)
        if isinstance(search.get(name), dict) and {"low", "high", "scale"} <= set(search[name])
    }


def places(trials: pd.DataFrame, name: str, axis: dict[str, Any]) -> Array:
    """Where the values of an axis lie between the ends of its range, (trials,).

    A hidden size counts as it was drawn: where sizes are matched, it stands for the number of parameters.
    """
    values = trials[name].to_numpy(float)
    if name == "hidden_size" and "drawn_size" in trials:
        values = trials["drawn_size"].fillna(trials[name]).to_numpy(float)
    if axis["scale"] == "linear":
        ends = axis["low"], axis["high"]
    else:
        values = np.log(1 - values if axis["scale"] == "one-minus-log" else values)
        ends = np.log(axis["low"]), np.log(axis["high"])
    return (values - ends[0]) / (ends[1] - ends[0])


def values(places: Array, axis: dict[str, Any]) -> Array:
    """The values at places between the ends of an axis' range: what `places` gives, turned round."""
    if axis["scale"] == "linear":
        return axis["low"] + places * (axis["high"] - axis["low"])
    found = axis["low"] * (axis["high"] / axis["low"]) ** places
    return 1 - found if axis["scale"] == "one-minus-log" else found
