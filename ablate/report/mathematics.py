"""LaTeX to inline SVG, by matplotlib's own typesetter: no network, no LaTeX installation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath

_SIZE = 16.0  # px: the size of the letters on the page
_GRID = 20  # outlines are drawn in whole twentieths of a px, which keeps them short
_LETTERS = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C", Outline.CLOSEPOLY: "Z"}


@lru_cache(maxsize=4096)
def typeset(latex: str) -> Markup | None:
    """The equation as an SVG element in the colour of the text around it; None if it cannot be typeset.

    Variants share most of their equations, so each is typeset once.
    """
    try:
        outline = TextPath((0, 0), f"${latex}$", size=_SIZE, prop=FontProperties(math_fontfamily="cm"))
    except ValueError:
        return None
    box = outline.get_extents()
    data = "".join(
        _LETTERS[code] + ("" if code == Outline.CLOSEPOLY else _points(points))
        for points, code in outline.iter_segments(curves=True, simplify=False)
        if code in _LETTERS
    )
    # The y-axis of an SVG points down.
    left, top, width, height = box.x0 - 1, -box.y1 - 1, box.width + 2, box.height + 2
    view = " ".join(str(round(_GRID * edge)) for edge in (left, top, width, height))
    return Markup(
        '<svg class="equation" role="img" aria-label="{}" width="{:.1f}" height="{:.1f}" '
        'viewBox="{}"><path fill="currentColor" d="{}"/></svg>'
    ).format(latex, width, height, view, data)


def _points(points: npt.NDArray[np.float64]) -> str:
    return " ".join(f"{round(_GRID * x)} {round(-_GRID * y)}" for x, y in zip(points[::2], points[1::2], strict=True))
