"""LaTeX to SVG, by matplotlib's own typesetter: no network, no LaTeX installation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from ablate.report.style import theme

_SIZE = 16.0  # px: the size of the letters on the page
_GRID = 20  # outlines are drawn in whole twentieths of a px, which keeps them short
_LETTERS = {
    Path.MOVETO: "M",
    Path.LINETO: "L",
    Path.CURVE3: "Q",
    Path.CURVE4: "C",
    Path.CLOSEPOLY: "Z",
}


@dataclass(frozen=True)
class EquationOutline:
    """An equation's outline; a page defines it once under a name and shows it wherever it stands."""

    latex: str
    name: str
    data: str
    box: tuple[float, float, float, float]  # left, top, width, height in px

    @property
    def definition(self) -> Markup:
        return Markup('<path id="{}" d="{}"/>').format(self.name, self.data)

    def __html__(self) -> str:
        """An SVG element in the colour of the text around it."""
        _, _, width, height = self.box
        view = " ".join(str(round(_GRID * edge)) for edge in self.box)
        return Markup(
            '<svg class="equation" role="img" aria-label="{}" width="{:.1f}" height="{:.1f}" '
            'viewBox="{}"><use href="#{}" fill="currentColor"/></svg>'
        ).format(self.latex, width, height, view, self.name)


def typeset(latex: str, name: str) -> EquationOutline | None:
    """The equation; None if it cannot be typeset."""
    try:
        with theme():
            outline = TextPath((0, 0), f"${latex}$", size=_SIZE, prop=FontProperties(math_fontfamily="cm"))
    except ValueError:
        return None
    box = outline.get_extents()
    data = "".join(
        _LETTERS[code] + ("" if code == Path.CLOSEPOLY else _points(points))
        for points, code in outline.iter_segments(curves=True, simplify=False)
        if code in _LETTERS
    )
    # The y-axis of an SVG points down.
    return EquationOutline(latex, name, data, (box.x0 - 1, -box.y1 - 1, box.width + 2, box.height + 2))


def _points(points: npt.NDArray[np.float64]) -> str:
    return " ".join(f"{round(_GRID * x)} {round(-_GRID * y)}" for x, y in zip(points[::2], points[1::2], strict=True))
