"""How the best trials learnt, and which learning rates are of use. Nothing is computed here but where labels go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter

from ablate.analysis.frames import records, where
from ablate.report import style
from ablate.report.facts import Facts
from ablate.report.style import QUIET
from ablate.report.tables import Tables

_LABEL = 6.0  # points: the size of a label at the end of a curve
_LINE = 1.12 * _LABEL / 72  # inches from one label to the next


def curves(tables: Tables, facts: Facts) -> Figure:
    """The validation score of each variant's best trial by epoch: a panel a task, the best epoch marked."""
    with style.theme():
        tasks = list(dict.fromkeys(tables.curve_views["task"]))
        if not tasks:
            return style.blank("No completed trial has a curve yet.")
        variants = facts.variant_order(tables.curves["variant"])
        columns = style.columns_for(len(tasks), 2.3)
        rows = -(-len(tasks) // columns)
        inside = max(2.0, _LINE * (len(variants) + 1))  # inches, so that every label finds its place
        width = style.WIDTH if columns > 1 else 5.2
        figure = Figure(figsize=(width, rows * (inside + 0.65)), layout=style.constrained())
        for panels, here in style.rows_of(figure.subplots(rows, columns, squeeze=False), tasks):
            for ax, task in zip(panels, here, strict=False):
                _curve_panel(ax, tables, facts, task, variants, _LINE / inside)
            style.label_scores(panels, "validation", [facts.task(task) for task in here])
        return figure


def _curve_panel(ax: Axes, tables: Tables, facts: Facts, task: str, variants: list[str], gap: float) -> None:
    here = where(tables.curves, task=task)
    view = records(where(tables.curve_views, task=task))[0]
    low, high = style.padded(view["low"], view["high"])
    colours, dashes = style.line_styles(variants, facts.reference)
    names = {"hue": "variant", "style": "variant", "palette": colours, "dashes": dashes}
    sns.lineplot(here, x="epoch", y="validation", estimator=None, errorbar=None, legend=False, lw=0.9, ax=ax, **names)
    home = where(here, variant=facts.reference)
    ax.plot(home["epoch"], home["validation"], color=style.BLACK, lw=1.5, zorder=2.5)
    best = {row["variant"]: row for row in records(where(here, best=True))}
    for variant, row in best.items():
        ax.scatter(row["epoch"], row["validation"], s=9, color=colours[variant], zorder=3, lw=0)
    style.draw_baseline(ax, view["baseline"], facts.task(task).baseline_name, low, high)
    ax.set_ylim(low, high)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True) if len(set(here["epoch"])) > 1 else FixedLocator([1]))
    ax.set_xlabel("epoch")
    ax.set_title(task, loc="left")
    sns.despine(ax=ax)

    # A label at the end of each line instead of a legend: the eye need not match forty dashes.
    ends: dict[str, Any] = {row["variant"]: row for row in records(here)}
    heights = [min(1.0, max(0.0, (end["validation"] - low) / (high - low))) for end in ends.values()]
    for (variant, end), height in zip(ends.items(), _apart(heights, gap), strict=True):
        colour, bold = colours[variant], variant == facts.reference
        sample = {"color": colour, "lw": 1.5 if bold else 0.9, "dashes": dashes[variant] or (None, None)}
        ax.plot([1.08, 1.16], [height, height], transform=ax.transAxes, clip_on=False, **sample)
        score = f" {best[variant]['validation']:.2f}" if variant in best else ""
        ax.text(
            1.18,
            height,
            f"{variant}{score}",
            transform=ax.transAxes,
            va="center",
            fontsize=_LABEL,
            fontweight="bold" if bold else "normal",
        )
        ax.annotate(
            "",
            (end["epoch"], min(high, max(low, end["validation"]))),
            xytext=(1.08, height),
            textcoords="axes fraction",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "lw": 0.35, "color": colour, "shrinkA": 0, "shrinkB": 1},
        )


