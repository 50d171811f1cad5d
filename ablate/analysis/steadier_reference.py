"""Whether verdicts outlive a reference that is less a matter of luck."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ablate.analysis.compared import is_paired
from ablate.analysis.dataframes import records, where
from ablate.analysis.registry import analysis
from ablate.analysis.verdicts import BETTER, VARIANT, WORSE
from ablate.definitions.study_results import StudyResults
from ablate.statistics.levels import ALPHA
from ablate.statistics.paired import sign_flips


@analysis("steadier_reference")
def steadier_reference(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Verdicts over all trials held against the mean of the reference and its controls at each draw, a row a verdict.

    All comparisons of a task share one training of the reference at each draw, and so its luck. The controls are
    further trainings of it, so that their mean with it is steadier. Only where variants share their draws.

    Columns:
        verdict: "worse" or "better" than the reference, as in `comparisons`.
        n: draws at which all of them have a score.
        difference: the variant's mean less that of the reference and its controls, in the task's unit.
        p: of sign flips of these differences, without correction.
        holds: whether that is below 5 %; if not, the verdict may be the reference's luck.
    """
    columns = ["task", "variant", "verdict", "n", "difference", "p", "holds"]
    rows = []
    scored = tables["scored_trials"].dropna(subset="score")
    for task in results.task_order if results.controls and is_paired(results) else ():
        scores = where(scored, task=task).pivot_table(index="index", columns="variant", values="score")
        same = [name for name in (results.reference, *results.controls) if name in scores]
        judged = where(tables["comparisons"], task=task, set="all", role=VARIANT)
        judged = [row for row in records(judged) if row["verdict"] in (WORSE, BETTER) and len(same) > 1]
        differences = [(scores[row["variant"]] - scores[same].mean(axis=1, skipna=False)).dropna() for row in judged]
        for row, d, p in zip(judged, differences, sign_flips([d.to_numpy() for d in differences]), strict=True):
            found = {"task": task, "variant": row["variant"], "verdict": row["verdict"], "n": len(d)}
            rows.append(found | {"difference": float(d.to_numpy().mean()), "p": p, "holds": p < ALPHA})
    return pd.DataFrame(rows, columns=columns).astype({"holds": bool})
