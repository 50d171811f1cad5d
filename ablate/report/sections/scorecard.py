"""What the study says of the papers' claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.claims import CLAIMS
from ablate.analysis.dataframes import records, unique
from ablate.analysis.scorecard import CANNOT_TELL, CONTRADICTS, SUPPORTS
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import SET_NAMES
from ablate.report.registry import section

_EPOCHS = 150  # of Greff et al.


@section("scorecard", "The papers’ claims", position=36, tables=("scorecard", "training_length"))
def scorecard(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    table = tables["scorecard"]
    there = table.loc[table["task"].isin(results.task_order)]
    if there.empty:
        return None
    cells = {(row["paper"], row["claim"], row["task"]): row for row in records(there)}
    claims = [
        (claim, [cells.get((claim.paper.name, claim.text, task)) for task in unique(there, "task")])
        for claim in CLAIMS
        if set(claim.tasks) & set(there["task"])
    ]
    counts = {verdict: int(there["verdict"].eq(verdict).sum()) for verdict in (SUPPORTS, CONTRADICTS, CANNOT_TELL)}
    return {
        "tasks": unique(there, "task"),
        "claims": claims,
        "counts": counts,
        "rows": records(there),
        "lacking": sorted(set(table["task"]) - set(there["task"])),
        "n_lacking": len(table) - len(there),
        "data": {task: _data(cells, task) for task in unique(there, "task")},
        "sets": {**SET_NAMES, "draws": "all draws"},
        "looks": {SUPPORTS: "better", CONTRADICTS: "worse", CANNOT_TELL: "none"},
        "epochs": results.configuration.get("training", {}).get("epochs", _EPOCHS),
        "full_epochs": _EPOCHS,
        "cut_short": [row["task"] for row in records(tables["training_length"]) if row["cut_short"]],
    }


def _data(cells: Mapping[tuple[str, str, str], Mapping[str, Any]], task: str) -> tuple[str, str]:
    """The paper's data and those of this study."""
    row = next(row for (_, _, name), row in cells.items() if name == task)
    return row["paper_task"], row["data"] or "unknown data"
