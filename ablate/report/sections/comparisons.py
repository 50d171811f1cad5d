"""Every variant's difference from the reference, in short and in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import records, unique
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import SETS, by_task, decimals
from ablate.report.registry import section


@section("comparisons", "Comparison with {reference}", position=30, tables=("boxes", "comparisons"))
def comparisons(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    tasks = unique(tables["boxes"], "task")
    if not tasks:
        return None
    return {
        "tasks": tasks,
        "sets": SETS,
        "verdicts": _verdicts(results, tables["comparisons"], tasks),
        "comparisons": by_task(tables["comparisons"]),
        "decimals": decimals(tables["boxes"]),
    }


def _verdicts(results: StudyResults, table: pd.DataFrame, tasks: list[str]) -> list[dict[str, Any]]:
    """A row a variant, a cell for each task and set: the table that one looks at first."""
    found = {(row["variant"], row["task"], row["set"]): row for row in records(table)}
    summaries = {variant.name: variant.summary for variant in results.variants}
    compared = set(table["variant"])
    # In the study's order: the first task need not have trials of all of them.
    return [
        {
            "variant": variant,
            "summary": summaries.get(variant, ""),
            "cells": [found.get((variant, task, name)) for task in tasks for name in SETS],
        }
        for variant in results.variant_order
        if variant in compared
    ]
