"""A panel for each variant: its curve before the grey of all others, with the reference's in black.

Sizes are in inches and worked out here: a layout engine takes seconds for a hundred panels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from ablate.report import style
from ablate.report.style import BLACK, BLUE, QUIET

Array = npt.NDArray[np.float64]

_LEFT, _BOTTOM, _HEADING, _NAME, _LEGEND = 0.62, 0.38, 0.2, 0.16, 0.14  # inches: room for what stands around panels
_GAP = 0.1  # inches between neighbours
_GREY = {"color": "#c8c8c8", "lw": 0.4}
_NOTE = {"fontsize": 6, "color": QUIET}
_DOTTED = (0, (1, 1.2))
_VECTOR_UP_TO = 80_000  # points: more of them in grey are drawn as pixels, or the page would be slow to open


@dataclass(frozen=True)
class Curve:
    """One variant's curve. Ends of its band, and a second curve, where it has them."""

    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None
    dotted: Array | None = None
    label: str = ""  # a number beside the name


@dataclass(frozen=True)
class Block:
    """The panels of one task, which share their axes."""

    title: str
    curves: Mapping[str, Curve]  # by variant, in order
    limits: tuple[float, float]  # of y
    x_label: str
    y_label: str
    baseline: float = math.nan
    note: str = ""  # beside the title
    log_x: bool = False


@dataclass(frozen=True)
class Key:
    """What the legend calls things."""

    reference: str
    line: str  # what a curve is
    band: str = ""
    dotted: str = ""
    baselines: Sequence[str] = ()  # the names of those that are drawn


