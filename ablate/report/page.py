"""The report as one self-contained HTML page: no network, no script, figures and styles within."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping

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
from ablate.report.registry import SECTIONS, Section


def render_page(results: StudyResults, tables: Mapping[str, pd.DataFrame], svgs: Mapping[str, bytes]) -> str:
    """The page: the registered sections by their position. `svgs` holds the figures by name."""
    addresses = {name: f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" for name, svg in svgs.items()}
    sections, figures = [], 0
    for section in sorted(SECTIONS, key=lambda section: section.position):
        html = render_section(section, results, tables, addresses)
        if html is not None:
            title = section.title.replace("{reference}", results.reference)
            figures += section.figure is not None
            sections.append((title if section.figure is None else f"Figure {figures}: {title}", html))
    page = environment().get_template("page.html")
    return page.render(results=results, tasks=results.task_order, sections=sections)


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
    found.globals["infinity"] = math.inf
    found.filters |= {function.__name__: function for function in filters}
    return found
