"""Corrections for the number of comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

HOLM, BENJAMINI_HOCHBERG = "Holm", "Benjamini-Hochberg"
MAX_HOLM = 10  # the largest family for which any false call at all is guarded against


def correction_for(comparisons: int) -> str:
    """How a family of so many comparisons is corrected.

    Up to MAX_HOLM by Holm: in at most 5 % of studies is any variant called different that is not. Beyond, that promise
    costs most of the power, and Benjamini and Hochberg's is made: of the variants called different, at most 5 % on
    average are not.
    """
    return HOLM if comparisons <= MAX_HOLM else BENJAMINI_HOCHBERG


def adjust(p: Sequence[float], correction: str) -> list[float]:
    """Adjusted p-values in the order given; NaN stays and is not counted."""
    return CORRECTIONS[correction](p)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979).

    The k-th smallest of m p-values is multiplied by m - k + 1, made no smaller than the one before, and capped at 1.
    """
    tests = sorted((value, place) for place, value in enumerate(p) if not math.isnan(value))
    adjusted = [math.nan] * len(p)
    running = 0.0
    for rank, (value, place) in enumerate(tests):
        running = max(running, min(1.0, (len(tests) - rank) * value))
        adjusted[place] = running
    return adjusted


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up correction (1995), which bounds the false discovery rate."""
    values = np.asarray(p, float)
    tested = ~np.isnan(values)
    if tested.any():
        values[tested] = stats.false_discovery_control(values[tested])
    return values.tolist()


CORRECTIONS: dict[str, Callable[[Sequence[float]], list[float]]] = {
    HOLM: holm,
    BENJAMINI_HOCHBERG: benjamini_hochberg,
}


def adjust_outsider(p: float, family: Sequence[float], correction: str) -> float:
    """What a p-value would be adjusted to if it joined the family, alone: for controls, which stand outside of it."""
    return adjust([*family, p], correction)[-1]
