"""What each task and variant's best trial wrote."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ablate.analysis.registry import analysis
from ablate.analysis.trials import KEY, best_trial
from ablate.definitions.study_results import StudyResults


@analysis("generated_texts")
def generated_texts(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What each task and variant's best completed trial by validation wrote.

    A variant whose best trial wrote nothing has no row.

    Columns:
        sample: the text that its network wrote.
    """
    if results.samples.empty:
        return pd.DataFrame(columns=[*KEY, "sample"])
    best = best_trial(results, tables["scored_trials"])[KEY]
    return best.merge(results.samples.reindex(columns=[*KEY, "sample"]), on=KEY)
