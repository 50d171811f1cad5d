"""The report as one self-contained HTML page: no network, no script, figures and styles within."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import jinja2

from ablate.analysis.compare import MIN_TRIALS
from ablate.analysis.frames import records, where
from ablate.report import narrative as words
from ablate.report.facts import Facts
from ablate.report.tables import Tables
from ablate.report.typesetting import typeset


def render(tables: Tables, facts: Facts, svgs: Mapping[str, bytes]) -> str:
    """The page; `svgs` holds the figures by name."""
    tasks = facts.task_order(tables.counts["task"])
    return (
        _environment()
        .get_template("template.html")
        .render(
            facts=facts,
            tasks=[facts.task(task) for task in tasks],
            scored_tasks=list(dict.fromkeys(tables.boxes["task"])),
            progress=words.progress(tables),
            findings=words.findings(tables, facts),
            caveats=words.caveats(tables, facts),
            figures={name: "data:image/svg+xml;base64," + base64.b64encode(svg).decode() for name, svg in svgs.items()},
            verdicts=_verdicts(tables, facts),
            sets=words.SETS,
            digits={task: words.digits(tables, task) for task in tasks},
            comparisons=_by_task(tables.comparisons),
            summaries=_by_task(tables.summary),
            counts=records(tables.counts),
            chosen={"best": "Best trial by validation", "median": "Median trial by test"},
            costs=_costs(tables),
            failures=records(tables.failures),
            samples=_by_task(tables.samples.assign(sample=tables.samples["sample"].map(_visible))),
            configuration=list(_flat(facts.configuration)),
            min_trials=MIN_TRIALS,
        )
    )


def render_gallery(tables: Tables, facts: Facts) -> str:
    """The gallery: each variant's equations with what it changes, beside its size and its results."""
    scored_tasks = list(dict.fromkeys(tables.boxes["task"]))
    # Variants share most of their equations, so each is defined once.
    lines = dict.fromkeys(line for variant in facts.variants for _, line in variant.marked)
    template = _environment().get_template("gallery.html")
    return template.render(
        facts=facts,
        equations={line: typeset(line, f"equation-{k}") for k, line in enumerate(lines)},
        scored_tasks=scored_tasks,
        verdicts={(row["variant"], row["task"], row["set"]): row for row in records(tables.comparisons)},
        sets=words.SETS,
        digits={task: words.digits(tables, task) for task in scored_tasks},
        costs=_costs(tables),
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ablate.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "number": words.number,
        "signed": words.signed,
        "scientific": words.scientific,
        "duration": words.duration,
        "probability": words.probability,
        "superscript": words.superscript,
    }
    return environment


def _costs(tables: Tables) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["task"], row["variant"]): row for row in records(tables.summary)}


def _by_task(table: Any) -> dict[str, list[dict[str, Any]]]:
    return {str(task): records(where(table, task=task)) for task in dict.fromkeys(table["task"])}


def _verdicts(tables: Tables, facts: Facts) -> list[dict[str, Any]]:
    """A row a variant, a cell for each task and set: the table that one looks at first."""
    found = {(row["variant"], row["task"], row["set"]): row for row in records(tables.comparisons)}
    about = {variant.name: variant.summary for variant in facts.variants}
    tasks = list(dict.fromkeys(tables.boxes["task"]))
    return [
        {
            "variant": variant,
            "summary": about.get(variant, ""),
            "cells": [found.get((variant, task, name)) for task in tasks for name in words.SETS],
        }
        for variant in facts.variant_order(tables.comparisons["variant"])
        if variant != facts.reference
    ]


def _flat(nested: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The leaves of a nested configuration with their dotted names."""
    pairs: list[tuple[str, str]] = []
    for key, value in nested.items():
        name = f"{prefix}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, Mapping) and value else [(name, _plain(value))]
    return pairs


def _visible(text: str) -> str:
    """Control characters as their pictures, save what lays out a text."""
    return text.translate({code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"})


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == {} else str(value)
