"""What is kept of the surrogates of one response: plain numbers, from which every table is made."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ablate.importance.functional_anova import Importance, fits, good_box, ranked
from ablate.importance.surrogate import Array

DIGITS = 6  # significant ones; far below any band


def measure(u: Array, y: Array, good: bool = False) -> dict[str, Any]:
    """Importance of the axes u (n, d), places in [0, 1], for a response y (n,) of which less is better.

    Args:
        good: also within the box of the good trials.

    Returns:
        Lists and dicts by region, "whole" and "good": `surrogates`, the one that speaks first, each with `surrogate`,
        `points`, `inside`, `r2`, `enough`, `claims`, `main` (d), `pairs` ([axis, axis, share]) and `remainder`; and,
        of the one that speaks and only if it claims, `marginals` (by axis: places, values, standard deviations) and
        `surfaces` (by pair: both axes, places along each, values).
    """
    d = u.shape[1]
    boxes = {"whole": (np.zeros(d), np.ones(d))}
    if good:
        boxes["good"] = good_box(u, y)
    with threadpool_limits(1):  # the same digits in whatever process
        fitted = fits(u, y)
        found = {region: ranked(fit.importance(*box) for fit in fitted) for region, box in boxes.items()}
        return {region: _plain(list(those.values()), d) for region, those in found.items()}


def _plain(found: list[Importance], d: int) -> dict[str, Any]:
    speaks = found[0]
    pairs = list(itertools.combinations(range(d), 2)) if speaks.claims else []
    return {
        "surrogates": [
            {
                "surrogate": each.surrogate,
                "points": each.points,
                "inside": each.inside,
                "r2": _rounded(each.r2),
                "enough": each.enough,
                "claims": each.claims,
                "main": _rounded(each.main),
                "pairs": [[a, b, _rounded(share)] for (a, b), share in each.pairs.items()],
                "remainder": _rounded(each.remainder),
            }
            for each in found
        ],
        "marginals": [_rounded(speaks.marginal(axis)) for axis in range(d)] if speaks.claims else [],
        "surfaces": [[a, b, *map(_rounded, speaks.surface(a, b))] for a, b in pairs],
    }


def _rounded(values: Any) -> Any:
    if isinstance(values, tuple | list | np.ndarray):
        return [_rounded(value) for value in values]
    return float(f"{float(values):.{DIGITS}g}")
