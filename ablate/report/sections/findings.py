"""What the tables say, in sentences: cautious ones, which name what a budget cannot tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.comparisons import BETTER, NO_REFERENCE, NO_VARIANCE, SAME, TESTED, TOO_FEW, WORSE
from ablate.analysis.dataframes import records, unique, where
from ablate.analysis.trials import MIN_TRIALS
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import SETS, decimals, number, probability, signed, span
from ablate.report.registry import section


@section(
    "findings",
    "What this says",
    position=10,
    tables=("trial_counts", "boxes", "comparisons", "power", "summary", "trial_subsets"),
)
def sentences(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    return {
        "trials_so_far": trials_so_far(tables),
        "findings": findings(results, tables),
        "caveats": caveats(results, tables),
    }


def trials_so_far(tables: Mapping[str, pd.DataFrame]) -> str:
    """How much of the study has been run, and what became of it."""
    total: dict[str, int] = {}
    for row in records(tables["trial_counts"]):
        for state in ("expected", "completed", "diverged", "failed", "missing"):
            total[state] = total.get(state, 0) + row[state]
    if not total:
        return "Nothing is planned and no trial has ended."
    ended = total["completed"] + total["diverged"] + total["failed"]
    if not ended:
        return f"No trial has ended yet; {total['expected']:,} are planned. There is nothing to conclude from."
    planned = f" of {total['expected']:,} planned trials" if total["missing"] else " trials"
    text = f"{ended:,}{planned} have ended: {total['completed']:,} completed, {total['diverged']:,} diverged"
    text += f", {total['failed']:,} failed."
    if total["missing"]:
        text += f" {total['missing']:,} are missing: all that follows may still change."
    if total["failed"]:
        text += " Failed trials have no score; where they cluster on one variant, its scores are not to be trusted."
    return text


def findings(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, list[str]]]:
    """For each task with a score, its heading and what its tests and its best trials say."""
    return [
        (task, [*(_tests(results, tables, task, name) for name in SETS), *_best(results, tables, task)])
        for task in unique(tables["boxes"], "task")
    ]


def caveats(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What this study, at its size and by its design, cannot tell."""
    found = []
    budgets = [row for row in records(tables["power"]) if row["comparisons"]]
    if budgets:
        weakest = max(budgets, key=lambda row: row["detectable"])
        found.append(
            f"With {weakest['n']} trials a group and {weakest['comparisons']} comparisons, a test finds a difference "
            f"of {weakest['detectable']:.1f} standard deviations (of the scores within a group) in four of five "
            "studies, and smaller ones more rarely. “No significant difference” is therefore not evidence of equality."
        )
    if any(row["n"] < MIN_TRIALS for row in records(tables["boxes"])):
        found.append(
            f"No verdict is given for groups of fewer than {MIN_TRIALS} scored trials. The best trials are as many "
            f"where there are {2 * MIN_TRIALS} for each task and variant; Greff et al. ran 200."
        )
    found.append(
        "All trials together tell how a variant fares at hyperparameters drawn at random, and vary mostly with the "
        "learning rate; the best trials tell what it reaches once tuned."
    )
    if results.configuration.get("paired"):
        found.append(
            "All variants try the same draws of the hyperparameters. Welch’s test does not use this pairing and is "
            "conservative as a rule: it misses differences sooner than it invents them."
        )
    found.append("Sizes are not matched: variants differ in their numbers of parameters (grey bars).")
    return found


def _tests(results: StudyResults, tables: Mapping[str, pd.DataFrame], task: str, name: str) -> str:
    rows, places = records(where(tables["comparisons"], task=task, set=name)), decimals(tables["boxes"])[task]
    numbers = [row["n"] for row in records(where(tables["boxes"], task=task, set=name))]
    text = f"{SETS[name].capitalize()} ({span(numbers)} a variant): "
    if not rows:
        return text + "only one variant has a score, so there is nothing to compare."
    by_verdict = {verdict: [row for row in rows if row["verdict"] == verdict] for verdict in (*TESTED, TOO_FEW)}
    if any(row["verdict"] == NO_REFERENCE for row in rows):
        return text + f"the reference {results.reference} has no score, so nothing was tested."
    if len(by_verdict[TOO_FEW]) == len(rows):
        return text + f"too few for a test, which needs {MIN_TRIALS} scored trials in each group."
    said = []
    for verdict in (WORSE, BETTER):
        if named := [_difference(row, places) for row in by_verdict[verdict]]:
            said.append(f"significantly {verdict} than {results.reference}: {', '.join(named)}")
    if same := [row["variant"] for row in by_verdict[SAME]]:
        named = ", ".join(same) if len(same) <= 12 else f"the other {len(same)}" if said else f"all {len(same)}"
        said.append(f"no significant difference from {results.reference}: {named}")
    for verdict in (TOO_FEW, NO_VARIANCE):
        if untested := [row["variant"] for row in rows if row["verdict"] == verdict]:
            said.append(f"not tested ({verdict}): {', '.join(untested)}")
    return text + "; ".join(said) + "."


def _best(results: StudyResults, tables: Mapping[str, pd.DataFrame], task: str) -> list[str]:
    metadata = results.task(task)
    tried = [row for row in records(where(tables["summary"], task=task)) if not math.isnan(row["best_validation"])]
    if not tried:
        return ["No trial completed."]
    choose = max if metadata.direction == "maximize" else min
    best = choose(tried, key=lambda row: row["best_validation"])
    places = decimals(tables["boxes"])[task]
    text = f"The best single trial by validation is one of {best['variant']}: "
    text += f"test {number(best['best_test'], places)} {metadata.metric}"
    if metadata.baseline is not None:
        text += f" ({metadata.baseline_name} {number(metadata.baseline, places)})"
    scores = [row["score"] for row in records(where(tables["trial_subsets"], task=task, set="all"))]
    said = [f"{text}. It is the luckiest of {len(scores):,}; trained anew it would likely score somewhat worse."]
    if metadata.baseline is not None:
        useless = sum(metadata.baseline <= score if choose is min else score <= metadata.baseline for score in scores)
        said += [f"{useless:,} of {len(scores):,} scored trials do no better than the {metadata.baseline_name}."]
    return said


def _difference(row: dict[str, Any], places: int) -> str:
    return f"{row['variant']} ({signed(row['difference'], places)}, p {probability(row['p_holm'])})"
