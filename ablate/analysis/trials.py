"""The trials with their scores, and the best of them.

A table of trials is sorted by task, variant and index, so that the order of the rows on disk never shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd

from ablate.analysis.dataframes import groups, unique, where
from ablate.analysis.registry import analysis
from ablate.definitions.study_results import StudyResults, control_name

FRACTION = 0.1  # Greff et al. 2017: the best 10 % of the trials, chosen on the validation set
# Below five values a standard deviation is hardly known (with five, its 95 % interval already runs from 0.6 to
# 2.9 times the estimate), and a verdict would rest on the assumed normal shape alone.
MIN_TRIALS = 5
STATES = ("completed", "diverged", "failed")

KEY = ["task", "variant", "index"]
HYPERPARAMETERS = ("hidden_size", "learning_rate", "momentum", "input_noise")  # of every trial
DRAWN_TRAINING = ("init_std", "forget_bias", "gradient_clipping", "gradient_norm")  # of those whose search has them
_NUMBERS = ["index", *HYPERPARAMETERS, "validation", "test", "best_epoch", "epochs", "parameters", "seconds"]
_COLUMNS = ["task", "variant", "state", "reason", *_NUMBERS]


@analysis("scored_trials")
def scored_trials(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every trial of the search, a row each: the columns of trials.csv and `score`, in the unit of the task's metric.

    The reference's negative controls are among them, as variants called "control 1" and so on.

    - completed: the test score, but no worse than that of the baseline (the best constant predictor, or a number of
      theory). Beyond, scores say how a network failed and no longer how well it learnt, and one of them can outweigh
      a hundred others. A test score that is not finite counts as the baseline.
    - diverged (no finite validation score at any epoch): the baseline. Divergence is a result: leaving it out would
      flatter the variants that diverge.
    - failed (an exception): none (NaN); such trials are counted, never scored.

    So no variant's score depends on what other variants do. Where no baseline is known, the worst completed score of
    the reference stands in its place; where that is not known either, diverged trials have no score.

    Columns:
        score: what the trial counts as, in the task's unit; empty where it has none.
    """
    controls = results.replicates
    if results.control_numbers:
        controls = controls[controls["purpose"].eq("control") & controls["variant"].eq(results.reference)]
        controls = controls.assign(variant=[control_name(number) for number in controls["replicate"]])
        every = pd.concat([results.trials, controls.drop(columns=["purpose", "replicate"])], ignore_index=True)
        return score_trials(results, every)
    return score_trials(results, results.trials)


def score_trials(results: StudyResults, trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of the search or replicates, sorted, with their `score`: see `scored_trials`."""
    table = _plain_types(trials)
    sign = results.signs(table)
    caps = {task: _cap(results, task) for task in unique(table, "task")}
    cap = pd.Series([caps[task] for task in table["task"]], index=table.index, dtype=float)
    loss = (table["test"] * sign).where(table["state"].eq("completed") & np.isfinite(table["test"]), cap)
    ran = table["state"].isin(["completed", "diverged"])
    table["score"] = loss.where(~(loss > cap), cap).where(ran) * sign  # a cap that is not known caps nothing
    return table


def _cap(results: StudyResults, task: str) -> float:
    """The loss that no score of a task exceeds; NaN where none is known."""
    sign, baseline = results.sign(task), results.baselines.get(task)
    if baseline is not None and math.isfinite(baseline):
        return sign * baseline
    if results.trials.empty:
        return math.nan
    mine = where(results.trials, task=task, variant=results.reference, state="completed")
    losses = sign * mine["test"].to_numpy(float, na_value=np.nan)
    losses = losses[np.isfinite(losses)]
    return float(losses.max()) if len(losses) else math.nan


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
    parts = [rows.head(how_many_best(len(rows), fraction)) for _, rows in groups(table, "task", "variant")]
    return pd.concat(parts, ignore_index=True) if parts else table


def best_trial(results: StudyResults, scored: pd.DataFrame) -> pd.DataFrame:
    """Each task and variant's best completed trial by validation, a row each."""
    return by_validation(results, where(scored, state="completed")).groupby(["task", "variant"]).head(1)


def by_validation(results: StudyResults, table: pd.DataFrame) -> pd.DataFrame:
    """The trials of each task and variant from the best validation score to the worst, then those without one."""
    ranked = table.assign(_loss=validation_losses(table, results.signs(table))).sort_values(
        ["task", "variant", "_loss", "index"], na_position="last"
    )
    return ranked.drop(columns="_loss").reset_index(drop=True)


def validation_losses(trials: pd.DataFrame, sign: pd.Series | float) -> pd.Series:
    """The validation scores as losses, NaN where a trial has none that is finite, or did not complete."""
    loss = (trials["validation"] * sign).where(trials["state"].eq("completed"))
    return cast(pd.Series, loss.where(np.isfinite(loss)))


def how_many_best(trials: int, fraction: float = FRACTION) -> int:
    """How many of so many trials are the best ones."""
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
