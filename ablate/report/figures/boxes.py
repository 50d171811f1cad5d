"""The main figure: how each variant's trials score, after Greff et al. 2017, figure 3. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ablate.analysis.boxes import REFERENCE
from ablate.analysis.dataframes import records, unique, where
from ablate.analysis.trials import MIN_TRIALS
from ablate.analysis.verdicts import BETTER, SAME, WORSE
from ablate.report import style
from ablate.report.registry import figure
from ablate.report.style import BLACK, QUIET, by_task, reference_of

SET_NAMES = {"all": "all trials", "best": "best trials"}
_FACES = {WORSE: style.VERMILLION, BETTER: style.BLUE}
_NARROW = 2.9  # inches: a panel of less is too narrow for its heading in one line
_POINTS_UP_TO = 12  # more trials than this and their points hide the box
_REFERENCE_LINE = {"color": QUIET, "lw": 0.5, "ls": (0, (1, 2))}


@figure("boxes", tables=("boxes", "trial_subsets", "axis_limits", "tasks", "variants"))
def boxes(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Box plots of the test score: a column a task, all trials above, the best ones below.

    Many variants leave room for few columns, so further tasks go to a further pair of rows.
    """
    with style.theme():
        tasks, found = unique(tables["boxes"], "task"), set(tables["boxes"]["variant"])
        variants = [name for name in tables["variants"]["variant"] if name in found]
        if not tasks:
            return style.blank("No trial has a score yet.")
        known = by_task(tables["tasks"])
        columns = style.columns_for(len(tasks), max(2.3, 0.75 + 0.14 * len(variants)))
        width = min(style.WIDTH, max(3.6, columns * (1 + 0.55 * len(variants))))
        pitch = 72 * (width / columns - 0.85) / len(variants)  # points between the boxes
        bands = -(-len(tasks) // columns)
        picture = Figure(figsize=(width, bands * 4.3 + 0.5), layout=style.constrained())
        grid = picture.subplots(2 * bands, columns, squeeze=False)
        for row, name in enumerate(SET_NAMES):
            for panels, here in style.rows_of(grid[row::2], tasks):
                bars = [_panel(ax, tables, task, name, variants, pitch) for ax, task in zip(panels, here, strict=False)]
                bars[-1].set_ylabel("mean parameters", color=QUIET)
                style.label_scores(panels, "test score", [known[task] for task in here])
        picture.align_ylabels(list(grid[:, 0]))
        handles = _legend(tables)
        picture.legend(handles=handles, loc="outside lower center", ncols=4 if width > 5 else 2, frameon=False)
        return picture


def _panel(
    ax: Axes, tables: Mapping[str, pd.DataFrame], task: str, name: str, variants: list[str], pitch: float
) -> Axes:
    here = records(where(tables["boxes"], task=task, set=name))
    limits = records(where(tables["axis_limits"], task=task, set=name))[0]
    known, reference = by_task(tables["tasks"])[task], reference_of(tables["variants"])
    place = {variant: k for k, variant in enumerate(variants)}
    bars = _parameter_bars(ax, here, place)
    for box in here:
        x = place[box["variant"]]
        if box["n"] >= MIN_TRIALS:
            _one_box(ax, box, x)
        elif box["n"] > 1:
            ax.hlines(box["median"], x - 0.3, x + 0.3, color=BLACK, lw=1.2)
        if box["n_outside"]:
            _write_outside(ax, x, box["n_outside"], "▲" if known["direction"] == "minimize" else "▼", pitch)
        if box["variant"] == reference and len(here) > 1:
            ax.axhline(box["median"], zorder=1.5, **_REFERENCE_LINE)
    _trial_points(ax, records(where(tables["trial_subsets"], task=task, set=name)), here, place)

    low, high = style.padded(limits["low"], limits["high"])
    narrow = pitch * len(variants) < 72 * _NARROW
    lines_of_heading = (2 if name == "all" else 1) if narrow else 0
    style.draw_baseline(ax, limits["baseline"], known["baseline_name"], low, high, raised=lines_of_heading)
    ax.set_ylim(low, high)
    ax.set_xlim(-0.6, len(variants) - 0.4)
    ax.set_xticks(range(len(variants)), variants, rotation=90 if pitch < max(26, 3.9 * max(map(len, variants))) else 0)
    for label in ax.get_xticklabels():
        label.set_fontweight("bold" if label.get_text() == reference else "normal")
    ax.tick_params(axis="x", length=0, labelbottom=name == "best")
    ax.yaxis.set_major_locator(MaxNLocator(6))
    heading = SET_NAMES[name].capitalize()
    if name == "all":
        heading = f"{task}\n{heading}" if narrow else f"{task}: {SET_NAMES[name]}"
    counts = [_outside_text(box["n_outside"], pitch) for box in here if box["n_outside"]]
    lines = max((text.count("\n") + 1 if not turned else 0.8 * len(text) for text, turned in counts), default=0)
    ax.set_title(f"{heading}, {_sizes([box['n'] for box in here])}", loc="left", pad=4 + 5.5 * lines)
    return bars


def _one_box(ax: Axes, box: dict[str, Any], x: int) -> None:
    ends = {"q1": box["q1"], "q3": box["q3"], "whislo": box["min"], "whishi": box["max"]}
    drawn = ax.bxp(
        [{**ends, "med": box["median"], "mean": box["mean"]}],
        positions=[x],
        widths=0.62,
        orientation="vertical",
        patch_artist=True,
        showfliers=False,
        showmeans=True,
        showcaps=False,
        whiskerprops={"lw": 0.7},
        medianprops={"color": BLACK, "lw": 1.2, "solid_capstyle": "butt"},
        meanprops={"marker": "D", "mfc": "white", "mec": BLACK, "ms": 2.8, "mew": 0.6},
    )
    _paint(drawn["boxes"][0], box["verdict"])


def _paint(box: Patch, verdict: str) -> None:
    """Colour and pattern both tell a verdict, for print without colour."""
    box.set(facecolor=_FACES.get(verdict, "white"), edgecolor=BLACK, linewidth=0.7)
    if verdict == WORSE:
        box.set(hatch="/////", hatchcolor="white")
    elif verdict == REFERENCE:
        box.set_linewidth(1.4)
    elif verdict not in (BETTER, SAME):
        box.set(edgecolor=QUIET, linestyle="--")


def _trial_points(ax: Axes, points: list[dict[str, Any]], here: list[dict[str, Any]], place: dict[str, int]) -> None:
    """The trials themselves, where there are few: spread over the width of the box, a lone one large in its middle."""
    number = {box["variant"]: box["n"] for box in here}
    for few, size, width in ((range(1, 2), 12, 0.0), (range(2, _POINTS_UP_TO + 1), 4, 0.44)):
        chosen = [point for point in points if number[point["variant"]] in few]
        # Spread by the golden ratio: even, the same at every run, and a draw keeps its place in every variant.
        x = [place[point["variant"]] + width * (point["index"] * 0.618034 % 1 - 0.5) for point in chosen]
        ax.scatter(x, [point["score"] for point in chosen], s=size, color=BLACK, alpha=0.6, lw=0, zorder=2.5)


def _outside_text(number: int, pitch: float) -> tuple[str, bool]:
    """How many trials lie outside the axis limits, and whether the text must be turned to fit."""
    turned = pitch < 5 + 3.8 * len(str(number))
    return (f"▲{number}" if turned or pitch > 20 else f"▲\n{number}"), turned


def _write_outside(ax: Axes, x: int, number: int, mark: str, pitch: float) -> None:
    text, turned = _outside_text(number, pitch)
    ax.annotate(
        text.replace("▲", mark),
        (x, 1.01),
        xycoords=("data", "axes fraction"),
        ha="center",
        va="bottom",
        fontsize=5.2,
        color=QUIET,
        rotation=90 if turned else 0,
        linespacing=0.9,
    )


def _parameter_bars(ax: Axes, here: list[dict[str, Any]], place: dict[str, int]) -> Axes:
    sizes = {place[box["variant"]]: box["parameters"] for box in here if box["parameters"] > 0}
    bars = ax.twinx()
    bars.bar(list(sizes), list(sizes.values()), width=0.86, color=style.BAR, zorder=0)
    bars.set_ylim(0, 1.15 * max(sizes.values(), default=1.0))
    bars.yaxis.set_major_locator(MaxNLocator(4))
    bars.yaxis.set_major_formatter(FuncFormatter(_thousands))
    bars.tick_params(axis="y", colors=QUIET, length=2)
    # The boxes stand in front of the bars, so their axes must, and must let the bars be seen.
    ax.set_zorder(bars.get_zorder() + 1)
    ax.patch.set_visible(False)
    return bars


def _legend(tables: Mapping[str, pd.DataFrame]) -> list[Patch | Line2D]:
    table, reference = tables["boxes"], reference_of(tables["variants"])
    labels = {REFERENCE: f"{reference}, the reference", WORSE: f"significantly worse than {reference}"}
    labels |= {BETTER: f"significantly better than {reference}", SAME: SAME}
    verdicts = {str(verdict) for verdict in table.loc[table["n"].ge(MIN_TRIALS), "verdict"]}
    handles: list[Patch | Line2D] = []
    for verdict in [name for name in labels if name in verdicts] + ["no test"] * bool(verdicts - set(labels)):
        patch = Patch(label=labels.get(verdict, verdict))
        _paint(patch, verdict)
        handles.append(patch)
    handles.append(Line2D([], [], color=BLACK, lw=1.2, label="median"))
    if verdicts:
        handles.append(Line2D([], [], color=BLACK, lw=0, marker="D", mfc="white", ms=3.2, mew=0.6, label="mean"))
    if reference in set(table["variant"]):
        handles.append(Line2D([], [], label=f"median of {reference}", **_REFERENCE_LINE))
    if baselines := unique(tables["tasks"].dropna(subset="baseline"), "baseline_name"):
        handles.append(Line2D([], [], label=" or ".join(baselines), **style.BASELINE))
    handles.append(Patch(color=style.BAR, label="mean parameters (right axis)"))
    if any(table["n_outside"]):
        handles.append(Line2D([], [], color=QUIET, lw=0, marker="^", ms=3.2, label="trials beyond the view"))
    return handles


def _sizes(numbers: Sequence[int]) -> str:
    """How many trials a box stands for, and that few allow no test."""
    few, many = min(numbers), max(numbers)
    text = f"n = {few}" if few == many else f"n = {few} to {many}"
    return f"{text}: no test" if many < MIN_TRIALS else text


def _thousands(value: float, _: object = None) -> str:
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"
