"""How every figure looks: type, colours, and the grid of panels on a page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib import style as matplotlib_style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from ablate.analysis.dataframes import records
from ablate.analysis.verdicts import BETTER, CONTROL, NOTHING_LEARNED, SAME, WORSE

WIDTH = 7.2  # inches: the text width of a two-column paper

# Okabe and Ito's colours, told apart by readers with any of the common colour deficiencies.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = mpl.color_sequences["okabe_ito"]
BAR = "#e6e6e6"
QUIET = "#767676"
LOGARITHMIC = 4.0
BASELINE = {"color": QUIET, "lw": 0.7, "ls": "--"}

# Colour and mark both tell a verdict, for print without colour. The label's gap is for the reference.
VERDICT_LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    WORSE: ("significantly worse than {}", {"color": VERMILLION, "marker": "s"}),
    BETTER: ("significantly better than {}", {"color": BLUE, "marker": "o"}),
    SAME: (SAME, {"color": BLACK, "marker": "o", "mfc": "white"}),
    CONTROL: ("control: {} itself, drawn anew", {"color": QUIET, "marker": "x"}),
    NOTHING_LEARNED: (NOTHING_LEARNED, {"color": QUIET, "marker": "d", "mfc": "white"}),
    "": ("not tested", {"color": QUIET, "marker": "."}),
}


@contextmanager
def theme() -> Iterator[None]:
    """The settings under which figures are drawn and saved, whatever the user's matplotlibrc says; restored after."""
    own = {
        "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same picture on every machine
        "font.size": 7,
        "axes.titlesize": 7.5,
        "axes.labelsize": 7,
        "xtick.labelsize": 6.5,
        "ytick.labelsize": 6.5,
        "legend.fontsize": 6.5,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "hatch.linewidth": 0.8,
        "svg.hashsalt": "ablate",  # else every run writes other identifiers
        "savefig.dpi": 200,
        "figure.dpi": 100,
    }
    with matplotlib_style.context("default"):
        for settings in (sns.axes_style("ticks"), sns.plotting_context("paper"), own):
            mpl.rcParams.update(settings)  # pyright: ignore[reportCallIssue, reportArgumentType]
        yield


def columns_for(panels: int, narrowest: float) -> int:
    """How many panels stand side by side on a page, with the rows about equally full."""
    fit = max(1, min(panels, int(WIDTH / narrowest)))
    return math.ceil(panels / math.ceil(panels / fit)) if panels else 1


def rows_of(grid: npt.NDArray[np.object_], tasks: Sequence[str]) -> Iterator[tuple[list[Axes], Sequence[str]]]:
    """Each row of a grid of panels with its tasks; the panels left over are hidden."""
    columns = grid.shape[1]
    for row, panels in enumerate(grid):
        here = tasks[row * columns : (row + 1) * columns]
        for ax in panels[len(here) :]:
            ax.set_visible(False)
        yield list(panels), here


def blank(message: str) -> Figure:
    """A figure that says why there is none."""
    figure = Figure(figsize=(3.5, 0.8))
    figure.text(0.5, 0.5, message, ha="center", va="center", color=QUIET)
    return figure


def constrained() -> ConstrainedLayoutEngine:
    """A layout that leaves room between panels for their labels."""
    return ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.08)


def padded(low: float, high: float) -> tuple[float, float]:
    """The ends of an axis that shows this range, with some air."""
    margin = 0.05 * (high - low) or max(0.01, 0.01 * abs(high))
    return low - margin, high + margin


def scale_axis(ax: Axes, which: Literal["x", "y"], values: Iterable[float]) -> None:
    """Show a hyperparameter along the x or y axis: in logarithms where its values span a factor of LOGARITHMIC.

    A grid of evenly spaced values is of one that is drawn evenly, and so is its axis.
    """
    grid = np.unique(np.fromiter(values, float))
    grid = grid[np.isfinite(grid)]
    low, high = grid[0], grid[-1]
    even = len(grid) > 2 and np.allclose(np.diff(grid), (high - low) / (len(grid) - 1), rtol=1e-3)
    axis = {"x": ax.xaxis, "y": ax.yaxis}[which]
    if even or low <= 0 or high / low < LOGARITHMIC:
        axis.set_major_locator(MaxNLocator(4))
        return
    {"x": ax.set_xscale, "y": ax.set_yscale}[which]("log")
    decades = math.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1,) if decades > 2 else (1, 3) if decades > 1 else (1, 2, 5)))
    axis.set_minor_formatter(NullFormatter())
    if low >= 1:
        axis.set_major_formatter(ScalarFormatter())  # sizes in plain numbers


def draw_baseline(ax: Axes, score: float, name: str, low: float, high: float, raised: int = 0) -> None:
    """The baseline's score as a line, or in words where it is beyond the panel from `low` to `high`.

    `raised`: by so many lines the words stand above the panel, where there is no room beside its heading.
    """
    if low <= score <= high:
        ax.axhline(score, zorder=1.5, **BASELINE)
    elif math.isfinite(score):
        above = score > high
        text = f"{name} {score:.3g} {'↑' if above else '↓'}"
        ax.set_title(text + raised * "\n ", loc="right", fontsize=5.5, color=QUIET, linespacing=1.6)


def score_label(what: str, task: Mapping[str, Any]) -> str:
    """The quantity, its unit and which way is better. `task` is a row of the table of tasks."""
    better = "lower" if task["direction"] == "minimize" else "higher"
    return f"{what}, {task['metric']}\n({better} is better)"


def label_scores(panels: Sequence[Axes], what: str, tasks: Sequence[Mapping[str, Any]]) -> None:
    """Name the quantity, its unit and which way is better: once for a row of panels that share them.

    `tasks` are the panels' rows of the table of tasks.
    """
    said = ""
    for ax, task in zip(panels, tasks, strict=False):
        label = score_label(what, task)
        ax.set_ylabel("" if label == said else label)
        said = label


def verdict_look(row: Mapping[str, Any]) -> dict[str, Any]:
    """Colour and mark of a comparison."""
    name = CONTROL if row["role"] == CONTROL else row["verdict"]
    return VERDICT_LOOKS.get(name, VERDICT_LOOKS[""])[1]


def without(what: str, names: Sequence[str]) -> str:
    """Such as `no completed trial: IRNN`; nothing where there is no name, and a number where there are many."""
    return f"{what}: {', '.join(names) if len(names) <= 6 else f'{len(names)} variants'}" if names else ""


def by_task(tasks: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The rows of the table of tasks by the task's name."""
    return {row["task"]: row for row in records(tasks)}


def reference_of(variants: pd.DataFrame) -> str:
    """The reference that the table of variants names; "" where it is empty."""
    return next(iter(variants["reference"]), "")
