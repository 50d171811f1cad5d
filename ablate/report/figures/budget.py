"""What a search reaches with fewer draws, against trials and against time. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ablate.analysis.dataframes import groups, records, unique, where
from ablate.report import style
from ablate.report.formatting import number, significant
from ablate.report.registry import figure
from ablate.report.small_multiples import Block, Curve, Key, small_multiples
from ablate.report.style import by_task, reference_of

_TABLES = ("budget_curves", "axis_limits", "tasks", "variants")


@figure("budget", tables=_TABLES)
def budget(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """What so many draws of the search reach: a panel a variant, before the others and the reference."""
    return _budget(tables, "m", "draws")


@figure("budget_seconds", tables=_TABLES)
def budget_seconds(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """What so many seconds of search reach: a panel a variant, before the others and the reference."""
    return _budget(tables, "seconds", "seconds")


def _budget(tables: Mapping[str, pd.DataFrame], x: str, x_label: str) -> Figure:
    with style.theme():
        table, known = tables["budget_curves"], by_task(tables["tasks"])
        tasks = unique(table, "task")
        if not tasks:
            return style.blank("No trial has a score yet.")
        blocks = []
        for task in tasks:
            limits = records(where(tables["axis_limits"], task=task, set="all"))[0]
            here = where(table, task=task)
            found = {variant: _curve(rows, x) for (variant,), rows in groups(here, "variant")}
            blocks.append(
                Block(
                    title=task,
                    curves={name: found[name] for name in unique(here, "variant")},
                    limits=style.padded(limits["low"], limits["high"]),
                    x_label=x_label,
                    y_label=style.score_label("score", known[task]),
                    baseline=limits["baseline"],
                    log_x=True,
                )
            )
        banded = any(curve.dotted is not None for block in blocks for curve in block.curves.values())
        key = Key(
            reference_of(tables["variants"]),
            line="expected test score of the one chosen",
            band="its 95 % band" if banded else "",
            dotted="median validation score" if banded else "",
            baselines=unique(tables["tasks"].dropna(subset="baseline"), "baseline_name"),
        )
        return small_multiples(blocks, key)


def _curve(rows: pd.DataFrame, x: str) -> Curve:
    """The median of the validation scores stands only where it has a band: beyond, so few draws say little of it."""
    at, score, median = (rows[name].to_numpy(float) for name in (x, "score", "validation"))
    label = number(score[-1], significant(score[-1], 3))
    low, high = np.sort(rows[["better_end", "worse_end"]].to_numpy(float), axis=1).T
    known = np.isfinite(low) & np.isfinite(high)
    if np.count_nonzero(known) < 2:
        return Curve(at, score, label=label)
    return Curve(at, score, low, high, dotted=np.where(known, median, np.nan), label=label)
