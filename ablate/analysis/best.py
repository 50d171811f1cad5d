"""What each task and variant's best trial learnt and wrote."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ablate.analysis.registry import analysis
from ablate.analysis.trials import KEY, best_trial
from ablate.definitions.study_results import StudyResults


@analysis("best_curves")
def best_curves(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The curves of each task and variant's best completed trial by validation: a row an epoch.

    Columns:
        epoch: from 1.
        train: mean training score of the epoch's updates, in the task's unit.
        validation: validation score after the epoch, in the task's unit.
        best: whether this is the trial's best epoch by validation.
    """
    columns = [*KEY, "epoch", "train", "validation"]
    curves = results.curves.reindex(columns=columns)
    curves[columns[2:]] = curves[columns[2:]].apply(pd.to_numeric).astype(float)
    curves[["index", "epoch"]] = curves[["index", "epoch"]].astype(int)
    curves[["task", "variant"]] = curves[["task", "variant"]].astype("str")
    best = best_trial(results, tables["scored_trials"])[[*KEY, "best_epoch"]]
    curves = curves.merge(best, on=KEY).sort_values([*KEY, "epoch"], ignore_index=True)
    return curves.assign(best=curves["epoch"].eq(curves["best_epoch"])).drop(columns="best_epoch")


@analysis("generated_texts")
def generated_texts(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What each task and variant's best completed trial by validation wrote.

    A variant whose best trial wrote nothing has no row.

    Columns:
        sample: the text that its network wrote.
    """
    if results.samples.empty:
        return pd.DataFrame(columns=[*KEY, "sample"])
    best = best_trial(results, tables["scored_trials"])[KEY]
    return best.merge(results.samples.reindex(columns=[*KEY, "sample"]), on=KEY)
