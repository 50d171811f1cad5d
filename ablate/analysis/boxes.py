"""The numbers behind the figures, which never compute: boxes, verdicts, and the range of scores worth showing."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from ablate.analysis.compare import compare
from ablate.analysis.frames import groups, sign_of, where
from ablate.analysis.trials import FRACTION, SETS, trial_sets

REFERENCE = "reference"  # the verdict of the reference itself
FEW_EPOCHS = 5  # up to this many, a curve is shown whole

_BOX = ["n", "diverged", "min", "q1", "median", "mean", "q3", "max", "parameters", "verdict", "p_holm", "beyond"]


def compare_sets(sets: pd.DataFrame, reference: str, directions: Mapping[str, str] | None = None) -> pd.DataFrame:
    """`compare` for all trials and for the best ones, told apart by the column `set`.

    `sets` is what `trial_sets` returns. Each task and set is a family of tests of its own for Holm's correction.
    """
    parts = [compare(where(sets, set=name), reference, directions).assign(set=name) for name in SETS]
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True)


def views(
    sets: pd.DataFrame,
    baselines: Mapping[str, float | None] | None = None,
    directions: Mapping[str, str] | None = None,
    anchored: Collection[str] = (),
) -> pd.DataFrame:
    """The range of scores worth showing for each task and set: columns task, set, low, high, baseline.

    Random search tries learning rates at which nothing is learnt, and one such score can be seven times the
    best. So the range runs from the best score to the worst within the far fence of a box plot (the upper quartile
    plus three times the distance between quartiles) that still beats the constant predictor (`baselines`, by task),
    where any does. Half of all the trials are in it in any case. For the tasks in `anchored`, whose baselines come
    from theory, it runs to the baseline: how far below it a score lies says what was learnt.
    """
    rows = []
    for (task, name), group in groups(sets, "task", "set"):
        sign = sign_of(task, directions)
        baseline = (baselines or {}).get(task)
        limit = None if baseline is None else sign * baseline
        ends = [sign * end for end in _view(sign * group["score"].to_numpy(), limit, task in anchored)]
        rows.append({"task": task, "set": name, "low": min(ends), "high": max(ends), "baseline": baseline})
    table = pd.DataFrame(rows, columns=["task", "set", "low", "high", "baseline"])
    return table.astype({"low": float, "high": float, "baseline": float})


def box_statistics(
    trials: pd.DataFrame,
    reference: str = "V",
    baselines: Mapping[str, float | None] | None = None,
    fraction: float = FRACTION,
    directions: Mapping[str, str] | None = None,
    anchored: Collection[str] = (),
) -> pd.DataFrame:
    """A row for each task, set ("all", "best") and variant: what a box plot shows, after Greff et al. 2017, figure 3.

    Quantiles of the score (linear between trials), mean, range, mean parameters, the verdict against the
    reference within the set, and `beyond`: the trials whose score is worse than the range of `views`.
    """
    sets = trial_sets(trials, fraction, directions).sort_values(["set", "task", "variant", "index"])
    ranges = views(sets, baselines, directions, anchored).set_index(["task", "set"])
    found = compare_sets(sets, reference, directions).set_index(["task", "set", "variant"])
    rows = []
    for (task, name, variant), group in groups(sets, "task", "set", "variant"):
        scores = group["score"].to_numpy()
        low, q1, median, q3, high = np.quantile(scores, [0, 0.25, 0.5, 0.75, 1])
        view = ranges.loc[(task, name)]
        beyond = scores > view["high"] if sign_of(task, directions) > 0 else scores < view["low"]
        row = {"task": task, "set": name, "variant": variant, "n": len(group)}
        row |= {"diverged": len(where(group, state="diverged")), "beyond": int(np.sum(beyond))}
        row |= {"min": low, "q1": q1, "median": median, "mean": scores.mean(), "q3": q3, "max": high}
        row |= {"parameters": group["parameters"].mean(), "verdict": REFERENCE, "p_holm": np.nan}
        if variant != reference:
            row |= found.loc[(task, name, variant), ["verdict", "p_holm"]].to_dict()
        rows.append(row)
    return pd.DataFrame(rows, columns=["task", "set", "variant", *_BOX])


def curve_views(
    curves: pd.DataFrame,
    baselines: Mapping[str, float | None] | None = None,
    directions: Mapping[str, str] | None = None,
    anchored: Collection[str] = (),
) -> pd.DataFrame:
    """The range of validation scores worth showing for each task's curves: columns task, low, high, baseline.

    All the best epochs that beat the constant predictor with some room above, and three fifths of all the
    epochs: the first few start far away and may leave the view, save where there are `FEW_EPOCHS` at most.
    `curves` is what `best_curves` returns.
    """
    rows = []
    for (task,), group in groups(curves.dropna(subset="validation"), "task"):
        sign, baseline = sign_of(task, directions), (baselines or {}).get(task)
        loss = sign * group["validation"].to_numpy()
        best = sign * group.loc[group["best"], "validation"].to_numpy()
        limit = None if baseline is None else sign * baseline
        low, top = _view(best, limit, task in anchored) if len(best) else (loss.min(), loss.max())
        shown = 0.6 if len(set(group["epoch"])) > FEW_EPOCHS else 1.0
        high = top if task in anchored else max(top + (top - low) / 4, np.quantile(loss, shown))
        ends = [sign * min(low, loss.min()), sign * min(high, max(top, loss.max()))]
        rows.append({"task": task, "low": min(ends), "high": max(ends), "baseline": baseline})
    table = pd.DataFrame(rows, columns=["task", "low", "high", "baseline"])
    return table.astype({"low": float, "high": float, "baseline": float})


def _view(loss: npt.NDArray[np.float64], baseline: float | None, anchored: bool) -> tuple[float, float]:
    """The least loss and the largest worth showing."""
    low = float(loss.min())
    if anchored and baseline is not None and baseline > low:
        return low, max(baseline, float(np.median(loss)))
    q1, q3 = np.quantile(loss, [0.25, 0.75])
    limit = float(q3 + 3 * (q3 - q1))
    if baseline is not None and baseline >= low:
        limit = min(limit, baseline)
    high = max(float(loss[loss <= limit].max()), float(np.median(loss)))
    # A baseline just out of sight is worth the little room that it takes.
    near = baseline is not None and 0 < baseline - high < (high - low) / 4
    return low, baseline if near and baseline is not None else high
