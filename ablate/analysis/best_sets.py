"""Which variants cannot be told from the best one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.comparisons import compare
from ablate.analysis.dataframes import records, where
from ablate.analysis.registry import analysis
from ablate.analysis.verdicts import SETS
from ablate.definitions.study_results import StudyResults
from ablate.statistics.families import holm
from ablate.statistics.levels import ALPHA

_COLUMNS = ["task", "set", "variant", "best", "n", "difference", "low", "high", "p", "p_holm"]


@analysis("best_sets")
def best_sets(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """For each task and set, the variant with the best mean and all that no test tells from it, a row each.

    The best one is compared with every other as in `comparisons`, by Holm's correction whatever their number: in about
    95 % of studies the variant that is truly the best is in the set. One that could not be tested is in it as well.

    Columns:
        set: which trials are compared, see `comparisons`.
        best: the variant with the best mean score.
        n: trials of the variant, or pairs.
        difference: its mean less that of the best; 0 for the best itself.
        low: lower end of the 95 % interval of the difference.
        high: its upper end.
        p: two-sided p-value; empty where there is no test.
        p_holm: after Holm's correction over all others.
    """
    rows: list[dict[str, Any]] = []
    for task in results.task_order:
        for name in SETS:
            rows += _best_set(results, tables, task, name)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _best_set(results: StudyResults, tables: Mapping[str, pd.DataFrame], task: str, name: str) -> list[dict[str, Any]]:
    sign, outsiders = results.sign(task), set(results.controls)
    found = records(where(tables["comparisons"], task=task, set=name))
    losses = {row["variant"]: sign * row["mean"] for row in found if row["variant"] not in outsiders}
    # The pairs of one comparison may lack a draw that others have, so each mean is that of its own comparison.
    if found:
        losses[results.reference] = sign * found[0]["mean_reference"]
    losses = {variant: loss for variant, loss in losses.items() if not math.isnan(loss)}
    if len(losses) < 2:
        return []
    best = min(losses, key=lambda variant: losses[variant])
    rows = [row for row in compare(results, tables, task, name, best) if row["variant"] not in outsiders]
    if all(math.isnan(row["p"]) for row in rows):
        return []
    adjusted = holm([float(row["p"]) for row in rows])
    members = [{**row, "p_holm": p} for row, p in zip(rows, adjusted, strict=True) if not p < ALPHA]
    itself = {"variant": best, "n": max(row["n_reference"] for row in rows), "difference": 0.0}
    return [{"task": task, "set": name, "best": best, **row} for row in (itself, *members)]
