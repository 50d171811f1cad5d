"""The registries of figures and of the page's sections."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ablate.definitions.registry import Registry
from ablate.definitions.study_results import StudyResults

Draw = Callable[[Mapping[str, pd.DataFrame]], Figure]
# None where the study has nothing for the section to show.
Contents = Callable[[StudyResults, Mapping[str, pd.DataFrame]], "dict[str, Any] | None"]


@dataclass(frozen=True)
class ReportFigure:
    """A named figure, the tables that it shows, and the function that draws it."""

    name: str
    tables: tuple[str, ...]
    draw: Draw
    defined_at: str
    groups: tuple[str, ...] = ()

    def __call__(self, tables: Mapping[str, pd.DataFrame]) -> Figure:
        """Draw it from its own tables, of all that are offered."""
        return self.draw({name: tables[name] for name in self.tables})


@dataclass(frozen=True)
class Section:
    """A section of the report's page: the tables and the figure that it shows, and the HTML around them."""

    name: str
    title: str
    position: float
    tables: tuple[str, ...]
    figure: str | None
    template: str
    contents: Contents
    defined_at: str
    groups: tuple[str, ...] = ()


FIGURES: Registry[ReportFigure] = Registry("figure")
SECTIONS: Registry[Section] = Registry("section")


def figure(name: str, *, tables: tuple[str, ...]) -> Callable[[Draw], Draw]:
    """Register the decorated function as a figure, which the report writes to figures/`name`.pdf and .png.

    The function takes the tables that it names, by the names of their analyses, draws them under
    `ablate.report.style.theme` without a display, and computes no numbers of its own.

    Raises:
        UserError: the name is taken.
    """

    def register(draw: Draw) -> Draw:
        FIGURES.add(ReportFigure(name, tables, draw, defined_at=f"{draw.__module__}.{draw.__qualname__}"))
        return draw

    return register


def section(
    name: str,
    title: str,
    *,
    position: float,
    tables: tuple[str, ...] = (),
    figure: str | None = None,
    template: str | None = None,
) -> Callable[[Contents], Contents]:
    """Register the decorated function as a section of the page.

    The function takes the study's results and the tables that it names, and returns what its template shows beside
    `results`, and `figure`, the address of the figure; or None where there is nothing to show.

    Args:
        name: the section's name.
        title: its heading; `{reference}` in it becomes the name of the reference.
        position: where on the page it stands: sections are sorted by it.
        tables: the names of the analyses whose tables it prints.
        figure: the name of the figure that it shows; the figure's number goes before what its <figcaption> says.
        template: Jinja text; if None, that of the .html file beside the Python file, of the same name.

    Raises:
        UserError: the name is taken.
    """

    def register(contents: Contents) -> Contents:
        beside = Path(inspect.getfile(contents)).with_suffix(".html")
        text = beside.read_text(encoding="utf-8") if template is None else template
        place = f"{contents.__module__}.{contents.__qualname__}"
        SECTIONS.add(Section(name, title, position, tables, figure, text, contents, place))
        return contents

    return register
