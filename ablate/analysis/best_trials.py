"""What tuning reaches: the best trials of each variant by validation, compared on the test set."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ablate.analysis.compared import NO_REFERENCE, NO_VARIANCE, TOO_FEW, is_paired, of_test, others, pair, row_of
from ablate.analysis.trials import how_many_best, validation_losses
from ablate.definitions.study_results import StudyResults
from ablate.statistics import selected
from ablate.statistics.selected import Selected


def compare_best_trials(results: StudyResults, scored: pd.DataFrame, task: str, reference: str) -> list[dict[str, Any]]:
    """Every variant with a scored trial against the reference, a row each; tested where trials are enough."""
    mine, rest = others(scored, task, reference)
    return [_compare(name, group, mine, results.sign(task), is_paired(results)) for name, group in rest]


def _compare(variant: str, trials: pd.DataFrame, reference: pd.DataFrame, sign: float, paired: bool) -> dict[str, Any]:
    a, b = pair(trials, reference) if paired and len(reference) else (trials, reference)
    if len(reference) == 0:
        first = _selected(a, sign)
        return row_of(variant, first.k, 0, NO_REFERENCE) | {"mean": sign * first.mean}
    if min(len(a), len(b)) == 0:
        return row_of(variant, 0, 0, TOO_FEW)
    first, second = _selected(a, sign), _selected(b, sign)
    row = row_of(variant, first.k, second.k) | {"mean": sign * first.mean, "mean_reference": sign * second.mean}
    row["difference"] = row["mean"] - row["mean_reference"]
    enough = min(len(a), len(b)) >= selected.MIN_TRIALS and min(first.k, second.k) >= selected.MIN_SELECTED
    if not enough:
        return row | {"verdict": TOO_FEW}
    test = (selected.compare_paired if paired else selected.compare_independent)(first, second)
    if test is None:
        return row | {"verdict": NO_VARIANCE}
    found = of_test(test)
    if sign < 0:  # the test was made on losses
        found |= {"difference": -test.difference.value, "low": -test.difference.high, "high": -test.difference.low}
    return row | found


def _selected(trials: pd.DataFrame, sign: float) -> Selected:
    """The best of the trials, by validation, as losses."""
    ordered = trials.reset_index().sort_values("index")
    validation = validation_losses(ordered, sign).to_numpy(float)
    return Selected(validation, sign * ordered["score"].to_numpy(float), how_many_best(len(ordered)))
