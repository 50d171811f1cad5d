"""Numbers as a reader is shown them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import records, unique, where

SET_NAMES = {"all": "all trials", "best": "the best tenth", "confirmed": "best setting anew"}


def decimals(boxes: pd.DataFrame) -> dict[str, int]:
    """By task, the decimals that show its scores to three significant places, and at least two.

    `boxes` is the table of box plots.
    """
    largest: dict[str, float] = {}
    for row in records(boxes):
        largest[row["task"]] = max(abs(row["median"]), largest.get(row["task"], 0.0))
    return {task: max(2, 2 - math.floor(math.log10(score))) if score > 0 else 2 for task, score in largest.items()}


def by_task(table: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """The rows of a table by their task."""
    return {task: records(where(table, task=task)) for task in unique(table, "task")}


def span(numbers: list[int]) -> str:
    """`6`, or `5 to 6`."""
    few, many = min(numbers), max(numbers)
    return f"{few}" if few == many else f"{few} to {many}"


def significant(value: float, digits: int = 2) -> int:
    """The decimals that show a number to so many significant digits; at most 8."""
    if math.isnan(value) or math.isinf(value) or value == 0:
        return 2
    return min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), 8)


def places(row: Mapping[str, Any]) -> int:
    """The decimals that the interval of an estimate allows: those that show half its width to two digits.

    Args:
        row: with the interval's ends, `low` and `high`; where there is none, the estimate's own size decides.
    """
    half = (row["high"] - row["low"]) / 2
    return significant(half) if half > 0 else significant(row.get("difference", math.nan), 3)


def number(value: float, digits: int = 2) -> str:
    """A plain number with a true minus; a dash for none."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 2) -> str:
    """A difference, always with its sign."""
    return "–" if math.isnan(value) else f"{value:+,.{digits}f}".replace("-", "−")


def probability(value: float) -> str:
    """A p-value with its relation: `= 0.012` or `< 0.001`."""
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"= {value:.3f}"


def scientific(value: float) -> str:
    """Such as 3.2 × 10⁻⁴."""
    if value is None or math.isnan(value):
        return "–"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits} × 10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def duration(seconds: float) -> str:
    """Wall time in the unit that suits it."""
    if seconds is None or math.isnan(seconds):
        return "–"
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def superscript(formula: str) -> str:
    """N^2 as N²."""
    return formula.replace("^2", "²")
