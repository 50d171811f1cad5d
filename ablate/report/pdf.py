"""The report as one PDF: the page's own sections, set on paper by Typst, with the figures as vectors.

The words are those of the page: its HTML is read as a tree, which report.typ lays out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pandas as pd

from ablate.definitions.study_results import StudyResults
from ablate.report.page import lead, render_sections
from ablate.report.pictures import run_typst

_VOID = {"br", "hr", "img", "wbr", "col"}
_BLOCKS = {"", "div", "section", "figure", "details", "ul", "ol", "table", "thead", "tbody", "tr", "blockquote"}
_TEXTS = {"p", "li", "td", "th", "figcaption", "caption", "summary", "h3", "h4"}


def render_pdf(results: StudyResults, tables: Mapping[str, pd.DataFrame], pdfs: Mapping[str, bytes]) -> bytes:
    """The report's pages. `pdfs` holds the figures by name; the same results give the same bytes.

    What the page folds is left out, and said to be.
    """
    sections = render_sections(results, tables, {name: f"{name}.pdf" for name in pdfs})
    document = {
        "title": results.name,
        "lead": lead(results),
        "sections": [{"title": section.title, "body": html_tree(section.html)} for section in sections],
    }
    pictures = {f"{figure}.pdf": content for figure, content in pdfs.items()}
    source = files("ablate.report").joinpath("report.typ").read_text(encoding="utf-8")
    return run_typst(source, {**pictures, "report.json": json.dumps(document).encode()})


def html_tree(html: str) -> list[Any]:
    """HTML as a list of texts and elements; an element is a dictionary of its tag, attributes and children."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return _tidy(reader.root)["children"]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root: dict[str, Any] = {"tag": "", "children": []}
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = {"tag": tag, "children": [], **{name: value or "" for name, value in attrs if name != "children"}}
        self._open[-1]["children"].append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open[-1]["tag"] and len(self._open) > 1:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1]["children"].append(data)


def _tidy(element: dict[str, Any]) -> dict[str, Any]:
    """The element with white space as a browser shows it."""
    if element["tag"] in ("pre", "textarea"):
        return element
    children: list[Any] = []
    for child in element["children"]:
        if isinstance(child, dict):
            children.append(_tidy(child))
        elif element["tag"] not in _BLOCKS or child.strip():
            text = re.sub(r"[ \t\n\r\f]+", " ", child)
            follows_break = bool(children) and isinstance(children[-1], dict) and children[-1]["tag"] == "br"
            children.append(text.lstrip() if follows_break else text)
    if element["tag"] in _TEXTS:
        if children and isinstance(children[0], str):
            children[0] = children[0].lstrip()
        if children and isinstance(children[-1], str):
            children[-1] = children[-1].rstrip()
    return {**element, "children": children}
