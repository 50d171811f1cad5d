"""A figure as SVG, PDF and PNG: Matplotlib draws the SVG, and Typst makes the others of it in a tenth of the time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure

from ablate.report.style import theme

PIXELS_PER_INCH = 200
_FONTS = str(Path(mpl.get_data_path()) / "fonts" / "ttf")
_PAGE = """
#set document(date: none)
#set page(width: auto, height: auto, margin: 0pt)
#set text(font: "DejaVu Sans")
#image("figure.svg")
"""


def render_figure(figure: Figure) -> dict[str, bytes]:
    """The figure as SVG, whose letters are shapes, and as PDF and PNG; the same figure gives the same bytes."""
    with theme():
        if engine := figure.get_layout_engine():  # else each saving works the layout out again
            engine.execute(figure)
            figure.set_layout_engine(None)
        svg, svg_with_text = (_svg(figure, letters) for letters in ("path", "none"))
    files = {"figure.svg": svg_with_text}
    return {"svg": svg, "pdf": run_typst(_PAGE, files), "png": run_typst(_PAGE, files, "png")}


def run_typst(source: str, files: Mapping[str, bytes], kind: Literal["pdf", "png"] = "pdf") -> bytes:
    """What Typst makes of a text in its language.

    Args:
        source: the text.
        files: what the text reads, by name.
        kind: PDF, or PNG of a text of one page.
    """
    import typst  # a compiler of 30 MB, which no other part of the report needs

    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in {**files, "main.typ": source.encode()}.items():
            (folder / file).write_bytes(content)
        # Typst's own fonts, and the one that the figures have: the same pages on every machine.
        options: dict[str, Any] = {"root": folder, "font_paths": [_FONTS], "ignore_system_fonts": True}
        if kind == "png":
            options["ppi"] = PIXELS_PER_INCH
        return typst.compile(folder / "main.typ", format=kind, **options)


def _svg(figure: Figure, letters: Literal["path", "none"]) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": letters}):
        # A date would make two reports of the same numbers differ.
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
