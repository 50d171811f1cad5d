"""Whether variants differ at settings drawn at random: all their trials, draw by draw where draws are shared."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ablate.analysis.compared import (
    NO_REFERENCE,
    NO_VARIANCE,
    TOO_FEW,
    estimate,
    independent_scores,
    is_paired,
    means,
    of_test,
    others,
    pair,
    row_of,
)
from ablate.analysis.trials import MIN_TRIALS
from ablate.definitions.study_results import StudyResults
from ablate.statistics.independent import mann_whitney, welch
from ablate.statistics.interval import (
    median_interval,
    probability_interval,
    standard_error,
    superiority_interval,
)
from ablate.statistics.paired import flip_intervals, sign_flips, signed_ranks


def compare_all_trials(results: StudyResults, scored: pd.DataFrame, task: str, reference: str) -> list[dict[str, Any]]:
    """Every variant with a scored trial against the reference, a row each."""
    mine, rest = others(scored, task, reference)
    one = _paired if is_paired(results) else _independent
    rows = [one(name, group, mine, results.sign(task)) for name, group in rest]
    tested = [row for row in rows if "differences" in row]
    differences = [row.pop("differences") for row in tested]
    # All at once, which takes a fraction of the time.
    found = sign_flips([*differences, *map(signed_ranks, differences)])
    intervals = flip_intervals(differences)
    for row, p, p_rank, interval in zip(tested, found[: len(tested)], found[len(tested) :], intervals, strict=True):
        row |= {"p": p, "p_rank": p_rank, **estimate("difference", interval)}
    return rows


def _paired(variant: str, trials: pd.DataFrame, reference: pd.DataFrame, sign: float) -> dict[str, Any]:
    a, b = (table["score"].to_numpy(float) for table in pair(trials, reference))
    row = row_of(variant, len(a), len(b)) | means(a, b)
    if len(reference) == 0:
        return row | means(trials["score"].to_numpy(float), b) | {"n": len(trials), "verdict": NO_REFERENCE}
    if len(a) < MIN_TRIALS:
        return row | {"verdict": TOO_FEW}
    d = a - b
    row |= estimate("median_difference", median_interval(d))
    row |= estimate("probability_better", probability_interval(sign * d))
    return row | {"error": standard_error(d), "df": len(d) - 1, "differences": d}


def _independent(variant: str, trials: pd.DataFrame, reference: pd.DataFrame, sign: float) -> dict[str, Any]:
    a, b, row = independent_scores(variant, trials, reference)
    if row["verdict"]:
        return row
    test = welch(a, b)
    if test is None:
        return row | {"verdict": NO_VARIANCE}
    row |= of_test(test) | estimate("probability_better", superiority_interval(sign * a, sign * b))
    return row | {"p_rank": mann_whitney(a, b)}
