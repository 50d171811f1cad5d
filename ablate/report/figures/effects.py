"""The answer in one picture: how far each variant is from the reference. Nothing is computed here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ablate.analysis.dataframes import records, unique, where
from ablate.analysis.verdicts import BETTER, CONTROL, SAME, WORSE
from ablate.report import style
from ablate.report.registry import figure
from ablate.report.style import BLACK, QUIET, by_task, reference_of

# Colour and mark both tell a verdict, for print without colour.
_LOOKS: dict[str, dict[str, Any]] = {
    WORSE: {"color": style.VERMILLION, "marker": "s"},
    BETTER: {"color": style.BLUE, "marker": "o"},
    SAME: {"color": BLACK, "marker": "o", "mfc": "white"},
    CONTROL: {"color": QUIET, "marker": "x"},
}
_UNTESTED: dict[str, Any] = {"color": QUIET, "marker": "."}
_ACROSS = "all tasks"
_MARGIN = "#dfeaf2"
_SEPARATE = 20.0  # times the middle effect: what lies beyond would squeeze the rest, and is told in numbers


@figure("effects", tables=("comparisons", "across_tasks", "tasks", "variants"))
def effects(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The difference of every variant from the reference over all trials, sorted: a column a task, the tasks together.

    Points are mean differences and lines their 95 % intervals; the controls are the reference under other names.
    """
    with style.theme():
        table = where(tables["comparisons"], set="all").dropna(subset="difference")
        tasks = unique(table, "task")
        if not tasks:
            return style.blank("Nothing has been compared yet.")
        known, reference = by_task(tables["tasks"]), reference_of(tables["variants"])
        across = tables["across_tasks"].dropna(subset="difference").assign(task=_ACROSS)
        order = _order(table if across.empty else across, known)
        order += [name for name in unique(table, "variant") if name not in order]
        panels = [*([_ACROSS] if len(across) else []), *tasks]
        columns = style.columns_for(len(panels), 1.7)
        rows = -(-len(panels) // columns)
        width = min(style.WIDTH, max(3.6, 0.8 + 1.9 * columns))
        picture = Figure(figsize=(width, rows * (0.75 + 0.125 * len(order)) + 0.45), layout=style.constrained())
        grid = picture.subplots(rows, columns, squeeze=False)
        for axes, here in style.rows_of(grid, panels):
            for k, (ax, task) in enumerate(zip(axes, here, strict=False)):
                found = across if task == _ACROSS else where(table, task=task)
                _panel(ax, records(found), order, known.get(task, {}))
                ax.set_title(task, loc="left")
                ax.set_yticks(range(len(order)), order if k == 0 else [""] * len(order))
                ax.set_xlabel(_label(task, known.get(task, {}), reference))
        picture.legend(
            handles=_legend([*records(table), *records(across)], reference),
            loc="outside lower center",
            ncols=3,
            frameon=False,
        )
        return picture


def _order(table: pd.DataFrame, tasks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The variants from the worst at the bottom to the best at the top."""
    first = unique(table, "task")[0]
    sign = -1.0 if tasks.get(first, {}).get("direction") == "maximize" else 1.0
    rows = [row for row in records(table) if row["task"] == first]
    return [row["variant"] for row in sorted(rows, key=lambda row: -sign * row["difference"])]


def _panel(ax: Axes, rows: list[dict[str, Any]], order: list[str], task: Mapping[str, Any]) -> None:
    place = {name: k for k, name in enumerate(order)}
    sign = -1.0 if task.get("direction") == "maximize" else 1.0
    left, right = _limits(rows)
    if (margin := rows[0].get("margin", math.nan)) > 0:
        ax.axvspan(-margin, margin, color=_MARGIN, lw=0, zorder=0)
    ax.axvline(0, color=QUIET, lw=0.6, zorder=1)
    for row in rows:
        y, look = place[row["variant"]], _look(row)
        if row["low"] == row["low"]:
            ax.hlines(y, max(row["low"], left), min(row["high"], right), color=look["color"], lw=1.0, zorder=2)
        if left <= row["difference"] <= right:
            ax.plot(row["difference"], y, ms=3.4, mew=0.8, ls="", zorder=3, **look)
        else:
            beyond = row["difference"] > right
            text = f"{row['difference']:+.3g} {'▸' if beyond else ''}".replace("-", "−")
            text = text.strip() if beyond else f"◂ {text.strip()}"
            at = {"x": right if beyond else left, "ha": "right" if beyond else "left"}
            ax.text(
                at["x"],
                y,
                text,
                ha=at["ha"],
                va="center",
                fontsize=5.5,
                color=look["color"],
                zorder=3,
                bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"},
            )
    ax.set_xlim((left, right) if sign > 0 else (right, left))  # better is to the left, whatever the direction
    ax.set_ylim(-0.8, len(order) - 0.2)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#ededed", lw=0.5)
    ax.set_axisbelow(True)
    sns.despine(ax=ax, left=True)


def _limits(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """The differences worth showing: far ones, next to which the others would be a line, are told in numbers."""
    middle = float(np.median([abs(row["difference"]) for row in rows]))
    near = [row for row in rows if abs(row["difference"]) <= _SEPARATE * middle] or rows
    ends = [row[end] for row in near for end in ("low", "high") if row[end] == row[end]]
    ends += [row["difference"] for row in near] + [0.0]
    left, right = style.padded(min(ends), max(ends))
    return left, right


def _look(row: Mapping[str, Any]) -> dict[str, Any]:
    return _LOOKS[CONTROL] if row["role"] == CONTROL else _LOOKS.get(row["verdict"], _UNTESTED)


def _label(task: str, known: Mapping[str, Any], reference: str) -> str:
    if task == _ACROSS:
        return f"standard deviations of {reference}’s scores"
    return f"difference, {known.get('metric', 'score')}"


def _legend(rows: list[dict[str, Any]], reference: str) -> list[Line2D | Patch]:
    labels = {WORSE: f"significantly worse than {reference}", BETTER: f"significantly better than {reference}"}
    labels |= {SAME: SAME, CONTROL: f"control: {reference} itself, drawn anew"}
    looks = [_look(row) for row in rows]
    handles: list[Line2D | Patch] = [
        Line2D([], [], lw=1.0, ms=3.4, mew=0.8, label=label, **_LOOKS[verdict])
        for verdict, label in labels.items()
        if _LOOKS[verdict] in looks
    ]
    if _UNTESTED in looks:
        handles.append(Line2D([], [], lw=0, ms=3.4, label="not tested", **_UNTESTED))
    if any(row.get("margin", math.nan) > 0 for row in rows):
        handles.append(Patch(color=_MARGIN, label="no practical matter (set beforehand)"))
    return handles
