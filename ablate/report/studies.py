"""The page that sets studies side by side."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ablate.analysis.dataframes import records, unique, where
from ablate.analysis.verdicts import BETTER, WORSE
from ablate.report import style
from ablate.report.page import environment
from ablate.report.pictures import render_figure
from ablate.report.style import BLUE, GREEN, ORANGE, PURPLE, QUIET, SKY, VERMILLION
from ablate.report.write import write_file

_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS = ("o", "s", "^", "D", "v", "P")


def write_comparison(tables: Mapping[str, pd.DataFrame], folder: Path) -> Path:
    """Write the page, its figure as PDF and PNG and the tables into a folder; returns the page's path.

    `tables` are those of `ablate.analysis.between_studies.compare_studies`.
    """
    pictures = render_figure(draw_effects(tables["effects"]))
    for name, table in tables.items():
        text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
        write_file(folder / "tables" / f"{name}.csv", text.encode())
    for kind in ("pdf", "png"):
        write_file(folder / "figures" / f"effects.{kind}", pictures[kind])
    page = folder / "index.html"
    write_file(page, render_comparison(tables, pictures["svg"]).encode())
    return page


def render_comparison(tables: Mapping[str, pd.DataFrame], svg: bytes) -> str:
    """The page. `svg` is the figure."""
    effects, differences = tables["effects"], tables["differences"]
    names = unique(effects, "study")
    rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in records(effects):
        rows.setdefault((row["task"], row["variant"]), {})[row["study"]] = row
    between = {(row["task"], row["variant"], row["study"]): row for row in records(differences)}
    tasks = {task: [key for key in rows if key[0] == task] for task in unique(effects, "task")}
    return (
        environment()
        .get_template("studies.html")
        .render(
            names=names,
            reference=effects["reference"].iloc[0],
            tasks=tasks,
            rows=rows,
            between=between,
            agreement=records(tables["agreement"]),
            settings=records(tables["settings"]),
            shared=differences["draws"].eq("shared").any(),
            figure=f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}",
        )
    )


def draw_effects(effects: pd.DataFrame) -> Figure:
    """The standardised effect of every variant by study: a column a task, the studies beside one another."""
    with style.theme():
        tasks, studies = unique(effects, "task"), unique(effects, "study")
        first = where(effects, task=tasks[0], study=studies[0]).sort_values("effect", ascending=False)
        order = list(dict.fromkeys([*first["variant"], *effects["variant"]]))
        columns = style.columns_for(len(tasks), 1.7)
        lines = -(-len(tasks) // columns)
        height = 0.9 + max(0.14, 0.075 * len(studies)) * len(order)
        picture = Figure(
            figsize=(min(style.WIDTH, max(3.6, 0.8 + 2.1 * columns)), lines * height + 0.3),
            layout=style.constrained(),
        )
        for axes, here in style.rows_of(picture.subplots(lines, columns, squeeze=False), tasks):
            for k, (ax, task) in enumerate(zip(axes, here, strict=False)):
                _panel(ax, records(where(effects, task=task)), order, studies)
                ax.set_title(task, loc="left")
                ax.set_yticks(range(len(order)), order if k == 0 else [""] * len(order))
        reference = effects["reference"].iloc[0]
        picture.supxlabel(f"difference in standard deviations of {reference}’s scores (right is worse)", size=7)
        handles = [
            Line2D([], [], color=_COLOURS[k % 6], marker=_MARKERS[k % 6], lw=1.0, ms=3.4, label=name)
            for k, name in enumerate(studies)
        ]
        handles.append(Line2D([], [], color=QUIET, marker="o", mfc="white", lw=0, ms=3.4, label="not significant"))
        picture.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
        return picture


def _panel(ax: Axes, rows: list[dict[str, Any]], order: list[str], studies: list[str]) -> None:
    ax.axvline(0, color=QUIET, lw=0.6, zorder=1)
    for row in rows:
        k = studies.index(row["study"])
        y = order.index(row["variant"]) + 0.6 * ((k + 0.5) / len(studies) - 0.5)
        colour = _COLOURS[k % 6]
        ax.hlines(y, row["low"], row["high"], color=colour, lw=0.9, zorder=2)
        fill = colour if row["verdict"] in (WORSE, BETTER) else "white"
        ax.plot(row["effect"], y, marker=_MARKERS[k % 6], ms=3.0, mew=0.8, color=colour, mfc=fill, ls="", zorder=3)
    # Linear within one standard deviation; beyond, cells that fail would squeeze the rest.
    ax.set_xscale("symlog", linthresh=1.0)
    ax.set_xticks([tick for tick in (-100, -10, -1, 0, 1, 10, 100) if _within(ax, tick)])
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
    ax.set_ylim(-0.8, len(order) - 0.2)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#ededed", lw=0.5)
    ax.set_axisbelow(True)
    sns.despine(ax=ax, left=True)


def _within(ax: Axes, tick: float) -> bool:
    low, high = ax.get_xlim()
    return low <= tick <= high
