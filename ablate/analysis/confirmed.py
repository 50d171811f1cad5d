"""What each variant's best setting is worth: it is trained anew several times, which leaves no luck of the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.compared import NO_VARIANCE, estimate, independent_scores, of_test, others
from ablate.analysis.dataframes import where
from ablate.analysis.registry import analysis
from ablate.analysis.trials import KEY, best_trial, score_trials
from ablate.definitions.study_results import StudyResults
from ablate.statistics.independent import mann_whitney, welch
from ablate.statistics.interval import superiority_interval


@analysis("confirmation_trials")
def confirmation_trials(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Each variant's best setting by validation, trained anew: a row a training.

    Columns:
        index: the draw of the best setting.
        replicate: from 1.
        state: completed, diverged or failed.
        score: of this training, as in `scored_trials`.
        search_score: what the search's own trial at this setting scored: the luckiest of many.
        parameters: number of weights.
        seconds: wall time.
    """
    columns = [*KEY, "replicate", "state", "score", "search_score", "parameters", "seconds"]
    table = results.replicates
    if table.empty or "purpose" not in table:
        return pd.DataFrame(columns=columns)
    again = score_trials(results, where(table, purpose="confirmation"))
    best = best_trial(results, tables["scored_trials"]).filter([*KEY, "score"])
    best = best.rename(columns={"score": "search_score"})
    return again.merge(best, on=KEY).sort_values([*KEY, "replicate"], ignore_index=True).filter(columns)


def compare_confirmed(
    results: StudyResults, confirmed: pd.DataFrame, task: str, reference: str
) -> list[dict[str, Any]]:
    """Every variant whose best setting was trained anew against the reference, a row each."""
    mine, rest = others(confirmed, task, reference)
    return [_compare(name, group, mine, results.sign(task)) for name, group in rest]


def _compare(variant: str, trials: pd.DataFrame, reference: pd.DataFrame, sign: float) -> dict[str, Any]:
    a, b, row = independent_scores(variant, trials, reference)
    if row["verdict"]:
        return row
    row |= estimate("probability_better", superiority_interval(sign * a, sign * b))
    test = welch(a, b)
    return row | ({"verdict": NO_VARIANCE} if test is None else of_test(test) | {"p_rank": mann_whitney(a, b)})
