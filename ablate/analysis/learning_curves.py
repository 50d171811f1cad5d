"""How the best trials of each variant learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pandas as pd

from ablate.analysis.dataframes import groups, where
from ablate.analysis.registry import analysis
from ablate.analysis.trials import KEY, best_trials
from ablate.definitions.study_results import StudyResults

_COLUMNS = ["task", "variant", "epoch", "n", "low", "median", "high"]


@analysis("learning_curves")
def learning_curves(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What the best tenth of each variant's trials, by validation, had reached after each epoch.

    A trial's curve is the best validation score so far, which is what early stopping would keep. So it goes on where
    the trial has stopped, and no epoch leaves out those that were done.

    Columns:
        epoch: from 1 to the last one that any of these trials ran.
        n: completed trials behind it.
        low: the lower quartile of what they had reached, in the task's unit.
        median: its median.
        high: its upper quartile.
    """
    columns = [*KEY, "epoch", "validation"]
    best = where(best_trials(results, tables["scored_trials"]), state="completed").filter(KEY)
    curves = results.curves_of(best).reindex(columns=columns)
    curves[["task", "variant"]] = curves[["task", "variant"]].astype("str")
    curves[["index", "epoch"]] = curves[["index", "epoch"]].astype(int)
    curves[["validation"]] = curves[["validation"]].apply(pd.to_numeric).astype(float)
    rows = []
    for (task, variant), group in groups(curves, "task", "variant"):
        sign = results.sign(task)
        losses = sign * group.pivot_table(index="epoch", columns="index", values="validation")
        reached = sign * cast(pd.DataFrame, losses.cummin().ffill())
        quartiles = {name: reached.quantile(q, axis=1) for name, q in (("low", 0.25), ("median", 0.5), ("high", 0.75))}
        table = pd.DataFrame({"task": task, "variant": variant, "n": reached.shape[1], **quartiles}).reset_index()
        rows.append(table[_COLUMNS])
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=_COLUMNS)
