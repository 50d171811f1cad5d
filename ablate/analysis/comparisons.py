"""Which variants differ from the reference, and which of them are shown to be as good as equal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.all_trials import compare_all_trials
from ablate.analysis.best_trials import compare_best_trials
from ablate.analysis.compared import NO_REFERENCE, NO_VARIANCE, NUMBERS, TOO_FEW, is_paired
from ablate.analysis.confirmed import compare_confirmed
from ablate.analysis.learning import trials_of, unlearned
from ablate.analysis.registry import analysis
from ablate.analysis.verdicts import SETS, judge_family
from ablate.definitions.study_results import StudyResults
from ablate.statistics.equivalence import two_one_sided

UNTESTED = (TOO_FEW, NO_REFERENCE, NO_VARIANCE)

_COLUMNS = [
    *("task", "set", "variant", "reference", "role", "design", "n", "n_reference", *NUMBERS),
    *("correction", "p_adjusted", "verdict", "margin", "p_equivalent", "equivalent"),
]


@analysis("comparisons")
def comparisons(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every variant against the reference by `score`: a row for each task, set and variant that has a trial.

    Each set answers a question of its own.

    - all: is the variant exchangeable with the reference at settings drawn at random? Sign flips of the differences at
      the same draw, and signed ranks; where every variant has draws of its own, Welch's test and Mann and Whitney's.
    - best: does the tenth that validation chose have the same mean, as a tuning by this search would reach? A t-test
      that knows that the chosen are order statistics; only from 100 trials on.
    - confirmed: do the two best settings have the same mean when trained anew? Welch's test.

    The comparisons of one task and set are a family. Controls, which are the reference under another name, stand
    outside of it; each is judged as if it alone had joined.

    Columns:
        set: which trials are compared: all, the best by validation, or the best setting's trainings anew.
        reference: the variant that this one is compared with.
        role: "variant", or "control" for the reference under another name.
        design: "paired" where the two share their draws, else "independent".
        n: trials of the variant; pairs, where they are paired.
        n_reference: trials of the reference.
        mean: mean score of the variant, in the task's unit.
        mean_reference: mean score of the reference.
        difference: the variant's mean less that of the reference.
        low: lower end of the 95 % confidence interval of the difference, not widened for the number of comparisons.
        high: its upper end.
        median_difference: the median of the paired differences.
        median_low: lower end of its 95 % interval; empty below six pairs.
        median_high: its upper end.
        probability_better: that the variant scores better: at the same draw where they are paired, else in a trial
            of each; half of the ties are counted.
        probability_low: lower end of its 95 % interval.
        probability_high: its upper end.
        error: standard error of the difference.
        df: the degrees of freedom behind the error, with which equivalence is tested.
        p: two-sided p-value; empty where there is no test.
        p_rank: that of the rank test beside it, which has no say in the verdict.
        correction: what guards the family: "Holm" for up to ten comparisons, else "Benjamini-Hochberg".
        p_adjusted: the p-value after it.
        verdict: "worse", "better" or "no significant difference" at the 5 % level by `p_adjusted`; "nothing learned"
            where not one of the variant's trials beats the baseline (see `learning`), unless the reference has learned
            and is shown to be better; or why there is no test: "too few trials", "reference missing", "no variance".
        margin: the difference of no practical matter, in the task's unit, set before the study; empty where no baseline
            is known.
        p_equivalent: of two one-sided t-tests: small where the difference is shown to be within the margin.
        equivalent: whether it is, at the 5 % level after the same correction; never where nothing was learned.
    """
    rows: list[dict[str, Any]] = []
    for task in results.task_order:
        for name in SETS:
            family = compare(results, tables, task, name, results.reference)
            rows += judge(results, tables, family, task, name)
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"equivalent": bool})


def compare(
    results: StudyResults, tables: Mapping[str, pd.DataFrame], task: str, name: str, reference: str
) -> list[dict[str, Any]]:
    """One task and set compared with any reference, a row a variant; those that are tested have no verdict yet."""
    if name == "all":
        return compare_all_trials(results, tables["scored_trials"], task, reference)
    if name == "best":
        return compare_best_trials(results, tables["scored_trials"], task, reference)
    return compare_confirmed(results, tables["confirmation_trials"], task, reference)


def judge(
    results: StudyResults, tables: Mapping[str, pd.DataFrame], rows: list[dict[str, Any]], task: str, name: str
) -> list[dict[str, Any]]:
    """The comparisons of one family with their correction and verdicts."""
    margin = results.margins.get(task, math.nan)
    design = "paired" if is_paired(results) and name != "confirmed" else "independent"
    for row in rows:
        row |= {"task": task, "set": name, "reference": results.reference, "design": design, "margin": margin}
        row["p_equivalent"] = two_one_sided(row["difference"], row["error"], row["df"], margin)
    nothing = unlearned(results, trials_of(results, tables, name), task)
    return judge_family(rows, results.controls, nothing, results.sign(task))
