"""From the raw table of trials to scored, selected and summarised ones.

Every function takes tables and returns new tables, sorted by task, variant and index, so that the order of
the rows read from disk never shows in a result. `directions` maps a task to "minimize" or "maximize"; a task
that it leaves out is minimised.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from ablate.analysis.frames import groups, signs, where

FRACTION = 0.1  # Greff et al. 2017: the best 10 % of the trials, chosen on the validation set
# Below five values a standard deviation is hardly known (with five, its 95 % interval already runs from 0.6 to
# 2.9 times the estimate), and a verdict would rest on the assumed normal shape alone.
MIN_TRIALS = 5
STATES = ("completed", "diverged", "failed")
SETS = ("all", "best")  # every trial; the best ones

HYPERPARAMETERS = ("hidden_size", "learning_rate", "momentum", "input_noise")
_KEYS = ["task", "variant", "index"]
_NUMBERS = ["index", *HYPERPARAMETERS, "validation", "test", "best_epoch", "epochs", "parameters", "seconds"]
_COLUMNS = ["task", "variant", "state", "reason", *_NUMBERS]


def scored(trials: pd.DataFrame, directions: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The trials with a column `score`, in the unit of the task's metric.

    - completed: the test score.
    - diverged: the worst test score of any completed trial of the same task. Divergence is a result, not an
      accident: leaving it out would flatter the variants that diverge. The worst score seen is the mildest
      number that still ranks last, so means and tests do not hang on an invented penalty.
    - failed (an exception): none (NaN); such trials are counted, never scored.

    Where no trial of a task completed there is no worst score to give, and its diverged trials have none either.
    """
    table = _tidy(trials)
    sign = signs(table, directions)
    completed = table["state"].eq("completed") & np.isfinite(table["test"])
    loss = (table["test"] * sign).where(completed)
    worst = {task: rows["loss"].max() for (task,), rows in groups(table.assign(loss=loss), "task")}
    imputed = pd.Series([worst[task] for task in table["task"]], index=table.index, dtype=float)
    ran = table["state"].isin(["completed", "diverged"])
    table["score"] = loss.where(completed, imputed).where(ran) * sign
    return table


