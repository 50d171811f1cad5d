"""Variants by tasks on one scale: the whole study at a glance. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ablate.analysis.dataframes import records, unique, where
from ablate.analysis.verdicts import BETTER, CONTROL, WORSE
from ablate.report import style
from ablate.report.figures.effects import ACROSS, shown_sets, sorted_variants
from ablate.report.formatting import SET_NAMES, signed
from ablate.report.registry import figure
from ablate.report.style import BLACK, QUIET, reference_of

_END = 2.0  # standard deviations at which the colours end
_COLOURS = LinearSegmentedColormap.from_list("better to worse", [style.BLUE, "#ffffff", style.VERMILLION])
_MARKS = {WORSE: "■", BETTER: "●"}
_CELL, _ROW = 0.62, 0.14  # inches
_HEADING, _LEGEND = 1.1, 3.7  # inches: what the heading of a set needs, and the legend
_READABLE, _LETTER = 0.4, 0.052  # inches: what a cell needs for its number, and a letter of a task's name


@figure("overview", tables=("standardised_effects", "comparisons", "across_tasks", "variants"))
def overview(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The effect of every variant on every task in standard deviations of the reference's scores, with its verdict."""
    with style.theme():
        table = tables["standardised_effects"]
        sets = shown_sets(table)
        if not sets:
            return style.blank("Nothing has been compared yet.")
        across = tables["across_tasks"].dropna(subset="difference").rename(columns={"difference": "effect"})
        table = pd.concat([across.assign(task=ACROSS, set="all", equivalent=False), table], ignore_index=True)
        order = list(dict.fromkeys(variant for name in sets for variant in reversed(sorted_variants(tables, name))))
        parts = {name: where(table, set=name) for name in sets}
        columns = {name: unique(part, "task") for name, part in parts.items()}
        cells = sum(map(len, columns.values()))
        cell = min(_CELL, (style.WIDTH - 1.1) / cells)
        size = max(1.1 + cells * cell, 1.1 + _HEADING * len(sets), _LEGEND), 1.35 + _ROW * max(len(order), 4)
        picture = Figure(figsize=size, layout=style.constrained())
        axes = picture.subplots(1, len(sets), squeeze=False, width_ratios=[len(columns[name]) for name in sets])[0]
        controls = set(table.loc[table["role"].eq(CONTROL), "variant"])
        for ax, name in zip(axes, sets, strict=True):
            _matrix(ax, records(parts[name]), order, columns[name], cell)
            ax.set_title(SET_NAMES[name].capitalize(), loc="left", pad=4)
            ax.set_yticks([k + 0.5 for k in range(len(order))], order if ax is axes[0] else [""] * len(order))
            for label in ax.get_yticklabels():
                label.set_color(QUIET if label.get_text() in controls else BLACK)
        scale = ScalarMappable(Normalize(-_END, _END), _COLOURS)
        bar = picture.colorbar(scale, ax=list(axes), location="bottom", extend="both", aspect=40, shrink=0.8, pad=0.02)
        bar.set_label(
            f"difference in standard deviations of {reference_of(tables['variants'])}’s scores; right is worse"
        )
        bar.ax.tick_params(length=2, labelsize=6)
        handles: list[Line2D | Patch] = [
            Line2D([], [], lw=0, marker=marker, color=BLACK, ms=3.2, label=f"significantly {verdict}")
            for verdict, marker in ((WORSE, "s"), (BETTER, "o"))
        ]
        if any(len(part) < len(order) * len(columns[name]) for name, part in parts.items()):
            handles.append(Patch(color=style.BAR, label="not compared"))
        picture.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        return picture


def _matrix(ax: Axes, rows: list[dict[str, Any]], order: list[str], tasks: list[str], cell: float) -> None:
    numbers = cell >= _READABLE
    effects = pd.DataFrame(index=order, columns=tasks, dtype=float)
    texts = pd.DataFrame("", index=order, columns=tasks)
    for row in rows:
        effects.loc[row["variant"], row["task"]] = row["effect"]
        mark = "" if row["role"] == CONTROL else _MARKS.get(row["verdict"], "")
        number = "0.0" if abs(row["effect"]) < 0.05 else signed(row["effect"], 1)
        texts.loc[row["variant"], row["task"]] = f"{number} {mark}".strip() if numbers else mark
    options: dict[str, Any] = {"annot": texts, "fmt": "", "annot_kws": {"size": 5.2}}
    sns.heatmap(
        effects, cmap=_COLOURS, vmin=-_END, vmax=_END, mask=effects.isna(), cbar=False, linewidths=0.6, ax=ax, **options
    )
    ax.set_facecolor(style.BAR)
    ax.set_xticks([k + 0.5 for k in range(len(tasks))], tasks)
    ax.tick_params(length=0, labelsize=6, labeltop=True, labelbottom=False)
    ax.tick_params(axis="x", labelrotation=90 if max(map(len, tasks)) * _LETTER > cell else 0)
    ax.tick_params(axis="y", labelrotation=0)
    ax.set(xlabel="", ylabel="")
