"""Every variant's difference from the reference, in short and in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import records, unique, where
from ablate.analysis.verdicts import SETS, TESTED
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import SET_NAMES, by_task
from ablate.report.marks import legend, range_marks
from ablate.report.registry import section

HYPOTHESES = {
    "all": "at every draw, variant and reference are exchangeable (independent draws: their means are equal)",
    "best": "the trials that validation chooses have the same mean test score",
    "confirmed": "the two best settings, trained anew, have the same mean test score",
}


@section(
    "comparisons",
    "Comparison with {reference}",
    position=30,
    tables=("boxes", "comparisons", "across_tasks", "tasks", "range_dependence"),
)
def comparisons(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    tasks = unique(tables["boxes"], "task")
    if not tasks:
        return None
    table = tables["comparisons"]
    tested = set(table.loc[table["verdict"].isin(TESTED), "set"])
    sets = {name: SET_NAMES[name] for name in SETS if name in tested or name == "all"}
    return {
        "tasks": tasks,
        "sets": sets,
        "hypotheses": HYPOTHESES,
        "verdicts": _verdicts(results, table, tasks, list(sets)),
        "comparisons": by_task(pd.concat([where(table, set=name) for name in sets])),
        "marks": range_marks(tables),
        "legend": legend(results.reference),
        "across": {row["variant"]: row for row in records(tables["across_tasks"])},
    }


def _verdicts(results: StudyResults, table: pd.DataFrame, tasks: list[str], sets: list[str]) -> list[dict[str, Any]]:
    """A row a variant, a cell for each task and set: the table that one looks at first."""
    found = {(row["variant"], row["task"], row["set"]): row for row in records(table)}
    summaries = {variant.name: variant.summary for variant in results.variants}
    summaries |= dict.fromkeys(results.controls, f"{results.reference} itself, drawn anew")
    compared = set(table["variant"])
    # In the study's order: the first task need not have trials of all of them.
    return [
        {
            "variant": variant,
            "summary": summaries.get(variant, ""),
            "cells": [found.get((variant, task, name)) for task in tasks for name in sets],
        }
        for variant in results.variant_order
        if variant in compared
    ]
