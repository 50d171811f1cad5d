"""Whether anything was learned: where not one trial beats the baseline, there is nothing to compare."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from ablate.analysis.dataframes import groups, where
from ablate.analysis.registry import analysis
from ablate.analysis.trials import best_trials
from ablate.analysis.verdicts import SETS
from ablate.definitions.study_results import StudyResults


@analysis("learning")
def learning(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How many trials beat the baseline, a row for each task, set and variant that has a scored trial.

    A trial beats it where its score is better by more than the margin of equivalence, which is no practical matter.

    Columns:
        set: which trials are compared, see `comparisons`.
        n: scored trials.
        learned: those among them that beat the baseline; empty where no baseline is known.
        nothing_learned: whether a baseline is known and not one of them beats it.
    """
    rows = []
    for name in SETS:
        for (task, variant), group in groups(trials_of(results, tables, name), "task", "variant"):
            bar = _bar(results, task)
            learned = (
                math.nan if math.isnan(bar) else int((results.sign(task) * group["score"].to_numpy(float) < bar).sum())
            )
            row = {"task": task, "set": name, "variant": variant, "n": len(group), "learned": learned}
            rows.append(row | {"nothing_learned": learned == 0})
    table = pd.DataFrame(rows, columns=["task", "set", "variant", "n", "learned", "nothing_learned"])
    return table.astype({"learned": float, "nothing_learned": bool})


def trials_of(results: StudyResults, tables: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """The scored trials that a set holds: all, the best by validation, or the best setting's trainings anew."""
    if name == "confirmed":
        return tables["confirmation_trials"].dropna(subset="score")
    scored = tables["scored_trials"].dropna(subset="score")
    return best_trials(results, scored) if name == "best" else scored


def unlearned(results: StudyResults, trials: pd.DataFrame, task: str) -> set[str]:
    """The variants not one of whose scored trials on a task beats the baseline; none where no baseline is known."""
    here = where(trials.dropna(subset="score"), task=task)
    if math.isnan(bar := _bar(results, task)):
        return set()
    return set(here["variant"]) - set(here.loc[results.sign(task) * here["score"] < bar, "variant"])


def _bar(results: StudyResults, task: str) -> float:
    """The loss that a trial must be below to beat the baseline; NaN where none is known."""
    baseline, margin = results.baselines.get(task), results.margins.get(task, math.nan)
    if baseline is None or not math.isfinite(baseline):
        return math.nan
    return results.sign(task) * baseline - (margin if margin > 0 else 0.0)
