"""What a trial responds to its hyperparameters with, of each variant and of all variants of a task together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ablate.analysis.axes import places, sampled_axes
from ablate.analysis.dataframes import groups, select, unique
from ablate.definitions.study_results import StudyResults

POOLED = "all variants"
SCORE, SECONDS = "score", "seconds"
MOST_POINTS = 400  # the cost of a surrogate grows with their third power
SEED = 0  # of which points stand for more

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Response:
    """The responses of one variant on one task, or of all variants of a task.

    Args:
        u: the trials' places on the axes, (trials, axes).
        y: the losses, or the logarithms of the seconds, (trials,).
    """

    task: str
    variant: str
    response: str
    u: Array
    y: Array


def importance_axes(results: StudyResults) -> dict[str, dict[str, Any]]:
    """The axes that were drawn from more than one value."""
    return {name: axis for name, axis in sampled_axes(results).items() if axis["low"] < axis["high"]}


def responses(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[Response]:
    """By task and variant, then those of all variants together; controls are left out.

    Pooled are the variants' deviations from their own means, with the mean of these means added. Trials of several
    variants at one draw are averaged first: they are one point of the search and not many. Of more than MOST_POINTS
    points, so many are chosen at random.
    """
    axes = importance_axes(results)
    scored = select(tables["scored_trials"], ~tables["scored_trials"]["variant"].isin(results.controls))
    made = {
        SCORE: scored["score"] * results.signs(scored),
        SECONDS: np.log(scored["seconds"].where(scored["score"].notna() & (scored["seconds"] > 0))),
    }
    found = []
    for response, y in made.items() if axes else ():
        at = {name: places(scored, name, axis) for name, axis in axes.items()}
        table = scored[["task", "variant", "index"]].assign(y=y, **at)
        table = select(table, np.isfinite(table[["y", *axes]]).all(axis=1))
        for (task, variant), group in groups(table, "task", "variant"):
            found.append(_response(task, variant, response, group, list(axes)))
        for (task,), group in groups(table, "task"):
            if len(unique(group, "variant")) > 1:
                found.append(_response(task, POOLED, response, _pooled(group, list(axes)), list(axes)))
    return found


def _pooled(table: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """A row a draw: the mean of its variants' deviations from their own means, with the mean of these added."""
    means = {variant: group["y"].to_numpy().mean() for (variant,), group in groups(table, "variant")}
    own = np.array([means[variant] for variant in table["variant"]])
    centred = table.assign(y=table["y"] - own + np.mean(list(means.values())))
    return pd.DataFrame(centred.groupby(["index", *axes])[["y"]].mean()).reset_index()


def _response(task: str, variant: str, response: str, table: pd.DataFrame, axes: list[str]) -> Response:
    table = table.sort_values([*axes, "y"], ignore_index=True)
    if len(table) > MOST_POINTS:
        chosen = np.random.default_rng(SEED).choice(len(table), MOST_POINTS, replace=False)
        table = table.iloc[np.sort(chosen)]
    return Response(task, variant, response, table[axes].to_numpy(float), table["y"].to_numpy(float))
