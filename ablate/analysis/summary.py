"""What became of the trials of each task and variant: how many ended, the best and the median one, what failed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import pandas as pd

from ablate.analysis.dataframes import groups, where
from ablate.analysis.registry import analysis
from ablate.analysis.trials import HYPERPARAMETERS, STATES, by_validation
from ablate.definitions.study_results import StudyResults

_DETAILS = ("index", "state", "validation", "test", "score", "epoch", "epochs", "parameters", *HYPERPARAMETERS)
_COLUMNS = [
    *("task", "variant", *STATES),
    *(f"{prefix}_{name}" for prefix in ("best", "median") for name in _DETAILS),
    *("parameters", "mean_seconds", "total_seconds"),
]


@analysis("trial_counts")
def trial_counts(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for every task and variant of the plan.

    Columns:
        expected: trials that the plan asks for.
        completed: trials with a finite validation score at some epoch.
        diverged: trials without any.
        failed: trials that ended by an exception, or with their worker.
        missing: trials that have not ended.
    """
    found = tables["scored_trials"].groupby(["task", "variant", "state"]).size().to_dict()
    expected = results.expected_trials
    rows = []
    for task, variant in itertools.product(results.task_order, results.variant_order):
        seen = {state: int(found.get((task, variant, state), 0)) for state in STATES}
        missing = max(0, expected - sum(seen.values()))
        rows.append({"task": task, "variant": variant, "expected": expected, **seen, "missing": missing})
    return pd.DataFrame(rows, columns=["task", "variant", "expected", *STATES, "missing"])


@analysis("summary")
def summary(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each task and variant that was tried.

    The best trial is the best completed one by validation, the honest choice. The median trial is the one in the
    middle by score, diverged ones last; with an even number the better of the middle two, so that it was run.

    Columns:
        completed: trials with a finite validation score at some epoch.
        diverged: trials without any.
        failed: trials that ended by an exception, or with their worker.
        best_score: of the best trial: what it counts as, see `scored_trials`.
        best_epoch: of the best trial: its best epoch by validation, from 1.
        best_*: of the best trial.
        median_score: of the median trial: what it counts as, see `scored_trials`.
        median_epoch: of the median trial: its best epoch by validation, from 1.
        median_*: of the median trial.
        parameters: mean number of weights of the scored trials.
        mean_seconds: mean wall time of a completed trial.
        total_seconds: wall time of all trials, whatever became of them.
    """
    rows = []
    for (task, variant), group in groups(tables["scored_trials"], "task", "variant"):
        done = where(group, state="completed")
        ranked = group[group["state"].isin(["completed", "diverged"])]
        # Many share the baseline's score: what they measured decides between them, and diverged ones come last.
        losses = {"_loss": ranked["score"] * results.sign(task), "_raw": ranked["test"] * results.sign(task)}
        ranked = ranked.assign(**losses).sort_values(["_loss", "state", "_raw", "index"])
        middle = ranked.iloc[(len(ranked) - 1) // 2 :] if len(ranked) else ranked
        row: dict[str, object] = {"task": task, "variant": variant}
        row |= {state: len(where(group, state=state)) for state in STATES}
        row |= _first("best", by_validation(results, done)) | _first("median", middle)
        row |= {"parameters": ranked["parameters"].mean(), "mean_seconds": done["seconds"].mean()}
        rows.append(row | {"total_seconds": group["seconds"].sum()})
    return pd.DataFrame(rows, columns=_COLUMNS)


@analysis("failures")
def failures(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The trials that ended in an error, with its first line as the reason."""
    return where(tables["scored_trials"], state="failed").filter(["task", "variant", "index", "reason"])


def _first(prefix: str, ranked: pd.DataFrame) -> dict[str, object]:
    """What the summary says of the first row, or of none."""
    ranked = ranked.rename(columns={"best_epoch": "epoch"})
    return {f"{prefix}_{name}": ranked[name].iloc[0] if len(ranked) else math.nan for name in _DETAILS}
