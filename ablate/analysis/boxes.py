"""The numbers of a box plot."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ablate.analysis.dataframes import groups, where
from ablate.analysis.registry import analysis
from ablate.definitions.study_results import StudyResults

REFERENCE = "reference"  # the verdict of the reference itself

_COLUMNS = [
    *("task", "set", "variant", "n", "diverged", "min", "q1", "median", "mean", "q3", "max"),
    *("parameters", "verdict", "p_adjusted", "n_outside"),
]


@analysis("boxes")
def boxes(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each task, set ("all", "best") and variant: what a box plot shows, after Greff et al. 2017, figure 3.

    Columns:
        set: all scored trials, or the best of them by validation.
        n: trials in the set.
        diverged: those among them that diverged.
        min: the lowest score.
        q1: the score's lower quartile, linear between trials.
        median: its median.
        mean: its mean.
        q3: its upper quartile.
        max: the highest score.
        parameters: mean number of weights.
        verdict: as in `comparisons`, or "reference" for the reference itself.
        p_adjusted: as in `comparisons`; empty for the reference.
        n_outside: trials whose score is worse than the axis limits.
    """
    trials = tables["trial_subsets"].sort_values(["set", "task", "variant", "index"])
    limits = tables["axis_limits"].set_index(["task", "set"])
    found = tables["comparisons"].set_index(["task", "set", "variant"])
    rows = []
    for (task, name, variant), group in groups(trials, "task", "set", "variant"):
        scores = group["score"].to_numpy()
        low, q1, median, q3, high = np.quantile(scores, [0, 0.25, 0.5, 0.75, 1])
        limit = limits.loc[(task, name)]
        outside = scores > limit["high"] if results.sign(task) > 0 else scores < limit["low"]
        row = {"task": task, "set": name, "variant": variant, "n": len(group)}
        row |= {"diverged": len(where(group, state="diverged")), "n_outside": int(np.sum(outside))}
        row |= {"min": low, "q1": q1, "median": median, "mean": scores.mean(), "q3": q3, "max": high}
        row |= {"parameters": group["parameters"].mean(), "verdict": REFERENCE, "p_adjusted": np.nan}
        if variant != results.reference:
            row |= found.loc[(task, name, variant), ["verdict", "p_adjusted"]].to_dict()
        rows.append(row)
    return pd.DataFrame(rows, columns=_COLUMNS)
