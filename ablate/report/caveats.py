"""What a study, at its size and by its design, cannot tell, and what its tests promise."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from ablate.analysis.dataframes import records, where
from ablate.analysis.trials import MIN_TRIALS
from ablate.analysis.verdicts import BETTER, CONTROL, TESTED, VARIANT, WORSE
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import number, significant
from ablate.statistics import selected
from ablate.statistics.families import BENJAMINI_HOCHBERG, HOLM

MANY = 12  # more names than these are counted


def caveats(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The sentences, each of them only where it holds."""
    found = [
        "At random settings the tests ask whether a variant is distributed differently from the reference when the "
        "hyperparameters are drawn from these ranges, not whether it is the better cell once tuned. That is asked of "
        "best settings trained anew, and of the tenth that validation chose of 100 trials or more."
    ]
    found += _cut_by_hours(results) + _processors(results) + _promises(tables) + _controls(results, tables)
    found += _budget(tables) + _search(tables)
    if any(row["n"] < MIN_TRIALS for row in records(where(tables["boxes"], set="all"))):
        found.append(f"No verdict is given for fewer than {MIN_TRIALS} scored trials a variant; Greff et al. ran 200.")
    sizes = [row["n"] for row in records(where(tables["boxes"], set="all"))]
    if sizes and min(sizes) < selected.MIN_TRIALS:
        found.append(
            f"What tuning reaches is not tested on fewer than {selected.MIN_TRIALS} trials a variant: the best of few "
            "are order statistics that no test holds its level for. Best settings trained anew (--confirm) answer it."
        )
    if results.configuration.get("draws") == "sobol":
        found.append(
            "Draws are points of a scrambled Sobol sequence. They fill the space more evenly than independent draws, "
            "for which intervals and t-tests are made: these err on the safe side. Sign flips and signed ranks hold as "
            "they are, since they take the draws as given."
        )
    if results.matched_to:
        found.append(
            f"Sizes are matched by parameters: at each draw a variant has the hidden size at which its number of "
            f"parameters is nearest to that of {results.matched_to} at the size that was drawn."
        )
    else:
        found.append("Sizes are not matched: variants differ in their numbers of parameters (grey bars).")
    return found


def _cut_by_hours(results: StudyResults) -> list[str]:
    """The trials that are compared by nothing, since time ended in the middle of their index."""
    if not (beyond := results.not_compared):
        return []
    counts = ", ".join(f"{count:,} on {task}" for task, count in beyond.items())
    return [
        "The study is cut where its hours ended. Compared are the indices that have ended for every variant and "
        f"control of a task; beyond the last of them stand trials that are not compared: {counts}. They are in "
        "trials.csv and replicates.csv, and more hours go on from there."
    ]


def _processors(results: StudyResults) -> list[str]:
    """The kinds of processors that the trials ran on, where these are several."""
    if len(counts := results.processors) < 2:
        return []
    return [
        f"Trials ran on {len(counts)} kinds of processors: "
        + ", ".join(f"{name} ({count:,} trials)" for name, count in counts.items())
        + ". They round last bits differently, which training amplifies, so that a single trial may come out otherwise "
        "on another of them, while distributions stay. The comparison is fair where kinds and variants are mixed at "
        "random, as by shards, which hold all variants of an index."
    ]


def _promises(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """How many families were tested, by which correction, and what that promises for the whole page."""
    tested = [
        row
        for row in (*records(tables["comparisons"]), *records(tables["across_tasks"]))
        if row["role"] == VARIANT and row["verdict"] in TESTED
    ]
    families = {(row.get("task"), row.get("set")): row["correction"] for row in tested}
    counts = {name: list(families.values()).count(name) for name in (HOLM, BENJAMINI_HOCHBERG)}
    said = []
    if counts[HOLM]:
        n = counts[HOLM]
        said.append(
            f"{_families(n)} corrected by Holm’s method: in at most 5 % of studies is any variant of a family called "
            f"different that is not{_all_over(n)}."
        )
    if counts[BENJAMINI_HOCHBERG]:
        said.append(
            f"{_families(counts[BENJAMINI_HOCHBERG])} corrected by Benjamini and Hochberg’s method, since more than "
            "ten comparisons are in each: of the variants that this page calls different, at most 5 % on average are "
            "not. A single one of them is a lead, not a proof."
        )
    return said


def _families(n: int) -> str:
    return "One family of comparisons is" if n == 1 else f"{n} families of comparisons are"


def _all_over(n: int) -> str:
    return f"; with {n} families on this page, up to {min(5 * n, 100)} % of studies have one somewhere" if n > 1 else ""


def _controls(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    rows = [row for row in records(tables["control_rates"]) if row["kind"] == CONTROL]
    if not rows:
        return [f"No negative controls were run (--controls 2 trains {results.reference} again under other names)."]
    total, wrong = sum(row["comparisons"] for row in rows), sum(row["different"] for row in rows)
    bound = max(row["excluded_above"] for row in rows)
    return [
        f"Negative controls: {wrong} of {total} comparisons of {results.reference} with itself were called different. "
        f"That excludes no more than false alarm rates above {100 * bound:.0f} %; docs/calibration.md has the rates "
        "that were measured by simulation.",
        *_luck_of_the_reference(results, tables),
    ]


def _luck_of_the_reference(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The verdicts that a steadier reference would not give."""
    rows = [row for row in records(tables["steadier_reference"]) if not row["holds"]]
    if not rows:
        return []
    names = ", ".join(f"{row['variant']} ({row['verdict']} on {row['task']})" for row in rows[:MANY])
    names += f" and {len(rows) - MANY} more, see tables/steadier_reference.csv" if len(rows) > MANY else ""
    return [
        f"All comparisons of a task share one training of {results.reference} at each draw, and its luck. Against the "
        f"mean of {results.reference} and its controls these do not hold, and are leads at most: {names}."
    ]


def _budget(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    rows = records(tables["planning"])
    if not rows:
        return []
    weakest = max(rows, key=lambda row: (row["detectable"], -row["n"]))
    if math.isinf(weakest["detectable"]):
        reach = "so few pairs cannot reach the strictest threshold of the correction, however large the difference"
    else:
        least = number(weakest["detectable"], significant(weakest["detectable"]))
        reach = f"a test finds a difference of {least} standard deviations in four of five studies"
    comparisons = f"{weakest['comparisons']} comparison{'s' if weakest['comparisons'] > 1 else ''}"
    return [
        f"With {weakest['n']} trials and {comparisons} on {weakest['task']}, {reach}. “No "
        "significant difference” is therefore not evidence of equality; “within the margin” is."
    ]


def _search(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What the ranges of the search may have decided."""
    said = []
    hanging = [row for row in records(tables["range_dependence"]) if row["verdict"] in (WORSE, BETTER)]
    if hanging:
        named = ", ".join(f"{row['variant']} on {row['task']}" for row in hanging[:MANY])
        more = f" and {len(hanging) - MANY} more" if len(hanging) > MANY else ""
        said.append(
            f"Verdicts that may hang on the ranges of the search, since the best trials lie at an end of one, or the "
            f"opposite holds on half of one: {named}{more}; see tables/range_dependence.csv."
        )
    return said
