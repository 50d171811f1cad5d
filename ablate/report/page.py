"""The report as one self-contained HTML page: no network; figures, styles and the script are within."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import jinja2
import pandas as pd
from markupsafe import Markup

from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import (
    duration,
    number,
    places,
    probability,
    scientific,
    signed,
    significant,
    superscript,
)
from ablate.report.registry import FIGURES, SECTIONS, ReportFigure, Section


@dataclass(frozen=True)
class RenderedSection:
    """A section as it stands on the page."""

    name: str
    number: int
    title: str
    html: Markup  # without the heading
    figures: list[int]  # the numbers of its figures
    files: ReportFigure | None  # whose files the page leads to


def render_page(results: StudyResults, tables: Mapping[str, pd.DataFrame], svgs: Mapping[str, bytes]) -> str:
    """The page: the registered sections by their position. `svgs` holds the figures by name."""
    addresses = {name: f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" for name, svg in svgs.items()}
    sections = render_sections(results, tables, addresses)
    return environment().get_template("page.html").render(results=results, lead=lead(results), sections=sections)


def lead(results: StudyResults) -> str:
    """What the study is, in a line under its name."""
    variants, tasks, trials = len(results.variants), len(results.task_order), results.expected_trials
    return (
        f"{variants} variant{'s' * (variants != 1)}, {tasks} task{'s' * (tasks != 1)}, "
        f"{trials} trial{'s' * (trials != 1)} planned for each; reference {results.reference}."
    )


def render_sections(
    results: StudyResults, tables: Mapping[str, pd.DataFrame], figures: Mapping[str, str]
) -> list[RenderedSection]:
    """The sections that have something to show, by their position; they and their figures are numbered.

    A figure's number stands in its <figcaption>. `figures` holds addresses by name.
    """
    found: list[RenderedSection] = []
    for section in sorted(SECTIONS, key=lambda section: section.position):
        html = render_section(section, results, tables, figures)
        if html is None:
            continue
        before = sum(len(each.figures) for each in found)
        parts = re.split(r"<figcaption>\s*", html)
        numbers = list(range(before + 1, before + len(parts)))
        captions = (f'<figcaption id="figure-{k}"><strong>Figure {k}.</strong> ' for k in numbers)
        numbered = parts[0] + "".join(caption + part for caption, part in zip(captions, parts[1:], strict=True))
        title = section.title.replace("{reference}", results.reference)
        drawn = None if section.figure is None else FIGURES[section.figure]
        heading = title[:1].upper() + title[1:]
        found.append(RenderedSection(section.name, len(found) + 1, heading, Markup(numbered), numbers, drawn))
    return found


def render_section(
    section: Section, results: StudyResults, tables: Mapping[str, pd.DataFrame], figures: Mapping[str, str]
) -> Markup | None:
    """A section without its heading; None where it has nothing to show. `figures` holds addresses by name."""
    contents = section.contents(results, {name: tables[name] for name in section.tables})
    if contents is None:
        return None
    figure = {} if section.figure is None else {"figure": figures[section.figure]}
    return Markup(environment().from_string(section.template).render(results=results, **figure, **contents).strip())


def environment() -> jinja2.Environment:
    """Where templates are rendered: `number` and the like are their filters."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("ablate.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    filters = (number, signed, scientific, duration, places, probability, significant, superscript)
    found.filters |= {function.__name__: function for function in filters}
    script = files("ablate.report").joinpath("page.js").read_text(encoding="utf-8")
    # By its hash the browser lets this script run and no other, not even one that a name or a text brings along.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    found.globals |= {"infinity": math.inf, "script": Markup(script), "script_hash": f"sha256-{digest}"}
    return found
