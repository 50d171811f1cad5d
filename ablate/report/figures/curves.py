"""How the best trials learnt. Nothing is computed here but where labels go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from ablate.analysis.dataframes import records, unique, where
from ablate.report import style
from ablate.report.registry import figure
from ablate.report.style import by_task, reference_of

_LABEL = 6.0  # points: the size of a label at the end of a curve
_LABEL_HEIGHT = 1.12 * _LABEL / 72  # inches from one label to the next


@figure("curves", tables=("best_curves", "curve_axis_limits", "tasks", "variants"))
def curves(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The validation score of each variant's best trial by epoch: a panel a task, the best epoch marked."""
    with style.theme():
        tasks, known = unique(tables["curve_axis_limits"], "task"), by_task(tables["tasks"])
        if not tasks:
            return style.blank("No completed trial has a curve yet.")
        variants = list(tables["variants"]["variant"])
        columns = style.columns_for(len(tasks), 2.3)
        rows = -(-len(tasks) // columns)
        inside = max(2.0, _LABEL_HEIGHT * (len(variants) + 1))  # inches, so that every label finds its place
        width = style.WIDTH if columns > 1 else 5.2
        picture = Figure(figsize=(width, rows * (inside + 0.65)), layout=style.constrained())
        for panels, here in style.rows_of(picture.subplots(rows, columns, squeeze=False), tasks):
            for ax, task in zip(panels, here, strict=False):
                _panel(ax, tables, task, variants, _LABEL_HEIGHT / inside)
            style.label_scores(panels, "validation", [known[task] for task in here])
        return picture


def _panel(ax: Axes, tables: Mapping[str, pd.DataFrame], task: str, variants: list[str], gap: float) -> None:
    here, reference = where(tables["best_curves"], task=task), reference_of(tables["variants"])
    limits = records(where(tables["curve_axis_limits"], task=task))[0]
    low, high = style.padded(limits["low"], limits["high"])
    colours, dashes = style.line_styles(variants, reference)
    names = {"hue": "variant", "style": "variant", "palette": colours, "dashes": dashes}
    sns.lineplot(here, x="epoch", y="validation", estimator=None, errorbar=None, legend=False, lw=0.9, ax=ax, **names)
    of_reference = where(here, variant=reference)
    ax.plot(of_reference["epoch"], of_reference["validation"], color=style.BLACK, lw=1.5, zorder=2.5)
    best = {row["variant"]: row for row in records(where(here, best=True))}
    for variant, row in best.items():
        ax.scatter(row["epoch"], row["validation"], s=9, color=colours[variant], zorder=3, lw=0)
    style.draw_baseline(ax, limits["baseline"], by_task(tables["tasks"])[task]["baseline_name"], low, high)
    ax.set_ylim(low, high)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True) if len(set(here["epoch"])) > 1 else FixedLocator([1]))
    ax.set_xlabel("epoch")
    ax.set_title(task, loc="left")
    sns.despine(ax=ax)

    # A label at the end of each line instead of a legend: the eye need not match forty dashes.
    ends: dict[str, Any] = {row["variant"]: row for row in records(here)}
    heights = [min(1.0, max(0.0, (end["validation"] - low) / (high - low))) for end in ends.values()]
    for (variant, end), height in zip(ends.items(), spread_out(heights, gap), strict=True):
        colour, bold = colours[variant], variant == reference
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


def spread_out(heights: Sequence[float], gap: float) -> list[float]:
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
