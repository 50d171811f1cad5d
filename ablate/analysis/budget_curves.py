"""What a search reaches with fewer draws, against trials and against time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ablate.analysis.dataframes import groups
from ablate.analysis.registry import analysis
from ablate.analysis.trials import validation_losses
from ablate.definitions.study_results import StudyResults
from ablate.statistics.budget import expected_best, tuning_curve

_COLUMNS = ["task", "variant", "m", "seconds", "score", "validation", "better_end", "worse_end"]


@analysis("budget_curves")
def budget_curves(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What a search of m draws finds, for every m up to those made: a test score, and a validation score with a band.

    `score` is the test score of the trial that validation chooses, so that the test set chooses nothing. Bands are
    known for a score that is chosen by itself alone, which here is the validation score: so they stand around
    `validation`.

    Columns:
        m: draws of the search.
        seconds: that so many take on average, one after the other.
        score: expected test score of the one that validation chooses, over all choices of m of these draws.
        validation: median over searches of the best validation score among m draws; empty where that is none.
        better_end: of its 95 % band, which holds for all m together; empty where so few draws say nothing of it,
            which is beyond a tenth of them or so.
        worse_end: of the band; empty where it may be that no draw has a score.
    """
    rows = []
    for (task, variant), group in groups(tables["scored_trials"].dropna(subset="score"), "task", "variant"):
        ordered = group.sort_values("index")
        losses = validation_losses(ordered, results.sign(task)).to_numpy(float)
        expected, found = expected_best(losses, ordered["score"].to_numpy(float)), tuning_curve(losses)
        m = np.arange(1, len(ordered) + 1)
        table = {"m": m, "seconds": m * float(ordered["seconds"].to_numpy(float).mean()), "score": expected}
        for name, ends in zip(("validation", "better_end", "worse_end"), found, strict=True):
            table[name] = results.sign(task) * np.where(np.isinf(ends), np.nan, ends)
        rows.append(pd.DataFrame({"task": task, "variant": variant, **table}))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=_COLUMNS)
