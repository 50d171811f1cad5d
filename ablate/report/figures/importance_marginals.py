"""A score and a training's time along each hyperparameter. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.analysis.dataframes import select, unique, where
from ablate.analysis.importance import GOOD, WHOLE
from ablate.analysis.responses import POOLED, SCORE, SECONDS
from ablate.report import style
from ablate.report.registry import figure
from ablate.report.style import BLACK, by_task, reference_of

AXES = ("learning_rate", "hidden_size", "input_noise")  # those of the paper's figure
MOST_OTHERS = 3  # variants beside the reference
GOOD_LABEL = "within the region of good trials"


@figure("importance_marginals", tables=("importance_marginals", "tasks", "variants"))
def importance_marginals(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The score along learning rate, hidden size and input noise, all else averaged out: a row a task."""
    return _marginals(tables, SCORE)


@figure("importance_times", tables=("importance_marginals", "tasks", "variants"))
def importance_times(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The time of a training along learning rate, hidden size and input noise, all else averaged out: a row a task."""
    return _marginals(tables, SECONDS)


def _marginals(tables: Mapping[str, pd.DataFrame], response: str) -> Figure:
    with style.theme():
        table = where(tables["importance_marginals"], response=response)
        table = select(table, table["axis"].isin(AXES))
        if table.empty:
            return style.blank("There is no marginal to show: see the table of importance.")
        looks = _looks(table, reference_of(tables["variants"]))
        table = select(table, table["variant"].isin(list(looks)))
        tasks, axes = unique(table, "task"), [name for name in AXES if name in set(table["axis"])]
        width = 0.6 + 2.2 * len(axes)
        picture = Figure(figsize=(max(width, 3.4), 0.55 + 1.65 * len(tasks)), layout=style.constrained())
        grid = picture.subplots(len(tasks), len(axes), squeeze=False, sharey="row")
        known = by_task(tables["tasks"])
        for panels, task in zip(grid, tasks, strict=True):
            for ax, axis in zip(panels, axes, strict=True):
                _panel(ax, where(table, task=task, axis=axis), looks, response)
                if task == tasks[-1]:
                    ax.set_xlabel(axis.replace("_", " "))
            panels[0].set_title(task, loc="left")
            if response == SCORE:
                style.label_scores([panels[0]], "test score", [known[task]])
            else:
                panels[0].set_ylabel("time of a trial, s")
        labels = {label: line for ax in grid.flat for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        picture.legend(list(labels.values()), list(labels), loc="outside lower center", ncols=3, frameon=False)
        return picture


def _looks(table: pd.DataFrame, reference: str) -> dict[str, dict[str, Any]]:
    """Of the variants that are drawn: the reference, all together, and the others where they are few."""
    names = unique(table, "variant")
    others = [name for name in names if name not in (reference, POOLED)]
    if len(others) > MOST_OTHERS and POOLED in names:
        others = []
    looks = {name: {"color": BLACK, "ls": "-"} for name in names if name == reference}
    looks |= {name: {"color": style.BLUE, "ls": (0, (5, 1.2))} for name in names if name == POOLED}
    colours = (style.VERMILLION, style.GREEN, style.PURPLE)
    dashes = ((0, (2, 1)), (0, (1, 1)), (0, (5, 1, 1, 1)))
    shown = zip(others[:MOST_OTHERS], colours, dashes, strict=False)
    return looks | {name: {"color": colour, "ls": dash} for name, colour, dash in shown}


def _panel(ax: Axes, table: pd.DataFrame, looks: Mapping[str, Mapping[str, Any]], response: str) -> None:
    for variant, look in looks.items():
        rows = where(table, variant=variant, region=WHOLE)
        if len(rows):
            ax.fill_between(rows["value"], rows["low"], rows["high"], color=look["color"], alpha=0.15, lw=0)
            ax.plot(rows["value"], rows["mean"], lw=1.2, label=variant, **look)
    leads = [name for name in (POOLED, *looks) if len(where(table, variant=name, region=GOOD))]
    if leads:
        rows = where(table, variant=leads[0], region=GOOD)
        ax.plot(rows["value"], rows["mean"], lw=2.2, color=style.ORANGE, label=f"{leads[0]}, {GOOD_LABEL}")
    if len(table):
        style.scale_axis(ax, "x", table["value"])
    if response == SECONDS and len(table):
        style.scale_axis(ax, "y", table["mean"])
    ax.margins(x=0.02)
    sns.despine(ax=ax)
