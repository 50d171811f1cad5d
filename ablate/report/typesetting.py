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
_MORE = {Path.CURVE3: 1, Path.CURVE4: 2}  # points after the first


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
    codes = np.asarray(outline.codes)
    points = np.asarray(outline.vertices) * (1, -1)  # the y-axis of an SVG points down
    drawn = points[codes != Path.CLOSEPOLY]
    (left, top), (right, bottom) = drawn.min(axis=0) - 1, drawn.max(axis=0) + 1
    return EquationOutline(latex, name, _data(codes, points), (left, top, right - left, bottom - top))


def _data(codes: npt.NDArray[np.uint8], points: npt.NDArray[np.float64]) -> str:
    """The path in SVG's words; a curve has its code at each of its points."""
    words, left = [], 0  # points of a curve that are to come
    for code, (x, y) in zip(codes.tolist(), np.rint(_GRID * points).astype(int).tolist(), strict=True):
        letter, more = (" ", left - 1) if left else (_LETTERS[code], _MORE.get(code, 0))
        words.append(letter if code == Path.CLOSEPOLY else f"{letter}{x} {y}")
        left = more
    return "".join(words)
