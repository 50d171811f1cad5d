"""The effects of all tasks on one scale."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ablate.analysis.dataframes import records, where
from ablate.analysis.registry import analysis
from ablate.definitions.study_results import StudyResults

_COLUMNS = ["task", "set", "variant", "role", "spread", "effect", "low", "high", "verdict", "equivalent", "over_tasks"]


@analysis("standardised_effects")
def standardised_effects(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every comparison's difference in standard deviations of the reference's scores, above zero where it is worse.

    Differences of a task count in the standard deviation of the reference's scores over all its trials, whatever the
    set, so that the sets of a task can be compared; a task on which the reference does not vary has no row.

    Columns:
        set: which trials are compared, see `comparisons`.
        role: "variant", or "control" for the reference under another name.
        spread: standard deviation of the reference's scores over all its trials, in the task's unit.
        effect: the variant's mean less that of the reference, in such deviations; above zero is worse on any task.
        low: lower end of its 95 % interval, the spread being taken as known.
        high: its upper end.
        verdict: as in `comparisons`.
        equivalent: as in `comparisons`.
        over_tasks: mean of the variant's effects over the tasks of the set.
    """
    scored = where(tables["scored_trials"].dropna(subset="score"), variant=results.reference)
    spreads = scored.groupby("task")["score"].std(ddof=1).to_dict()
    rows = []
    for row in records(tables["comparisons"].dropna(subset="difference")):
        sign, spread = results.sign(row["task"]), spreads.get(row["task"], 0.0)
        if spread > 0:
            ends = sorted(sign * row[name] / spread for name in ("low", "high"))
            kept = {name: row[name] for name in ("task", "set", "variant", "role", "verdict", "equivalent")}
            effect = sign * row["difference"] / spread
            rows.append({**kept, "spread": spread, "effect": effect, "low": ends[0], "high": ends[1]})
    table = pd.DataFrame(rows, columns=_COLUMNS).astype({"equivalent": bool, "effect": float})
    return table.assign(over_tasks=table.groupby(["set", "variant"])["effect"].transform("mean"))
