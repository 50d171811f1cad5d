"""What the tables say, in sentences: cautious ones, which name the test and what a budget cannot tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.compared import NO_REFERENCE, TOO_FEW
from ablate.analysis.comparisons import UNTESTED
from ablate.analysis.dataframes import records, unique, where
from ablate.analysis.trials import MIN_TRIALS
from ablate.analysis.verdicts import BETTER, NOTHING_LEARNED, SAME, SETS, TESTED, VARIANT, WORSE
from ablate.definitions.study_results import StudyResults
from ablate.report.answer import MANY, answer
from ablate.report.caveats import caveats
from ablate.report.formatting import decimals, number, places, probability, signed, significant, span
from ablate.report.marks import legend, range_marks
from ablate.report.registry import section
from ablate.report.tuning import first_to_tune


@section(
    "findings",
    "What this says",
    position=10,
    tables=(
        *("trial_counts", "boxes", "comparisons", "planning", "summary", "trial_subsets", "confirmation_trials"),
        *("across_tasks", "rank_tests", "best_sets", "control_rates", "training_length"),
        "steadier_reference",
        *("range_dependence", "learning", "importance"),
    ),
)
def sentences(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    return {
        "trials_so_far": trials_so_far(results, tables),
        "answer": answer(results, tables),
        "units": units(results, tables),
        "tuning": first_to_tune(results, tables),
        "findings": findings(results, tables),
        "caveats": caveats(results, tables),
    }


def units(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> str:
    """How to read the numbers of the answer."""
    tested = [row for row in records(where(tables["comparisons"], role=VARIANT)) if row["verdict"] in TESTED]
    if not tested:
        return ""
    named = ", ".join(f"{results.task(task).metric} on {task}" for task in dict.fromkeys(row["task"] for row in tested))
    text = (
        f"Differences of the mean test score from that of {results.reference} at settings drawn at random, in {named}, "
        "with 95 % intervals; told at the 5 % level after correction. Where a task is not named no difference was "
        "shown, which is not equality."
    )
    return f"{text} {legend(results.reference)}" if range_marks(tables) else text


def trials_so_far(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> str:
    """How much of the study has been run, and what became of it."""
    total: dict[str, int] = {}
    counts = tables["trial_counts"]
    for row in (row for row in records(counts) if row["variant"] not in results.controls):
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
    if besides := len(results.replicates):
        text += f" Besides, {besides:,} trained settings anew: controls, and the best of each variant."
    if total["missing"]:
        text += f" {total['missing']:,} are missing: all that follows may still change."
    if total["failed"]:
        text += " Failed trials have no score; where they cluster on one variant, its scores are not to be trusted."
    return text


def findings(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, list[str]]]:
    """What was found across the tasks, then for each task with a score: a heading and sentences."""
    found = [("Across the tasks", _across(results, tables))] if len(tables["across_tasks"]) else []
    for task in unique(tables["boxes"], "task"):
        learning = where(tables["learning"], task=task, set="all")
        if len(learning) and all(learning["nothing_learned"]):
            name, n = results.task(task).baseline_name, int(learning["n"].to_numpy().sum())
            found.append((task, [f"Nothing was learned: not one of {n:,} trials beats the {name}."]))
            continue
        tests = [_tests(results, tables, task, name) for name in SETS]
        best = [_best_set(tables, task, name) for name in SETS]
        found.append((task, [text for text in (*tests, *best) if text] + _best(results, tables, task)))
    return found


def _tests(results: StudyResults, tables: Mapping[str, pd.DataFrame], task: str, name: str) -> str:
    """The verdicts of one set; empty where it is not the set of all trials and nothing in it was tested."""
    rows = records(where(tables["comparisons"], task=task, set=name, role=VARIANT))
    tested = any(row["verdict"] in (*TESTED, NOTHING_LEARNED) for row in rows)
    if not tested and name != "all":
        return ""
    text = f"{_QUESTIONS[name]}: "
    if not rows:
        return text + "only one variant has a score, so there is nothing to compare."
    if any(row["verdict"] == NO_REFERENCE for row in rows):
        return text + f"the reference {results.reference} has no score, so nothing was tested."
    if not tested and all(row["verdict"] == TOO_FEW for row in rows):
        return text + f"too few for a test, which needs {MIN_TRIALS} scored trials in each group."
    said = _verdicts(results.reference, rows, range_marks(tables))
    if equal := [row["variant"] for row in rows if row["equivalent"]]:
        margin = number(rows[0]["margin"], significant(rows[0]["margin"]))
        unit = results.task(task).metric
        said.append(f"shown to be within {margin} {unit} of {results.reference}: {', '.join(equal)}")
    return f"{_QUESTIONS[name]} ({_numbers(rows)}): {'; '.join(said)}."


_QUESTIONS = {
    "all": "At settings drawn at random",
    "best": "The tenth that validation chose",
    "confirmed": "Best settings trained anew",
}


def _numbers(rows: list[dict[str, Any]]) -> str:
    """Such as `13 pairs` or `5 trainings against 10`."""
    numbers, against = span([row["n"] for row in rows]), span([row["n_reference"] for row in rows])
    if rows[0]["set"] == "confirmed":
        return f"{numbers} trainings against {against}"
    return f"{numbers} {'pairs' if rows[0]['design'] == 'paired' and rows[0]['set'] == 'all' else 'trials a variant'}"


def _verdicts(reference: str, rows: list[dict[str, Any]], marks: Mapping[tuple[str, str], str]) -> list[str]:
    by_verdict: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_verdict.setdefault(row["verdict"], []).append(row)
    said = []
    for verdict in (WORSE, BETTER):
        if named := [_difference(row, marks) for row in by_verdict.get(verdict, [])]:
            said.append(f"significantly {verdict} than {reference}: {', '.join(named)}")
    if same := [row["variant"] for row in by_verdict.get(SAME, [])]:
        named = ", ".join(same) if len(same) <= MANY else f"the other {len(same)}" if said else f"all {len(same)}"
        said.append(f"no significant difference from {reference}: {named}")
    if nothing := [row["variant"] for row in by_verdict.get(NOTHING_LEARNED, [])]:
        said.append(f"nothing learned, so nothing to compare: {_counted(nothing)}")
    for verdict in UNTESTED:
        if untested := [row["variant"] for row in by_verdict.get(verdict, [])]:
            said.append(f"not tested ({verdict}): {_counted(untested)}")
    return said


def _counted(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= MANY else f"{len(names)} variants"


def _difference(row: dict[str, Any], marks: Mapping[tuple[str, str], str]) -> str:
    mark = marks.get((row.get("task", ""), row["variant"]), "")
    return f"{row['variant']}{mark} ({signed(row['difference'], places(row))}, p {probability(row['p_adjusted'])})"


def _across(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    rows = records(where(tables["across_tasks"], role=VARIANT))
    if not rows:
        return []
    numbers, tasks = span([row["n"] for row in rows]), rows[0]["tasks"]
    text = f"Over the {numbers} draws of the {tasks} tasks, in standard deviations of {results.reference}’s scores "
    said = [text + f"(above zero is worse): {'; '.join(_verdicts(results.reference, rows, range_marks(tables)))}."]
    for row in records(tables["rank_tests"]):
        said.append(
            f"Friedman’s test over the {row['tasks']} tasks: p {probability(row['p'])}; two mean ranks differ at the "
            f"5 % level where they lie {row['critical_difference']:.2f} apart (Nemenyi)."
        )
    if tables["rank_tests"].empty:
        said.append(
            "The blocks are draws within tasks, so this speaks of these tasks. Ranks over tasks as a sample of all "
            "tasks (Friedman, critical differences) need ten tasks or more."
        )
    return said


def _best_set(tables: Mapping[str, pd.DataFrame], task: str, name: str) -> str:
    """Which variants cannot be told from the best one; empty where nothing was tested."""
    rows = records(where(tables["best_sets"], task=task, set=name))
    if not rows:
        return ""
    best = rows[0]["best"]
    others = [row["variant"] for row in rows if row["variant"] != best]
    compared = 1 + len(where(tables["comparisons"], task=task, set=name, role=VARIANT))
    text = f"{_BESTS[name]}: {best}. "
    if not others:
        return text + "Every other is told from it."
    if len(others) > MANY:
        return text + f"Of {compared}, {len(others)} others cannot be told from it; tables/best_sets.csv names them."
    return text + f"Not to be told from it: {', '.join(others)}."


_BESTS = {
    "all": "Best mean at random settings",
    "best": "Best mean of the chosen tenth",
    "confirmed": "Best mean when trained anew",
}


def _best(results: StudyResults, tables: Mapping[str, pd.DataFrame], task: str) -> list[str]:
    metadata = results.task(task)
    tried = [row for row in records(where(tables["summary"], task=task)) if not math.isnan(row["best_validation"])]
    if not tried:
        return ["No trial completed."]
    choose = max if metadata.direction == "maximize" else min
    best = choose(tried, key=lambda row: row["best_validation"])
    digits = decimals(tables["boxes"])[task]
    text = f"The best single trial by validation is one of {best['variant']}: "
    text += f"test {number(best['best_score'], digits)} {metadata.metric}"
    if metadata.baseline is not None:
        text += f" ({metadata.baseline_name} {number(metadata.baseline, digits)})"
    scores = [row["score"] for row in records(where(tables["trial_subsets"], task=task, set="all"))]
    again = where(tables["confirmation_trials"], task=task, variant=best["variant"])["score"].to_numpy(float)
    if len(again):
        luck = f"trained anew {len(again)} times, its setting scored {number(float(again.mean()), digits)} on average"
    else:
        luck = "trained anew it would likely score somewhat worse"
    said = [f"{text}. It is the luckiest of {len(scores):,}; {luck}."]
    if metadata.baseline is not None:
        useless = sum(metadata.baseline <= score if choose is min else score <= metadata.baseline for score in scores)
        said += [f"{useless:,} of {len(scores):,} scored trials do no better than the {metadata.baseline_name}."]
    return said