def best_fraction(
    trials: pd.DataFrame, fraction: float = FRACTION, directions: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The best trials of each task and variant by VALIDATION score, best first.

    As many as `fraction` of the scored trials, rounded up, so at least one; in a small study MIN_TRIALS, or half of the
    trials if that is less. Diverged trials have no validation score and come last. Equal validation scores are told
    apart by index, never by the test score.
    """
    table = _by_validation(with_score(trials, directions).dropna(subset="score"), directions)
    parts = [rows.head(_how_many(len(rows), fraction)) for _, rows in groups(table, "task", "variant")]
    return pd.concat(parts, ignore_index=True) if parts else table


def _how_many(trials: int, fraction: float) -> int:
    # Rounded before ceil: 0.1 * 30 is a hair above 3 in floating point.
    return max(math.ceil(round(trials * fraction, 9)), min(MIN_TRIALS, trials // 2))


def trial_sets(
    trials: pd.DataFrame, fraction: float = FRACTION, directions: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Every scored trial once in the set "all", and the best ones once more in the set "best"."""
    everything = with_score(trials, directions).dropna(subset="score")
    parts = {"all": everything, "best": best_fraction(everything, fraction, directions)}
    return pd.concat([part.assign(set=name) for name, part in parts.items()], ignore_index=True)


def counts(trials: pd.DataFrame, tasks: Iterable[str], variants: Iterable[str], expected: int) -> pd.DataFrame:
    """A row for every task and variant of the plan: trials expected, completed, diverged, failed and missing."""
    table = _tidy(trials)
    found = table.groupby(["task", "variant", "state"]).size().to_dict()
    rows = []
    for task, variant in itertools.product(tasks, list(variants)):
        seen = {state: int(found.get((task, variant, state), 0)) for state in STATES}
        missing = max(0, expected - sum(seen.values()))
        rows.append({"task": task, "variant": variant, "expected": expected, **seen, "missing": missing})
    return pd.DataFrame(rows, columns=["task", "variant", "expected", *STATES, "missing"])


def summary(trials: pd.DataFrame, directions: Mapping[str, str] | None = None) -> pd.DataFrame:
    """A row for each task and variant that was tried.

    - `completed`, `diverged`, `failed`: trials in each state.
    - `best_*`: the best completed trial by validation, the honest choice: its index, scores, hyperparameters.
    - `median_*`: the trial in the middle by `score`, diverged ones last; with an even number the better of the
      middle two, so that it is always a trial that was run.
    - `parameters`: mean weights of the scored trials. `mean_seconds`: wall time of a completed trial;
      `total_seconds`: of all trials, whatever became of them.
    """
    table = with_score(trials, directions)
    rows = []
    for (task, variant), group in groups(table, "task", "variant"):
        done = where(group, state="completed")
        ranked = group.dropna(subset="score")
        # Diverged trials share the worst completed score, so the state decides between equals.
        ranked = ranked.assign(_loss=ranked["score"] * signs(ranked, directions))
        ranked = ranked.sort_values(["_loss", "state", "index"])
        middle = ranked.iloc[(len(ranked) - 1) // 2 :] if len(ranked) else ranked
        row: dict[str, object] = {"task": task, "variant": variant}
        row |= {state: len(where(group, state=state)) for state in STATES}
        row |= _one("best", _by_validation(done, directions)) | _one("median", middle)
        row |= {"parameters": ranked["parameters"].mean(), "mean_seconds": done["seconds"].mean()}
        rows.append(row | {"total_seconds": group["seconds"].sum()})
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["task", "variant", *STATES])


def best_curves(
    trials: pd.DataFrame, curves: pd.DataFrame, directions: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The curves of each task and variant's best completed trial by validation: a row an epoch.

    Columns: task, variant, index, epoch, train, validation, and `best`, true at the trial's best epoch.
    """
    columns = [*_KEYS, "epoch", "train", "validation"]
    trials, lines = _tidy(trials), curves.reindex(columns=columns)
    lines[columns[2:]] = lines[columns[2:]].apply(pd.to_numeric).astype(float)
    lines[["index", "epoch"]] = lines[["index", "epoch"]].astype(int)
    lines[["task", "variant"]] = lines[["task", "variant"]].astype("str")
    best = _best_trials(trials, directions)[[*_KEYS, "best_epoch"]]
    lines = lines.merge(best, on=_KEYS).sort_values([*_KEYS, "epoch"], ignore_index=True)
    return lines.assign(best=lines["epoch"].eq(lines["best_epoch"])).drop(columns="best_epoch")


def best_samples(
    trials: pd.DataFrame, samples: pd.DataFrame, directions: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """What each task and variant's best completed trial by validation wrote: task, variant, index, sample.

    `samples` has these columns, a row a trial. A variant whose best trial wrote nothing has no row.
    """
    if samples.empty:
        return pd.DataFrame(columns=[*_KEYS, "sample"])
    return _best_trials(_tidy(trials), directions)[_KEYS].merge(samples.reindex(columns=[*_KEYS, "sample"]), on=_KEYS)


def with_score(trials: pd.DataFrame, directions: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The trials as they are if already scored: the worst score of a selection is not that of the whole task."""
    return trials if "score" in trials else scored(trials, directions)


def _tidy(trials: pd.DataFrame) -> pd.DataFrame:
    """A sorted copy with every column of the contract and plain types, whether or not any trial has run."""
    extra = [name for name in trials.columns if name not in _COLUMNS]
    table = trials.reindex(columns=[*_COLUMNS, *extra])
    table[_NUMBERS] = table[_NUMBERS].apply(pd.to_numeric).astype(float)
    table[["task", "variant", "state"]] = table[["task", "variant", "state"]].astype("str")
    table["index"] = table["index"].astype(int)
    return table.sort_values(_KEYS, ignore_index=True)


def _one(prefix: str, ranked: pd.DataFrame) -> dict[str, object]:
    """What the summary says of the first row, or of none."""
    ranked = ranked.rename(columns={"best_epoch": "epoch"})
    details = ["index", "state", "validation", "test", "score", "epoch", "epochs", "parameters", *HYPERPARAMETERS]
    return {f"{prefix}_{name}": ranked[name].iloc[0] if len(ranked) else math.nan for name in details}


def _best_trials(trials: pd.DataFrame, directions: Mapping[str, str] | None) -> pd.DataFrame:
    """Each task and variant's best completed trial by validation."""
    return _by_validation(where(trials, state="completed"), directions).groupby(["task", "variant"]).head(1)


def _by_validation(table: pd.DataFrame, directions: Mapping[str, str] | None) -> pd.DataFrame:
    loss = (table["validation"] * signs(table, directions)).where(table["state"].eq("completed"))
    ranked = table.assign(_loss=loss).sort_values(["task", "variant", "_loss", "index"], na_position="last")
    return ranked.drop(columns="_loss").reset_index(drop=True)
