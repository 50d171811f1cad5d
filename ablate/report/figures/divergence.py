"""How often training diverges, and at which learning rates. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter

from ablate.analysis.dataframes import records, unique, where
from ablate.report import style
from ablate.report.formatting import span
from ablate.report.registry import figure
from ablate.report.style import BLACK, QUIET, VERMILLION, reference_of


@figure("divergence", tables=("divergence_rates", "trial_subsets", "variants"))
def divergence(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The share of each variant's trials that diverged, with its interval, and the learning rates of those trials."""
    with style.theme():
        table, reference = tables["divergence_rates"], reference_of(tables["variants"])
        tasks = unique(table.query("diverged > 0"), "task")
        if not tasks:
            here = unique(table, "task")
            where_none = f" on {', '.join(here)}" if 0 < len(here) < 4 else ""
            return style.blank(f"No trial has diverged{where_none}.")
        trials = where(tables["trial_subsets"], set="all").query("learning_rate > 0")
        rates = sorted(set(trials["learning_rate"]))
        shown = {task: _shown(where(table, task=task), reference) for task in tasks}
        heights = [0.7 + 0.14 * len(rows) for rows in shown.values()]
        columns = 2 if len(rates) > 1 else 1
        picture = Figure(figsize=(3.6 * columns, sum(heights) + 0.3), layout=style.constrained())
        grid = picture.subplots(
            len(tasks), columns, squeeze=False, height_ratios=heights, width_ratios=[1, 1.6][:columns]
        )
        for (left, *right), (task, rows) in zip(grid, shown.items(), strict=True):
            _rates(left, rows, reference)
            left.set_title(f"{task}, {_sizes(where(table, task=task))}", loc="left")
            for ax in right:
                _strips(ax, rows, records(where(trials, task=task)), (rates[0], rates[-1]))
                if others := len(where(table, task=task)) - len(rows):
                    ax.set_title(f"none diverged of the other {others}", loc="right", color=QUIET, fontsize=6)
        handles = []
        if columns == 2:
            handles.append(Line2D([], [], lw=0, marker="x", color=VERMILLION, ms=3.5, label="diverged"))
            handles.append(Line2D([], [], lw=0, marker="|", color=QUIET, ms=4, label="completed"))
        if none := [task for task in unique(table, "task") if task not in tasks]:
            handles.append(Line2D([], [], lw=0, label=f"no trial diverged on {', '.join(none)}"))
        if handles:
            picture.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        return picture


def _shown(table: pd.DataFrame, reference: str) -> list[dict[str, Any]]:
    """The variants that diverged and the reference, from the least often to the most."""
    kept = table.query("diverged > 0 or variant == @reference")
    return records(kept.iloc[::-1].sort_values("rate", kind="stable"))


def _rates(ax: Axes, rows: list[dict[str, Any]], reference: str) -> None:
    for y, row in enumerate(rows):
        ax.hlines(y, row["low"], row["high"], color=BLACK, lw=1.0)
        ax.plot(row["rate"], y, "o", ms=3.4, color=BLACK)
    ax.set_yticks(range(len(rows)), [row["variant"] for row in rows])
    for label in ax.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == reference else "normal")
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_xlabel("share of trials that diverged")
    _rows(ax, len(rows))


def _strips(ax: Axes, rows: list[dict[str, Any]], trials: list[dict[str, Any]], ends: tuple[float, float]) -> None:
    place = {row["variant"]: y for y, row in enumerate(rows)}
    looks: dict[str, dict[str, Any]] = {
        "completed": {"marker": "|", "s": 12, "color": QUIET, "lw": 0.7, "alpha": 0.7},
        "diverged": {"marker": "x", "s": 10, "color": VERMILLION, "lw": 0.9, "zorder": 3},
    }
    for state, look in looks.items():
        points = [
            (trial["learning_rate"], place[trial["variant"]])
            for trial in trials
            if trial["state"] == state and trial["variant"] in place
        ]
        if points:
            ax.scatter(*zip(*points, strict=True), rasterized=len(points) > 2000, **look)
    ax.set_xscale("log")
    ax.set_xlim(ends[0] / 1.15, ends[1] * 1.15)
    ax.xaxis.set_major_locator(LogLocator(subs=(1,) if ends[1] / ends[0] > 100 else (1, 3)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(range(len(rows)), [""] * len(rows))
    ax.set_xlabel("learning rate")
    _rows(ax, len(rows))


def _rows(ax: Axes, count: int) -> None:
    ax.set_ylim(-0.8, count - 0.2)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#ededed", lw=0.5)
    ax.set_axisbelow(True)
    sns.despine(ax=ax, left=True)


def _sizes(table: pd.DataFrame) -> str:
    return f"n = {span([row['n'] for row in records(table)])}"
