"""What the tables say, in sentences: cautious ones, which name what a budget cannot tell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ablate.analysis.compare import BETTER, MIN_TRIALS, NO_REFERENCE, NO_VARIANCE, SAME, TESTED, TOO_FEW, WORSE
from ablate.analysis.frames import records, where
from ablate.report.facts import Facts
from ablate.report.tables import Tables

SETS = {"all": "all trials", "best": "the best trials"}


def progress(tables: Tables) -> str:
    """How much of the study has been run, and what became of it."""
    total: dict[str, int] = {}
    for row in records(tables.counts):
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


def superscript(formula: str) -> str:
    """N^2 as N²."""
    return formula.replace("^2", "²")


def findings(tables: Tables, facts: Facts) -> list[tuple[str, list[str]]]:
    """For each task with a score, its heading and what its tests and its best trials say."""
    return [
        (task, [*(_tests(tables, facts, task, name) for name in SETS), *_best(tables, facts, task)])
        for task in dict.fromkeys(tables.boxes["task"])
    ]


def caveats(tables: Tables, facts: Facts) -> list[str]:
    """What this study, at its size and by its design, cannot tell."""
    found = []
    budgets = [row for row in records(tables.power) if row["comparisons"]]
    if budgets:
        weakest = max(budgets, key=lambda row: row["detectable"])
        found.append(
            f"With {weakest['n']} trials a group and {weakest['comparisons']} comparisons, a test finds a difference "
            f"of {weakest['detectable']:.1f} standard deviations (of the scores within a group) in four of five "
            "studies, and smaller ones more rarely. “No significant difference” is therefore not evidence of equality."
        )
    if any(row["n"] < MIN_TRIALS for row in records(tables.boxes)):
        found.append(
            f"No verdict is given for groups of fewer than {MIN_TRIALS} scored trials. The best trials are as many "
            f"where there are {2 * MIN_TRIALS} for each task and variant; Greff et al. ran 200."
        )
    found.append(
        "All trials together tell how a variant fares at hyperparameters drawn at random, and vary mostly with the "
        "learning rate; the best trials tell what it reaches once tuned."
    )
    if facts.configuration.get("paired"):
        found.append(
            "All variants try the same draws of the hyperparameters. Welch’s test does not use this pairing and is "
            "conservative as a rule: it misses differences sooner than it invents them."
        )
    found.append("Sizes are not matched: variants differ in their numbers of parameters (grey bars).")
    return found


def digits(tables: Tables, task: str) -> int:
    """Decimals that show a task's scores to three significant places, and at least two."""
    largest = max((abs(row["median"]) for row in records(where(tables.boxes, task=task))), default=0.0)
    return max(2, 2 - math.floor(math.log10(largest))) if largest > 0 else 2


def _tests(tables: Tables, facts: Facts, task: str, name: str) -> str:
    rows, places = records(where(tables.comparisons, task=task, set=name)), digits(tables, task)
    numbers = [row["n"] for row in records(where(tables.boxes, task=task, set=name))]
    text = f"{SETS[name].capitalize()} ({span(numbers)} a variant): "
    if not rows:
        return text + "only one variant has a score, so there is nothing to compare."
    by_verdict = {verdict: [row for row in rows if row["verdict"] == verdict] for verdict in (*TESTED, TOO_FEW)}
    if any(row["verdict"] == NO_REFERENCE for row in rows):
        return text + f"the reference {facts.reference} has no score, so nothing was tested."
    if len(by_verdict[TOO_FEW]) == len(rows):
        return text + f"too few for a test, which needs {MIN_TRIALS} scored trials in each group."
    said = []
    for verdict in (WORSE, BETTER):
        if named := [_difference(row, places) for row in by_verdict[verdict]]:
            said.append(f"significantly {verdict} than {facts.reference}: {_list(named)}")
    if same := [row["variant"] for row in by_verdict[SAME]]:
        others = f"the other {len(same)}" if said else f"all {len(same)}"
        said.append(f"no significant difference from {facts.reference}: {_list(same) if len(same) <= 12 else others}")
    for verdict in (TOO_FEW, NO_VARIANCE):
        if untested := [row["variant"] for row in rows if row["verdict"] == verdict]:
            said.append(f"not tested ({verdict}): {_list(untested)}")
    return text + "; ".join(said) + "."


def _best(tables: Tables, facts: Facts, task: str) -> list[str]:
    kind = facts.task(task)
    tried = [row for row in records(where(tables.summary, task=task)) if not math.isnan(row["best_validation"])]
    if not tried:
        return ["No trial completed."]
    choose = max if kind.direction == "maximize" else min
    best = choose(tried, key=lambda row: row["best_validation"])
    places = digits(tables, task)
    text = f"The best single trial by validation is one of {best['variant']}: "
    text += f"test {number(best['best_test'], places)} {kind.metric}"
    if kind.baseline is not None:
        text += f" ({kind.baseline_name} {number(kind.baseline, places)})"
    scores = [row["score"] for row in records(where(tables.points, task=task, set="all"))]
    said = [f"{text}. It is the luckiest of {len(scores):,}; trained anew it would likely score somewhat worse."]
    if kind.baseline is not None:
        useless = sum(kind.baseline <= score if choose is min else score <= kind.baseline for score in scores)
        said += [f"{useless:,} of {len(scores):,} scored trials do no better than the {kind.baseline_name}."]
    return said


def _difference(row: dict[str, Any], places: int) -> str:
    return f"{row['variant']} ({signed(row['difference'], places)}, p {probability(row['p_holm'])})"


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)


def span(numbers: list[int]) -> str:
    """`n = 6`, or `n = 5 to 6`."""
    few, many = min(numbers), max(numbers)
    return f"n = {few}" if few == many else f"n = {few} to {many}"


def number(value: float, digits: int = 2) -> str:
    """A plain number with a true minus; a dash for none."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 2) -> str:
    """A difference, always with its sign."""
    return "–" if math.isnan(value) else f"{value:+,.{digits}f}".replace("-", "−")


def probability(value: float) -> str:
    """A p-value with its relation: `= 0.012` or `< 0.001`."""
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"= {value:.3f}"


def scientific(value: float) -> str:
    """Such as 3.2 × 10⁻⁴."""
    if value is None or math.isnan(value):
        return "–"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits} × 10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def duration(seconds: float) -> str:
    """Wall time in the unit that suits it."""
    if seconds is None or math.isnan(seconds):
        return "–"
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
