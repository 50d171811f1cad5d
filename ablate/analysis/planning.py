"""What the number of trials can find, and how many a smaller difference needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ablate.analysis.compared import is_paired, pair
from ablate.analysis.dataframes import groups, records, where
from ablate.analysis.registry import analysis
from ablate.analysis.verdicts import TESTED, VARIANT
from ablate.definitions.study_results import StudyResults
from ablate.statistics.planning import detectable_difference, trials_needed

DIFFERENCES = (1.0, 0.5, 0.25)  # in standard deviations of the reference's scores


@analysis("planning")
def planning(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """For each task and size of a difference, how many trials of each variant find it in four of five studies.

    By a paired test over all trials (an unpaired one where draws are not shared), at the strictest threshold of the
    correction.

    Columns:
        comparisons: tests that were made.
        n: the fewest trials, or pairs, in one of them.
        spread: standard deviation of the reference's scores, in the task's unit.
        correlation: between the scores of the reference and of a variant at the same draw, the median over variants.
        detectable: the smallest difference that n trials find, in standard deviations; infinite where no number of
            such trials can reach the threshold.
        difference: in standard deviations.
        trials: that many find it.
    """
    columns = ["task", "comparisons", "n", "spread", "correlation", "detectable", "difference", "trials"]
    rows = []
    paired = is_paired(results)
    for (task,), group in groups(where(tables["comparisons"], set="all", role=VARIANT), "task"):
        tested = [row for row in records(group) if row["verdict"] in TESTED]
        if not tested:
            continue
        scored = where(tables["scored_trials"].dropna(subset="score"), task=task)
        reference = where(scored, variant=results.reference)
        spread = float(reference["score"].to_numpy(float).std(ddof=1))
        shared = [_correlation(where(scored, variant=row["variant"]), reference) for row in tested]
        correlation = float(np.clip(np.median(shared), 0, 0.99)) if paired else 0.0
        n, m = min(row["n"] for row in tested), len(tested)
        known = {"task": task, "comparisons": m, "n": n, "spread": spread, "correlation": correlation}
        known["detectable"] = detectable_difference(n, m, correlation, paired)
        rows += [
            {**known, "difference": each, "trials": trials_needed(each, m, correlation, paired)} for each in DIFFERENCES
        ]
    return pd.DataFrame(rows, columns=columns)


def _correlation(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Between the scores at the same draws; 0 where one of the two does not vary."""
    a, b = (table["score"].to_numpy(float) for table in pair(first, second))
    return float(np.corrcoef(a, b)[0, 1]) if len(a) > 1 and a.std() > 0 and b.std() > 0 else 0.0
