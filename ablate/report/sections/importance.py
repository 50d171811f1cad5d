"""What to tune first, and the numbers that this rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import groups, records, select, unique, where
from ablate.analysis.importance import GOOD, MAIN, PAIR, REMAINDER, WHOLE
from ablate.analysis.responses import POOLED, SCORE, SECONDS
from ablate.definitions.study_results import StudyResults
from ablate.report.registry import section
from ablate.report.tuning import tuning_advice

NAMES = {(SCORE, WHOLE): "score", (SCORE, GOOD): "score, good trials", (SECONDS, WHOLE): "time"}


@section("importance", "What to tune first", position=82, tables=("importance",))
def importance(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    table = tables["importance"]
    if table.empty:
        return None
    fitted = select(table, table["surrogate"].ne(""))
    lines: dict[str, list[dict[str, Any]]] = {POOLED: [], "": []}  # all variants together, and one by one
    for task in unique(fitted, "task"):
        for variant in unique(where(fitted, task=task), "variant"):
            lines[POOLED if variant == POOLED else ""] += _lines(where(fitted, task=task, variant=variant))
    return {
        "advice": tuning_advice(results, tables),
        "axes": [name for name in unique(fitted, "axis") if name],
        "pooled": lines[POOLED],
        "single": lines[""],
    }


def _lines(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A line for each response, region and surrogate of a task and variant; shares where they may be claimed."""
    found = []
    for (response, region, _), rows in groups(table, "response", "region", "surrogate"):
        terms = records(rows)
        line: dict[str, Any] = {**terms[0], "name": NAMES[response, region], "shares": {}}
        if not line["reason"]:
            line["shares"] = {row["axis"]: row["share"] for row in terms if row["term"] == MAIN}
            line["pairs"], line["rest"] = (
                sum(row["share"] for row in terms if row["term"] == term) for term in (PAIR, REMAINDER)
            )
        found.append(line)
    return sorted(found, key=lambda line: (list(NAMES.values()).index(line["name"]), not line["speaks"]))
