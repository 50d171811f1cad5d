"""The gallery: each variant's equations with what it changes, beside its size and its results."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ablate.analysis.dataframes import records, unique
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import SET_NAMES, decimals
from ablate.report.page import environment
from ablate.report.typesetting import typeset


def render_gallery(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> str:
    """The page of the gallery."""
    # Variants share most of their equations, so each is defined once.
    lines = dict.fromkeys(line for variant in results.variants for _, line in variant.marked_equations)
    return (
        environment()
        .get_template("gallery.html")
        .render(
            results=results,
            equations={line: typeset(line, f"equation-{k}") for k, line in enumerate(lines)},
            tasks=unique(tables["boxes"], "task"),
            comparisons={(row["variant"], row["task"], row["set"]): row for row in records(tables["comparisons"])},
            summaries={(row["task"], row["variant"]): row for row in records(tables["summary"])},
            sets=SET_NAMES,
            decimals=decimals(tables["boxes"]),
        )
    )
