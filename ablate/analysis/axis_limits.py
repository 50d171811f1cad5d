"""The range of scores worth showing in a figure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from ablate.analysis.dataframes import groups
from ablate.analysis.registry import analysis
from ablate.definitions.study_results import StudyResults


@analysis("axis_limits")
def axis_limits(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The range of scores worth showing for each task and set.

    Random search tries learning rates at which nothing is learnt, and one such score can be seven times the
    best. So the range runs from the best score to the worst within the far fence of a box plot (the upper quartile
    plus three times the distance between quartiles) that still beats the constant predictor, where any does. Half of
    all the trials are in it in any case. Where the baseline comes from theory, the range runs to the baseline: how far
    below it a score lies says what was learnt.

    Columns:
        set: all scored trials, or the best of them by validation.
        low: the lower end of the range, in the task's unit.
        high: its upper end.
        baseline: the test score without learning; empty where it is not known.
    """
    rows = []
    for (task, name), group in groups(tables["trial_subsets"], "task", "set"):
        sign = results.sign(task)
        low, high = _limits(results, task, sign * group["score"].to_numpy())
        rows.append(_row(results, task, sign * low, sign * high) | {"set": name})
    return _table(rows, ["task", "set", "low", "high", "baseline"])


@analysis("curve_axis_limits")
def curve_axis_limits(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The range of validation scores worth showing for each task's curves.

    The last point of every curve that beats the constant predictor with some room above, and all points within the far
    fence of a box plot: the first epochs, and variants that learn nothing, may lie beyond.

    Columns:
        low: the lower end of the range, in the task's unit.
        high: its upper end.
        baseline: the test score without learning; empty where it is not known.
    """
    rows = []
    for (task,), group in groups(tables["learning_curves"], "task"):
        sign = results.sign(task)
        loss = sign * group["median"].to_numpy()
        low, top = _limits(results, task, sign * group.groupby("variant")["median"].last().to_numpy())
        q1, q3 = np.quantile(loss, [0.25, 0.75])
        theory = results.task(task).theoretical_baseline
        high = top if theory else max(top + (top - low) / 4, float(loss[loss <= q3 + 3 * (q3 - q1)].max()))
        rows.append(_row(results, task, sign * min(low, loss.min()), sign * min(high, max(top, loss.max()))))
    return _table(rows, ["task", "low", "high", "baseline"])


def _limits(results: StudyResults, task: str, loss: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The least loss and the largest worth showing."""
    metadata = results.task(task)
    baseline = None if metadata.baseline is None else results.sign(task) * metadata.baseline
    low = float(loss.min())
    if metadata.theoretical_baseline and baseline is not None and baseline > low:
        return low, max(baseline, float(np.median(loss)))
    q1, q3 = np.quantile(loss, [0.25, 0.75])
    limit = float(q3 + 3 * (q3 - q1))
    if baseline is not None and baseline >= low:
        limit = min(limit, baseline)
    high = max(float(loss[loss <= limit].max()), float(np.median(loss)))
    # A baseline just out of sight is worth the little room that it takes.
    near = baseline is not None and 0 < baseline - high < (high - low) / 4
    return low, baseline if near and baseline is not None else high


def _row(results: StudyResults, task: str, *ends: float) -> dict[str, object]:
    return {"task": task, "low": min(ends), "high": max(ends), "baseline": results.task(task).baseline}


def _table(rows: list[dict[str, object]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns).astype({"low": float, "high": float, "baseline": float})
