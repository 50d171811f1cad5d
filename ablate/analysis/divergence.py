"""How often training diverges."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ablate.analysis.dataframes import groups, where
from ablate.analysis.registry import analysis
from ablate.definitions.study_results import StudyResults
from ablate.statistics.interval import share_interval


@analysis("divergence_rates")
def divergence_rates(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The share of each variant's trials that diverged, at settings drawn at random.

    Columns:
        n: trials that ended by themselves, completed or diverged.
        diverged: those among them without any finite validation score.
        rate: their share.
        low: lower end of its 95 % interval, by Wilson's score.
        high: its upper end.
    """
    scored = tables["scored_trials"].query("state != 'failed'")
    rows = []
    for (task, variant), group in groups(scored, "task", "variant"):
        n, diverged = len(group), len(where(group, state="diverged"))
        rate, low, high = share_interval(diverged, n)
        row = {"task": task, "variant": variant, "n": n, "diverged": diverged, "rate": rate, "low": low, "high": high}
        rows.append(row)
    return pd.DataFrame(rows, columns=["task", "variant", "n", "diverged", "rate", "low", "high"])
