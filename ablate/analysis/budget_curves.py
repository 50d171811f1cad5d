"""What a search reaches with fewer draws: the expected best of m, against trials and against time."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ablate.analysis.dataframes import groups
from ablate.analysis.registry import analysis
from ablate.analysis.trials import validation_losses
from ablate.definitions.study_results import StudyResults
from ablate.statistics.budget import expected_best


@analysis("budget_curves")
def budget_curves(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The expected test score of the trial that validation chooses among m draws, for every m up to those made.

    Columns:
        m: draws of the search.
        seconds: that so many take on average, one after the other.
        score: expected test score of the chosen one, in the task's unit.
    """
    rows = []
    for (task, variant), group in groups(tables["scored_trials"].dropna(subset="score"), "task", "variant"):
        ordered = group.sort_values("index")
        expected = expected_best(validation_losses(ordered, results.sign(task)), ordered["score"].to_numpy(float))
        each = float(ordered["seconds"].to_numpy(float).mean())
        rows += [
            {"task": task, "variant": variant, "m": m, "seconds": m * each, "score": score}
            for m, score in enumerate(expected, start=1)
        ]
    return pd.DataFrame(rows, columns=["task", "variant", "m", "seconds", "score"])
