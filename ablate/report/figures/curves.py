"""How the best trials learnt. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from ablate.analysis.dataframes import groups, records, unique, where
from ablate.report import style
from ablate.report.formatting import number, significant
from ablate.report.registry import figure
from ablate.report.small_multiples import Block, Curve, Key, small_multiples
from ablate.report.style import by_task, reference_of


@figure("curves", tables=("learning_curves", "curve_axis_limits", "tasks", "variants"))
def curves(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """What the best trials had reached by epoch: a panel a variant, before the others and the reference."""
    with style.theme():
        tasks, known = unique(tables["curve_axis_limits"], "task"), by_task(tables["tasks"])
        planned = list(tables["variants"]["variant"])
        if not tasks:
            return style.blank("No completed trial has a curve yet.")
        blocks = []
        for task in tasks:
            limits = records(where(tables["curve_axis_limits"], task=task))[0]
            here = where(tables["learning_curves"], task=task)
            found = {variant: _curve(rows) for (variant,), rows in groups(here, "variant")}
            blocks.append(
                Block(
                    title=task,
                    curves={name: found[name] for name in unique(here, "variant")},
                    limits=style.padded(limits["low"], limits["high"]),
                    x_label="epoch",
                    y_label=style.score_label("validation", known[task]),
                    baseline=limits["baseline"],
                    note=style.without("no curve", [name for name in planned if name not in found]),
                )
            )
        baselines = unique(tables["tasks"].dropna(subset="baseline"), "baseline_name")
        key = Key(
            reference_of(tables["variants"]),
            line="median of its best trials",
            band="the middle half of them",
            baselines=baselines,
        )
        return small_multiples(blocks, key)


def _curve(rows: pd.DataFrame) -> Curve:
    x, low, y, high = (rows[name].to_numpy(float) for name in ("epoch", "low", "median", "high"))
    return Curve(x, y, low, high, label=number(y[-1], significant(y[-1], 3)))