def learning_rates(tables: Tables, facts: Facts) -> Figure:
    """The score of every trial against its learning rate: a panel a task, the reference told from the others."""
    with style.theme():
        points = [point for point in records(where(tables.points, set="all")) if point["learning_rate"] > 0]
        tasks = list(dict.fromkeys(point["task"] for point in points))
        if not tasks:
            return style.blank("No trial has a score yet.")
        columns = style.columns_for(len(tasks), 2.3)
        rows = -(-len(tasks) // columns)
        width = style.WIDTH if columns > 1 else 4.4
        figure = Figure(figsize=(width, rows * 2.1 + 0.3), layout=style.constrained())
        for panels, here in style.rows_of(figure.subplots(rows, columns, squeeze=False), tasks):
            for ax, task in zip(panels, here, strict=False):
                view = records(where(tables.views, task=task, set="all"))[0]
                _rate_panel(ax, [point for point in points if point["task"] == task], view, facts)
                ax.set_title(task, loc="left")
            style.label_scores(panels, "test score", [facts.task(task) for task in here])
        named = [zip(*reversed(ax.get_legend_handles_labels()), strict=True) for ax in figure.axes]
        key = {label: handle for pairs in named for label, handle in pairs}
        figure.legend(list(key.values()), list(key), loc="outside lower center", ncols=4, frameon=False)
        return figure


def _rate_panel(ax: Axes, points: list[dict[str, Any]], view: dict[str, Any], facts: Facts) -> None:
    low, high = style.padded(view["low"], view["high"])
    home = facts.reference
    looks: dict[str, dict[str, Any]] = {
        "other variants": {"s": 5, "color": "#9a9a9a", "alpha": 0.6, "lw": 0},
        home: {"s": 9, "color": style.BLUE, "lw": 0, "zorder": 3},
        "diverged": {"s": 9, "color": style.VERMILLION, "marker": "x", "lw": 0.7, "zorder": 3.5},
        "above the view": {"s": 7, "color": QUIET, "marker": "^", "alpha": 0.4, "lw": 0, "zorder": 3},
        "below the view": {"s": 9, "color": QUIET, "marker": "v", "lw": 0, "zorder": 3},
    }
    kinds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in looks}
    for point in points:
        kind, y = home if point["variant"] == home else "other variants", point["score"]
        if not view["low"] <= y <= view["high"]:
            kind, y = ("above the view", high) if y > view["high"] else ("below the view", low)
        kinds["diverged" if point["state"] == "diverged" else kind].append((point["learning_rate"], y))
    for kind, at in kinds.items():
        # Thousands of points are a heavy vector drawing; the rest of the figure stays vector.
        if at:
            x, y = zip(*at, strict=True)
            ax.scatter(x, y, label=kind, rasterized=True, clip_on=False, **looks[kind])
    style.draw_baseline(ax, view["baseline"], facts.task(view["task"]).baseline_name, low, high)
    ax.set_ylim(low, high)
    ax.set_xscale("log")
    rates = [point["learning_rate"] for point in points]
    decades = math.log10(max(rates) / min(rates))
    ax.xaxis.set_major_locator(LogLocator(subs=(1,) if decades > 2 else (1, 3) if decades > 1 else (1, 2, 5)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("learning rate")
    sns.despine(ax=ax)


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Heights in [0, 1], moved as little as possible (least squares) until neighbours are a gap apart."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    # Less the gaps below it, each height need only not fall: pool neighbours that do (isotonic regression).
    blocks: list[tuple[float, int]] = []
    for rank, k in enumerate(order):
        total, size = heights[k] - rank * gap, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / size:
            total, size = total + blocks[-1][0], size + blocks[-1][1]
            blocks.pop()
        blocks.append((total, size))
    top = 1 - (len(heights) - 1) * gap
    free = [max(0.0, min(top, total / size)) for total, size in blocks for _ in range(size)]
    moved = [0.0] * len(heights)
    for rank, k in enumerate(order):
        moved[k] = free[rank] + rank * gap
    return moved
