"""Write a study's report: page, PDF, gallery, the figures as PDF and PNG, the tables behind them as CSV and LaTeX."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import StudyResults
from ablate.files import replacing
from ablate.report.gallery import render_gallery
from ablate.report.latex import latex_table
from ablate.report.page import render_page
from ablate.report.pdf import render_pdf
from ablate.report.registry import FIGURES
from ablate.report.style import theme

# Dates would make two reports of the same numbers differ.
_DATELESS = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


def write_report(results: StudyResults, folder: Path) -> Path:
    """Write the report of a study into a folder and return the page's path.

    Any state of a study will do, from no trial at all. The same results give the same files, byte for byte; each
    is written under another name and renamed, so that a reader never sees half of one.

    Every registered analysis is written to tables/, every registered figure to figures/.
    """
    tables = AnalysisTables(results)
    for name, table in tables.items():
        write_file(folder / "tables" / f"{name}.csv", _as_csv(table).encode())
        latex, latex_file = latex_table(name, table, results), folder / "tables" / f"{name}.tex"
        if latex is None:
            latex_file.unlink(missing_ok=True)  # of an earlier report, when the table was shorter
        else:
            write_file(latex_file, latex.encode())
    svgs, pdfs = {}, {}
    for figure in FIGURES:
        pictures = render_figure(figure(tables))
        svgs[figure.name], pdfs[figure.name] = pictures.pop("svg"), pictures["pdf"]
        for kind, picture in pictures.items():
            write_file(folder / "figures" / f"{figure.name}.{kind}", picture)
    write_file(folder / "report.pdf", render_pdf(results, tables, pdfs))
    page = folder / "index.html"
    write_file(folder / "gallery.html", render_gallery(results, tables).encode())
    write_file(page, render_page(results, tables, svgs).encode())
    return page


def render_figure(figure: Figure) -> dict[str, bytes]:
    """The figure as PDF, SVG and PNG."""
    found = {}
    with theme():
        # The layout is worked out once, not for each format.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for kind, metadata in _DATELESS.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=metadata)
            found[kind] = buffer.getvalue()
    return found


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, with the folders that it stands in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_bytes(content)


def _as_csv(table: pd.DataFrame) -> str:
    """The table for any reader: a spreadsheet takes a text that begins with one of these for a formula to run."""
    texts = table.select_dtypes(["object", "str"]).columns
    safe = table.assign(
        **{
            name: [
                f"'{cell}" if str(cell).startswith(("=", "+", "-", "@", "\t", "\r")) and isinstance(cell, str) else cell
                for cell in table[name]
            ]
            for name in texts
        }
    )
    return safe.to_csv(index=False, float_format="%.10g", lineterminator="\n")
