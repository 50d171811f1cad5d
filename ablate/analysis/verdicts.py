"""How comparisons are judged: the one place that corrects a family's p-values and turns them into verdicts."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from ablate.statistics.families import adjust, adjust_outsider, correction_for
from ablate.statistics.levels import ALPHA

# Verdicts of a test; those of compared.py say why there is none.
WORSE, BETTER, SAME = "worse", "better", "no significant difference"
TESTED = (WORSE, BETTER, SAME)
OPPOSITE = {WORSE: BETTER, BETTER: WORSE}
# Where not one of the variant's trials beats the baseline, unless the reference has learned and is shown to be better:
# two failures are not equal, and neither is the better cell.
NOTHING_LEARNED = "nothing learned"

SETS = ("all", "best", "confirmed")  # which trials are compared
VARIANT, CONTROL = "variant", "control"  # the roles of what is compared with the reference


def judge_family(
    rows: list[dict[str, Any]], controls: Collection[str], unlearned: Collection[str], sign: float = 1.0
) -> list[dict[str, Any]]:
    """The comparisons of one family with role, correction, p_adjusted and verdict.

    Controls stand outside of the family; each is judged as if it alone had joined. A row without a p-value keeps the
    verdict that it has, which says why there is none. Rows that have `p_equivalent` get `equivalent`.

    Args:
        rows: with variant, reference, difference and p; and `direction`, whose sign counts instead of that of the
            difference, where the test is of something else.
        controls: the names of the reference's controls.
        unlearned: those that have learned nothing, the reference perhaps among them.
        sign: of a difference that is worse.
    """
    for row in rows:
        row["role"] = CONTROL if row["variant"] in controls else VARIANT
    correction = correction_for(sum(row["role"] == VARIANT and not math.isnan(row["p"]) for row in rows))
    adjusted, equivalent = (_adjusted(rows, kind, correction) for kind in ("p", "p_equivalent"))
    for row, p, p_equivalent in zip(rows, adjusted, equivalent, strict=True):
        row |= {"correction": correction, "p_adjusted": p}
        learned_nothing = row["variant"] in unlearned
        if not math.isnan(p):
            direction = row.pop("direction", row["difference"]) * sign
            row["verdict"] = SAME if p >= ALPHA else WORSE if direction > 0 else BETTER
            if learned_nothing and (row["verdict"] != WORSE or row["reference"] in unlearned):
                row["verdict"] = NOTHING_LEARNED
        if "p_equivalent" in row:
            row["equivalent"] = p_equivalent < ALPHA and not learned_nothing
    return rows


def _adjusted(rows: list[dict[str, Any]], kind: str, correction: str) -> list[float]:
    """The p-values of one kind after the correction, in the order of the rows; NaN where there is none."""
    family = [float(row.get(kind, math.nan)) for row in rows if row["role"] == VARIANT]
    inside = iter(adjust(family, correction))
    return [
        next(inside) if row["role"] == VARIANT else adjust_outsider(float(row.get(kind, math.nan)), family, correction)
        for row in rows
    ]
