"""The report as one self-contained HTML page: no network, no script, figures and styles within."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import jinja2
import pandas as pd
from markupsafe import Markup

from ablate.definitions.study_results import StudyResults
from ablate.report import formatting
from ablate.report.registry import SECTIONS


def render_page(results: StudyResults, tables: Mapping[str, pd.DataFrame], svgs: Mapping[str, bytes]) -> str:
    """The page: the registered sections by their position. `svgs` holds the figures by name."""
    sections, figures = [], 0
    for section in sorted(SECTIONS, key=lambda section: section.position):
        contents = section.contents(results, {name: tables[name] for name in section.tables})
        if contents is None:
            continue
        title = section.title.replace("{reference}", results.reference)
        if section.figure is not None:
            figures += 1
            title = f"Figure {figures}: {title}"
            svg = base64.b64encode(svgs[section.figure]).decode()
            contents = {**contents, "figure": f"data:image/svg+xml;base64,{svg}"}
        html = environment().from_string(section.template).render(results=results, **contents)
        sections.append((title, Markup(html.strip())))
    return environment().get_template("page.html").render(results=results, tasks=results.task_order, sections=sections)


def environment() -> jinja2.Environment:
    """Where templates are rendered: `number` and the like are their filters."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("ablate.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    names = ("number", "signed", "scientific", "duration", "probability", "superscript")
    found.filters |= {name: getattr(formatting, name) for name in names}
    return found
