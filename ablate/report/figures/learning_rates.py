"""Which learning rates are of use. Nothing is computed here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from ablate.analysis.dataframes import records, where
from ablate.report import style
from ablate.report.registry import figure
from ablate.report.style import QUIET, by_task, reference_of


@figure("learning_rates", tables=("trial_subsets", "axis_limits", "tasks", "variants"))
def learning_rates(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The score of every trial against its learning rate: a panel a task, the reference told from the others."""
    with style.theme():
        points = [point for point in records(where(tables["trial_subsets"], set="all")) if point["learning_rate"] > 0]
        tasks = list(dict.fromkeys(point["task"] for point in points))
        if not tasks:
            return style.blank("No trial has a score yet.")
        known, reference = by_task(tables["tasks"]), reference_of(tables["variants"])
        columns = style.columns_for(len(tasks), 2.3)
        rows = -(-len(tasks) // columns)
        width = style.WIDTH if columns > 1 else 4.4
        picture = Figure(figsize=(width, rows * 2.1 + 0.3), layout=style.constrained())
        for panels, here in style.rows_of(picture.subplots(rows, columns, squeeze=False), tasks):
            for ax, task in zip(panels, here, strict=False):
                limits = records(where(tables["axis_limits"], task=task, set="all"))[0]
                limits["baseline_name"] = known[task]["baseline_name"]
                _panel(ax, [point for point in points if point["task"] == task], limits, reference)
                ax.set_title(task, loc="left")
            style.label_scores(panels, "test score", [known[task] for task in here])
        named = [zip(*reversed(ax.get_legend_handles_labels()), strict=True) for ax in picture.axes]
        key = {label: handle for pairs in named for label, handle in pairs}
        picture.legend(list(key.values()), list(key), loc="outside lower center", ncols=4, frameon=False)
        return picture


def _panel(ax: Axes, points: list[dict[str, Any]], limits: dict[str, Any], reference: str) -> None:
    low, high = style.padded(limits["low"], limits["high"])
    looks: dict[str, dict[str, Any]] = {
        "other variants": {"s": 5, "color": "#9a9a9a", "alpha": 0.6, "lw": 0},
        reference: {"s": 9, "color": style.BLUE, "lw": 0, "zorder": 3},
        "diverged": {"s": 9, "color": style.VERMILLION, "marker": "x", "lw": 0.7, "zorder": 3.5},
        "above the view": {"s": 7, "color": QUIET, "marker": "^", "alpha": 0.4, "lw": 0, "zorder": 3},
        "below the view": {"s": 9, "color": QUIET, "marker": "v", "lw": 0, "zorder": 3},
    }
    kinds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in looks}
    for point in points:
        kind, y = reference if point["variant"] == reference else "other variants", point["score"]
        if not limits["low"] <= y <= limits["high"]:
            kind, y = ("above the view", high) if y > limits["high"] else ("below the view", low)
        kinds["diverged" if point["state"] == "diverged" else kind].append((point["learning_rate"], y))
    for kind, at in kinds.items():
        # Thousands of points are a heavy vector drawing; the rest of the figure stays vector.
        if at:
            x, y = zip(*at, strict=True)
            ax.scatter(x, y, label=kind, rasterized=True, clip_on=False, **looks[kind])
    style.draw_baseline(ax, limits["baseline"], limits["baseline_name"], low, high)
    ax.set_ylim(low, high)
    ax.set_xscale("log")
    rates = [point["learning_rate"] for point in points]
    decades = math.log10(max(rates) / min(rates))
    ax.xaxis.set_major_locator(LogLocator(subs=(1,) if decades > 2 else (1, 3) if decades > 1 else (1, 2, 5)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("learning rate")
    sns.despine(ax=ax)
