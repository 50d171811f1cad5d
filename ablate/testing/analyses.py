"""What every analysis, figure and section of the report must hold, one's own as well.

from ablate.testing.analyses import check_analysis

def test_my_analysis():
    check_analysis("mine")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, wraps
from html.parser import HTMLParser

import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import StudyResults
from ablate.report import FIGURES, SECTIONS
from ablate.report.page import render_section
from ablate.report.pictures import render_figure
from ablate.report.style import WIDTH
from ablate.testing.synthetic import unusual_results

TABLES = ("trials", "curves", "samples", "replicates")  # of a study's results
_VOID = {"area", "base", "br", "col", "hr", "img", "link", "meta"}  # HTML elements without an end


def _unspoilt(check: Callable[[str], None]) -> Callable[[str], None]:
    """Tables are shared between checks, but never after one that has failed."""

    @wraps(check)
    def checked(name: str) -> None:
        try:
            check(name)
        except BaseException:
            _tables.cache_clear()
            raise

    return checked


@_unspoilt
def check_analysis(name: str) -> None:
    """The analysis has a table for any state of a study, with the same columns in each.

    It gives the same table again, whatever the order of the rows that it reads, and changes none of them.

    Raises:
        AssertionError: it does not; the message names the state of the study.
    """
    columns: list[str] = []
    for state, pristine in unusual_results().items():
        tables, again, shuffled = _tables()[state]
        table = tables[name]
        for read in TABLES:
            _assert_same(getattr(pristine, read), getattr(tables.results, read), f"{name} changes the {read} ({state})")
        columns = columns or list(table.columns)
        assert list(table.columns) == columns, f"{name} has other columns ({state})"
        assert table.columns.is_unique, f"{name} has two columns of one name"
        _assert_same(again[name], table, f"{name} is not the same a second time ({state})")
        _assert_same(shuffled[name], table, f"{name} shows the order of the rows ({state})")


@_unspoilt
def check_figure(name: str) -> None:
    """The figure can be drawn from its own tables in any state of a study, fits a page, and changes no table.

    It is the same picture again, as PDF with its fonts inside and as SVG, and leaves no window open.

    Raises:
        AssertionError: it does not; the message names the state of the study.
    """
    figure = FIGURES[name]
    for state, (every, *_) in _tables().items():
        tables = {table: every[table] for table in figure.tables}
        picture = figure(tables)
        assert isinstance(picture, Figure), f"{name} is no matplotlib figure ({state})"
        assert picture.get_size_inches()[0] <= WIDTH + 0.01, f"{name} is wider than a page ({state})"
        for table, rows in tables.items():
            _assert_same(every[table], rows, f"{name} changes the table {table} ({state})")
        if state != "ordinary":
            picture.set_layout_engine("none")  # which takes most of the time
            picture.draw_without_rendering()
            continue
        files = render_figure(picture)
        assert files == render_figure(figure(tables)), f"{name} is another picture a second time"
        assert b"/FontFile2" in files["pdf"] and b"/Type3" not in files["pdf"], f"{name} has no fonts in its PDF"
    assert not pyplot.get_fignums(), f"{name} leaves a window open"


@_unspoilt
def check_section(name: str) -> None:
    """The section can be printed from its own tables in any state of a study, as HTML with every element closed.

    Raises:
        AssertionError: it cannot; the message names the state of the study.
    """
    section = SECTIONS[name]
    for state, (every, *_) in _tables().items():
        tables = {table: every[table] for table in section.tables}
        html = render_section(section, every.results, tables, _AnyFigure())
        if html is not None:
            assert not unclosed_elements(html), f"{name} leaves an element open ({state})"
            assert "nan" not in html.lower().split(), f"{name} prints a missing number as nan ({state})"


def unclosed_elements(html: str) -> list[str]:
    """The HTML elements that are opened and not closed, or closed and not open."""
    checker = _Elements()
    checker.feed(html)
    return checker.open


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag not in _VOID:
            self.open.append(f"/{tag}")


class _AnyFigure(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"{name}.svg"


@cache
def _tables() -> dict[str, tuple[AnalysisTables, AnalysisTables, AnalysisTables]]:
    """For every state of a study its tables, the same again, and those of the rows in another order."""
    return {
        state: (AnalysisTables(results), AnalysisTables(results), AnalysisTables(_shuffled(results)))
        for state, results in unusual_results().items()
    }


def _shuffled(results: StudyResults) -> StudyResults:
    shuffled = {name: getattr(results, name).sample(frac=1, random_state=seed) for seed, name in enumerate(TABLES)}
    return replace(results, **shuffled)


def _assert_same(one: pd.DataFrame, other: pd.DataFrame, message: str) -> None:
    try:
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    except AssertionError as error:
        raise AssertionError(f"{message}: {error}") from None
