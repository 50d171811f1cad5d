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
from ablate.analysis.verdicts import SETS, TESTED
from ablate.report import style
from ablate.report.registry import figure
from ablate.report.style import QUIET, VERDICT_LOOKS, by_task, reference_of, verdict_look

ACROSS = "all tasks"
_HEADINGS = {
    "all": "All trials, at settings drawn at random",
    "best": "The tenth of the trials that validation chose",
    "confirmed": "Best settings, trained anew",
}
_MARGIN = "#dfeaf2"
_SEPARATE = 20.0  # times the middle effect: what lies beyond would squeeze the rest, and is told in numbers


@figure("effects", tables=("comparisons", "standardised_effects", "across_tasks", "tasks", "variants"))
def effects(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The difference of every variant from the reference, sorted: a column a task, a row for each set of trials.

    Points are mean differences and lines their 95 % intervals; the controls are the reference under other names.
    """
    with style.theme():
        table = tables["comparisons"].dropna(subset="difference")
        sets = shown_sets(table)
        table = table.query("set in @sets")
        if not sets:
            return style.blank("Nothing has been compared yet.")
        known, reference = by_task(tables["tasks"]), reference_of(tables["variants"])
        across = tables["across_tasks"].dropna(subset="difference").assign(task=ACROSS, set="all")
        panels = [*([ACROSS] if len(across) else []), *unique(table, "task")]
        columns = style.columns_for(len(panels), 1.7)
        orders = {name: sorted_variants(tables, name) for name in sets}
        bands = [(name, k) for name in sets for k in range(0, len(panels), columns)]
        heights = [0.95 + 0.125 * len(orders[name]) for name, _ in bands]
        width = min(style.WIDTH, max(3.6, 0.8 + 1.9 * columns))
        handles, keys = _legend([*records(table), *records(across)], reference), 1 + int(width > 4) + int(width > 6)
        size = width, sum(heights) + 0.1 + 0.15 * -(-len(handles) // keys)
        picture = Figure(figsize=size, layout=style.constrained())
        grid = picture.subplots(len(bands), columns, squeeze=False, height_ratios=heights)
        for axes, (name, first) in zip(grid, bands, strict=True):
            names, heading = orders[name], _HEADINGS[name]
            for ax in axes:
                ax.set_visible(False)
            for ax, task in zip(axes, panels[first : first + columns], strict=False):
                found = where(across, set=name) if task == ACROSS else where(table, task=task, set=name)
                if found.empty:
                    continue
                ax.set_visible(True)
                _panel(ax, records(found), orders[name], known.get(task, {}))
                ax.set_title(f"{heading}\n{task}", loc="left", linespacing=1.6)
                ax.set_yticks(range(len(names)), names)
                ax.set_xlabel(_label(task, known.get(task, {}), reference))
                heading, names = "", [""] * len(names)  # said once a row, by its first panel
        picture.legend(handles=handles, loc="outside lower center", ncols=keys, frameon=False)
        return picture


def shown_sets(table: pd.DataFrame) -> list[str]:
    """The sets of trials that have a comparison; those that are not tested are left out beside the whole."""
    tested = set(table.loc[table["verdict"].isin(TESTED), "set"])
    return [name for name in SETS if name in set(table["set"]) and (name == "all" or name in tested)]


def sorted_variants(tables: Mapping[str, pd.DataFrame], name: str) -> list[str]:
    """The variants of a set from the worst to the best over the tasks, then those without a place there."""
    found = where(tables["standardised_effects"], set=name).sort_values("over_tasks", ascending=False, kind="stable")
    rest = where(tables["comparisons"].dropna(subset="difference"), set=name)
    return list(dict.fromkeys([*found["variant"], *rest["variant"]]))


def _panel(ax: Axes, rows: list[dict[str, Any]], order: list[str], task: Mapping[str, Any]) -> None:
    place = {name: k for k, name in enumerate(order)}
    sign = -1.0 if task.get("direction") == "maximize" else 1.0
    left, right = _limits(rows)
    if (margin := rows[0].get("margin", math.nan)) > 0:
        ax.axvspan(max(-margin, left), min(margin, right), color=_MARGIN, lw=0, zorder=0)
    ax.axvline(0, color=QUIET, lw=0.6, zorder=1)
    for row in rows:
        y, look = place[row["variant"]], verdict_look(row)
        if not left <= row["difference"] <= right:
            _write_beyond(ax, row["difference"], y, (left, right), sign, look["color"])
            continue
        if row["low"] == row["low"]:
            ax.hlines(y, max(row["low"], left), min(row["high"], right), color=look["color"], lw=1.0, zorder=2)
        ax.plot(row["difference"], y, ms=3.4, mew=0.8, ls="", zorder=3, **look)
    ax.set_xlim((left, right) if sign > 0 else (right, left))  # better is to the left, whatever the direction
    ax.set_ylim(-0.8, len(order) - 0.2)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#ededed", lw=0.5)
    ax.set_axisbelow(True)
    sns.despine(ax=ax, left=True)


def _write_beyond(ax: Axes, difference: float, y: int, ends: tuple[float, float], sign: float, colour: Any) -> None:
    """An effect beyond the panel, as a number at the end where it lies."""
    beyond = difference > ends[1]
    at_right = beyond == (sign > 0)
    text = f"{difference:+.3g}".replace("-", "−")
    ax.text(
        ends[1] if beyond else ends[0],
        y,
        f"{text} ▸" if at_right else f"◂ {text}",
        ha="right" if at_right else "left",
        va="center",
        fontsize=5.5,
        color=colour,
        zorder=3,
    )


def _limits(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """The differences worth showing: far ones, next to which the others would be a line, are told in numbers."""
    middle = float(np.median([abs(row["difference"]) for row in rows]))
    near = [row for row in rows if abs(row["difference"]) <= _SEPARATE * middle] or rows
    ends = [row[end] for row in near for end in ("low", "high") if row[end] == row[end]]
    ends += [row["difference"] for row in near] + [0.0]
    left, right = style.padded(min(ends), max(ends))
    return left, right


def _label(task: str, known: Mapping[str, Any], reference: str) -> str:
    if task == ACROSS:
        return f"standard deviations of {reference}’s scores"
    return f"difference, {known.get('metric', 'score')}"


def _legend(rows: list[dict[str, Any]], reference: str) -> list[Line2D | Patch]:
    looks = [verdict_look(row) for row in rows]
    handles: list[Line2D | Patch] = [
        Line2D([], [], lw=0 if look["marker"] == "." else 1.0, ms=3.4, mew=0.8, label=label.format(reference), **look)
        for label, look in VERDICT_LOOKS.values()
        if look in looks
    ]
    if any(row.get("margin", math.nan) > 0 for row in rows):
        handles.append(Patch(color=_MARGIN, label="no practical matter (set beforehand)"))
    return handles
