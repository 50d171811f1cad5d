"""The trials with their scores, and the best of them.

A table of trials is sorted by task, variant and index, so that the order of the rows on disk never shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ablate.analysis.dataframes import groups, where
from ablate.analysis.registry import analysis
from ablate.definitions.study_results import StudyResults

FRACTION = 0.1  # Greff et al. 2017: the best 10 % of the trials, chosen on the validation set
# Below five values a standard deviation is hardly known (with five, its 95 % interval already runs from 0.6 to
# 2.9 times the estimate), and a verdict would rest on the assumed normal shape alone.
MIN_TRIALS = 5
STATES = ("completed", "diverged", "failed")
SETS = ("all", "best")  # every trial; the best ones

KEY = ["task", "variant", "index"]
HYPERPARAMETERS = ("hidden_size", "learning_rate", "momentum", "input_noise")
_NUMBERS = ["index", *HYPERPARAMETERS, "validation", "test", "best_epoch", "epochs", "parameters", "seconds"]
_COLUMNS = ["task", "variant", "state", "reason", *_NUMBERS]


@analysis("scored_trials")
def scored_trials(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every trial, a row each: the columns of trials.csv and `score`, in the unit of the task's metric.

    - completed: the test score.
    - diverged: the worst test score of any completed trial of the same task. Divergence is a result, not an
      accident: leaving it out would flatter the variants that diverge. The worst score seen is the mildest
      number that still ranks last, so means and tests do not hang on an invented penalty.
    - failed (an exception): none (NaN); such trials are counted, never scored.

    Where no trial of a task completed there is no worst score to give, and its diverged trials have none either.

    Columns:
        score: what the trial counts as, in the task's unit; empty where it has none.
    """
    table = _plain_types(results.trials)
    sign = results.signs(table)
    completed = table["state"].eq("completed") & np.isfinite(table["test"])
    loss = (table["test"] * sign).where(completed)
    worst = {task: rows["loss"].max() for (task,), rows in groups(table.assign(loss=loss), "task")}
    imputed = pd.Series([worst[task] for task in table["task"]], index=table.index, dtype=float)
    ran = table["state"].isin(["completed", "diverged"])
    table["score"] = loss.where(completed, imputed).where(ran) * sign
    return table


@analysis("trial_subsets")
def trial_subsets(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The scored trials once in the set "all", and the best ones once more in the set "best".

    Columns:
        set: all scored trials, or the best of them by validation.
        score: as in `scored_trials`.
    """
    everything = tables["scored_trials"].dropna(subset="score")
    parts = {"all": everything, "best": best_trials(results, everything)}
    table = pd.concat([part.assign(set=name) for name, part in parts.items()], ignore_index=True)
    return table.filter(["task", "set", "variant", "index", "state", "learning_rate", "score", "parameters"])


def best_trials(results: StudyResults, scored: pd.DataFrame, fraction: float = FRACTION) -> pd.DataFrame:
    """The best trials of each task and variant by VALIDATION score, best first.

    As many as `fraction` of the scored trials, rounded up, so at least one; in a small study MIN_TRIALS, or half of the
    trials if that is less. Diverged trials have no validation score and come last. Equal validation scores are told
    apart by index, never by the test score.
    """
    table = by_validation(results, scored.dropna(subset="score"))
    parts = [rows.head(_how_many(len(rows), fraction)) for _, rows in groups(table, "task", "variant")]
    return pd.concat(parts, ignore_index=True) if parts else table


def best_trial(results: StudyResults, scored: pd.DataFrame) -> pd.DataFrame:
    """Each task and variant's best completed trial by validation, a row each."""
    return by_validation(results, where(scored, state="completed")).groupby(["task", "variant"]).head(1)


def by_validation(results: StudyResults, table: pd.DataFrame) -> pd.DataFrame:
    """The trials of each task and variant from the best validation score to the worst, then those without one."""
    loss = (table["validation"] * results.signs(table)).where(table["state"].eq("completed"))
    ranked = table.assign(_loss=loss).sort_values(["task", "variant", "_loss", "index"], na_position="last")
    return ranked.drop(columns="_loss").reset_index(drop=True)


def _how_many(trials: int, fraction: float) -> int:
    # Rounded before ceil: 0.1 * 30 is a hair above 3 in floating point.
    return max(math.ceil(round(trials * fraction, 9)), min(MIN_TRIALS, trials // 2))


def _plain_types(trials: pd.DataFrame) -> pd.DataFrame:
    """A sorted copy with every column of the contract and plain types, whether or not any trial has run."""
    extra = [name for name in trials.columns if name not in _COLUMNS]
    table = trials.reindex(columns=[*_COLUMNS, *extra])
    table[_NUMBERS] = table[_NUMBERS].apply(pd.to_numeric).astype(float)
    table[["task", "variant", "state"]] = table[["task", "variant", "state"]].astype("str")
    table["index"] = table["index"].astype(int)
    return table.sort_values(KEY, ignore_index=True)
