"""What the networks wrote, where they can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import by_task
from ablate.report.registry import section


@section("samples", "What the networks wrote", position=60, tables=("generated_texts",))
def samples(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    table = tables["generated_texts"]
    return {"samples": by_task(table.assign(sample=table["sample"].map(_visible)))} if len(table) else None


def _visible(text: str) -> str:
    """Control characters as their pictures, save what lays out a text."""
    return text.translate({code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"})
