"""What the number of trials can find, and how many a smaller difference needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ablate.analysis.compared import is_paired
from ablate.analysis.comparisons import TESTED, VARIANT
from ablate.analysis.dataframes import groups, where
from ablate.analysis.registry import analysis
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
        tested = group[group["verdict"].isin(TESTED)]
        scores = where(tables["scored_trials"], task=task).pivot_table(index="index", columns="variant", values="score")
        if tested.empty or results.reference not in scores:
            continue
        spread = float(scores[results.reference].std())
        others = [name for name in tested["variant"] if name in scores]
        shared = [float(scores[name].corr(scores[results.reference])) for name in others if scores[name].std() > 0]
        correlation = float(np.clip(np.nanmedian(shared), 0, 0.99)) if paired and shared and spread > 0 else 0.0
        n, m = int(tested["n"].min()), len(tested)
        known = {"task": task, "comparisons": m, "n": n, "spread": spread, "correlation": correlation}
        known["detectable"] = detectable_difference(n, m, correlation, paired)
        rows += [
            {**known, "difference": each, "trials": trials_needed(each, m, correlation, paired)} for each in DIFFERENCES
        ]
    return pd.DataFrame(rows, columns=columns)
