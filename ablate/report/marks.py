"""The mark beside verdicts that the ranges of the search may have decided."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ablate.analysis.dataframes import records

RANGE_MARK = "†"


def range_marks(tables: Mapping[str, pd.DataFrame]) -> dict[tuple[str, str], str]:
    """The mark by task and variant, of those that have it; a verdict on the tasks together has the task ""."""
    marked = [(row["task"], row["variant"]) for row in records(tables["range_dependence"])]
    return dict.fromkeys([*marked, *(("", variant) for _, variant in marked)], RANGE_MARK)


def legend(reference: str) -> str:
    """What the mark means."""
    return (
        f"{RANGE_MARK}: may hang on the ranges of the search, since the best trials of the variant or of {reference} "
        "lie at an end of one, or the opposite holds on half of one."
    )
