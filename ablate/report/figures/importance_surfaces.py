"""How hyperparameters interact. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.analysis.dataframes import groups, unique, where
from ablate.analysis.importance import SHOWN_PAIR
from ablate.analysis.responses import POOLED
from ablate.report import style
from ablate.report.registry import figure
from ablate.report.style import by_task, reference_of

LEAST = 0.01  # the share of an interaction from which it is shown beside that of the paper
COLUMNS = {"mean": "viridis", "interaction": "PuOr"}


@figure("importance_surfaces", tables=("importance_surfaces", "tasks", "variants"))
def importance_surfaces(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The score over two hyperparameters, and their interaction: learning rate with size, and the strongest pair.

    Of all variants together, or of the reference where nothing is claimed of them.
    """
    with style.theme():
        table = tables["importance_surfaces"]
        surfaces = [
            (task, variant, axis, other, surface)
            for task in unique(table, "task")
            for variant in _variant(where(table, task=task), reference_of(tables["variants"]))
            for (axis, other), surface in groups(where(table, task=task, variant=variant), "axis", "other")
            if (axis, other) == SHOWN_PAIR or surface["share"].to_numpy().max() >= LEAST
        ]
        if not surfaces:
            return style.blank("There is no interaction to show: see the table of importance.")
        known = by_task(tables["tasks"])
        picture = Figure(figsize=(6.2, 2.1 * len(surfaces)), layout=style.constrained())
        for panels, found in zip(picture.subplots(len(surfaces), 2, squeeze=False), surfaces, strict=True):
            _row(picture, list(panels), found, known[found[0]]["metric"])
        return picture


def _variant(table: pd.DataFrame, reference: str) -> list[str]:
    return [name for name in (POOLED, reference) if name in set(table["variant"])][:1]


def _row(picture: Figure, panels: list[Axes], found: tuple[str, str, str, str, pd.DataFrame], metric: str) -> None:
    task, variant, axis, other, surface = found
    low, high = surface["mean"].to_numpy().min(), surface["mean"].to_numpy().max()
    half = (high - low) / 2  # so that an interaction looks as large as it is
    for ax, (column, colours) in zip(panels, COLUMNS.items(), strict=True):
        grid = surface.pivot(index="other_value", columns="value", values=column)
        ends = (-half, half) if column == "interaction" else (low, high)
        mesh = ax.pcolormesh(grid.columns, grid.index, grid, cmap=colours, shading="nearest", rasterized=True)
        mesh.set_clim(*map(float, ends))
        bar = picture.colorbar(mesh, ax=ax)
        bar.set_label(metric if column == "mean" else f"beyond both marginals, {metric}", size=6)
        bar.outline.set_visible(False)
        style.scale_axis(ax, "x", grid.columns)
        style.scale_axis(ax, "y", grid.index)
        ax.set_xlabel(axis.replace("_", " "))
        ax.set_ylabel(other.replace("_", " "))
    panels[0].set_title(f"{task}, {variant}", loc="left")
    panels[1].set_title(f"interaction: {surface['share'].max():.1%} of the variance".replace("%", " %"), loc="left")
