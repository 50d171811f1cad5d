"""Write a study's report: page, PDF, gallery, the figures as PDF and PNG, the tables behind them as CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import StudyResults
from ablate.files import replacing
from ablate.kept import Compute
from ablate.report.gallery import render_gallery
from ablate.report.latex import latex_table
from ablate.report.page import render_page
from ablate.report.pdf import render_pdf
from ablate.report.pictures import render_figure
from ablate.report.registry import FIGURES, ReportFigure


def write_report(results: StudyResults, folder: Path, spread: Compute | None = None) -> Path:
    """Write the report of a study into a folder and return the page's path.

    Any state of a study will do, from no trial at all. The same results give the same files, byte for byte; each
    is written under another name and renamed, so that a reader never sees half of one.

    Every registered analysis is written to tables/, every registered figure to figures/.

    Args:
        spread: draws the figures meanwhile; this process does if None.
    """
    tables = AnalysisTables(results)
    drawn = _drawn(tables, spread)
    for name, table in tables.items():
        write_file(folder / "tables" / f"{name}.csv", _as_csv(table).encode())
        latex, latex_file = latex_table(name, table, results), folder / "tables" / f"{name}.tex"
        if latex is None:
            latex_file.unlink(missing_ok=True)  # of an earlier report, when the table was shorter
        else:
            write_file(latex_file, latex.encode())
    write_file(folder / "gallery.html", render_gallery(results, tables).encode())
    svgs, pdfs = {}, {}
    for name, pictures in drawn:
        svgs[name], pdfs[name] = pictures.pop("svg"), pictures["pdf"]
        for kind, picture in pictures.items():
            write_file(folder / "figures" / f"{name}.{kind}", picture)
    write_file(folder / "report.pdf", render_pdf(results, tables, pdfs))
    page = folder / "index.html"
    write_file(page, render_page(results, tables, svgs).encode())
    return page


def _drawn(tables: AnalysisTables, spread: Compute | None) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Every registered figure with its pictures. What this process alone has registered is drawn here."""
    elsewhere = [figure for figure in FIGURES if spread and figure.defined_at.startswith("ablate.report.figures.")]
    here = ((each.name, render_figure(each(tables))) for each in FIGURES if each not in elsewhere)
    there = spread(draw_figure, _Inputs(elsewhere, tables)) if spread else ()
    return chain(here, ((elsewhere[place].name, pictures) for place, pictures in there))


class _Inputs(Sequence[Mapping[str, Any]]):
    """What each figure is drawn from; its tables are computed when it is asked for, while others are drawn."""

    def __init__(self, figures: Sequence[ReportFigure], tables: Mapping[str, pd.DataFrame]) -> None:
        self._figures, self._tables = figures, tables

    def __len__(self) -> int:
        return len(self._figures)

    def __getitem__(self, place: Any) -> Any:
        figure = self._figures[place]
        return {"name": figure.name, "tables": {name: self._tables[name] for name in figure.tables}}


def draw_figure(name: str, tables: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """The figure of this name as PDF, SVG and PNG."""
    return render_figure(FIGURES[name](tables))


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, with the folders that it stands in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_bytes(content)


def _as_csv(table: pd.DataFrame) -> str:
    """The table for any reader: a spreadsheet takes a text that begins with one of these for a formula to run."""
    for name in table.select_dtypes(["object", "str"]):
        cells = table[name].unique() if table[name].dtype == "str" else table[name]  # which may hold lists
        if any(map(_like_a_formula, cells)):
            table = table.assign(**{name: [f"'{cell}" if _like_a_formula(cell) else cell for cell in table[name]]})
    return table.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def _like_a_formula(cell: object) -> bool:
    return isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