def small_multiples(blocks: Sequence[Block], key: Key) -> Figure:
    """A block of panels a task, one below the other; side by side where each has few panels."""
    panels = max(len(_shown(block, key.reference)) for block in blocks)
    across = min(len(blocks), max(1, int(style.WIDTH / (_LEFT + 1.15 * panels)))) if panels <= 3 else 1
    room = style.WIDTH / across - _LEFT
    columns = style.columns_for(panels, 0.92) if panels > 3 else panels
    width = min(2.4, room / columns - _GAP)
    height = min(1.6, max(0.62, 0.72 * width))
    rows = -(-panels // columns)
    tall = _HEADING + rows * (_NAME + height) + _BOTTOM
    wide = _LEFT + columns * (width + _GAP)
    handles = _legend(blocks, key)
    columns_of_legend = 3 if across * wide > 5 else 1
    legend = _LEGEND * (1 + -(-len(handles) // columns_of_legend))
    size = max(3.4, across * wide), -(-len(blocks) // across) * tall + legend
    picture = Figure(figsize=size)
    points = sum(
        len(curve.x) * len(_shown(block, key.reference)) for block in blocks for curve in block.curves.values()
    )
    for k, block in enumerate(blocks):
        left, top = k % across * wide, size[1] - k // across * tall
        picture.text(left / size[0] + 0.04 / size[0], (top - 0.03) / size[1], block.title, va="top", fontsize=8.5)
        picture.text((left + wide) / size[0], (top - 0.04) / size[1], block.note, va="top", ha="right", **_NOTE)
        shown = _shown(block, key.reference)
        last = len(shown) - columns  # from this panel on, none is below
        for place, name in enumerate(shown):
            row, column = divmod(place, columns)
            x, y = left + _LEFT + column * (width + _GAP), top - _HEADING - (row + 1) * (_NAME + height)
            ax = picture.add_axes((x / size[0], y / size[1], width / size[0], height / size[1]))
            _panel(ax, block, name, key.reference, width, rasterized=points > _VECTOR_UP_TO)
            ax.tick_params(labelleft=column == 0, labelbottom=place >= last)
            if place >= last:
                ax.set_xlabel(block.x_label if column == 0 or width > 1.4 else "", labelpad=1.5)
        here = -(-len(shown) // columns)
        middle = top - _HEADING - (here * (_NAME + height) + _NAME) / 2
        picture.text((left + 0.05) / size[0], middle / size[1], block.y_label, rotation=90, va="center", fontsize=6.5)
    picture.legend(
        handles=handles,
        loc="lower center",
        ncols=columns_of_legend,
        frameon=False,
        bbox_to_anchor=(0.5, 0.0),
        borderaxespad=0.2,
    )
    return picture


def _shown(block: Block, reference: str) -> list[str]:
    """The variants with a panel: the reference is in every one, and alone where there is no other."""
    return [name for name in block.curves if name != reference] or list(block.curves)


def _panel(ax: Axes, block: Block, name: str, reference: str, width: float, rasterized: bool) -> None:
    others = [curve for other, curve in block.curves.items() if other not in (name, reference)]
    # One line with gaps: a picture of a hundred panels is half as large.
    grey = [np.column_stack([[*curve.x, np.nan], [*curve.y, np.nan]]) for curve in others]
    if grey:
        ax.plot(*np.concatenate(grey).T, zorder=1, rasterized=rasterized, **_GREY)
    for who, colour, band in ((reference, BLACK, "#00000022"), (name, BLUE, "#0072b244")):
        if (curve := block.curves.get(who)) is None or (who == name == reference and colour == BLUE):
            continue
        if curve.low is not None and curve.high is not None:
            known = ~(np.isnan(curve.low) | np.isnan(curve.high))
            ax.fill_between(curve.x, curve.low, curve.high, where=known.tolist(), color=band, lw=0, zorder=2)
        marker = {"marker": "o", "ms": 2} if len(curve.x) == 1 else {}
        ax.plot(curve.x, curve.y, color=colour, lw=1.3 if colour == BLUE else 0.9, zorder=3, **marker)
        if curve.dotted is not None:
            ax.plot(curve.x, curve.dotted, color=colour, lw=0.9, ls=_DOTTED, zorder=3)
    if block.limits[0] <= block.baseline <= block.limits[1]:
        ax.axhline(block.baseline, zorder=1.5, **style.BASELINE)
    ends = [float(end) for curve in block.curves.values() for end in (curve.x[0], curve.x[-1])]
    ax.set_ylim(block.limits)
    ax.yaxis.set_major_locator(MaxNLocator(3 if width < 1.2 else 4))
    if block.log_x and min(ends) > 0:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if max(ends) / min(ends) > 30 else (1, 3)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))  # 10k: a panel is no wider than four long numbers
        ax.set_xlim(min(ends) / 1.1, max(ends) * 1.1 if max(ends) > min(ends) else 2 * max(ends))
    else:
        ax.set_xlim(*style.padded(min(ends), max(ends)))
        ax.xaxis.set_major_locator(MaxNLocator(5 if width > 1 else 3, integer=True))
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(labelsize=5.5, pad=1.5)
    # Where a title's place is not given, every tick of the panel is looked at to find it, each time it is drawn.
    ax.set_title(name, loc="left", y=1, fontsize=6.5, pad=1.5, color=BLACK if name == reference else BLUE)
    end = block.curves[name].y[-1]
    mark = "▲" if end > block.limits[1] else "▼" if end < block.limits[0] else ""
    ax.set_title(f"{block.curves[name].label}{mark}", loc="right", y=1, fontsize=5.5, pad=1.5, color=QUIET)


def _legend(blocks: Sequence[Block], key: Key) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = []
    if any(len(_shown(block, key.reference)) and set(block.curves) != {key.reference} for block in blocks):
        handles.append(Line2D([], [], color=BLUE, lw=1.3, label=f"the variant: {key.line}"))
    if any(key.reference in block.curves for block in blocks):
        handles.append(Line2D([], [], color=BLACK, lw=0.9, label=f"{key.reference}, the reference"))
    if any(len(set(block.curves) - {key.reference}) > 1 for block in blocks):
        handles.append(Line2D([], [], color=_GREY["color"], lw=0.8, label="all others"))
    if key.band:
        handles.append(Patch(color="#0072b244", lw=0, label=key.band))
    if key.dotted:
        handles.append(Line2D([], [], color=BLUE, lw=0.9, ls=_DOTTED, label=key.dotted))
    if key.baselines and any(block.limits[0] <= block.baseline <= block.limits[1] for block in blocks):
        handles.append(Line2D([], [], label=" or ".join(key.baselines), **style.BASELINE))
    return handles
