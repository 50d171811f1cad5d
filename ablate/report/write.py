"""Write a study's report: the page, the gallery, the figures as PDF and PNG, and the tables behind them."""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ablate.report.facts import Facts
from ablate.report.figures import FIGURES
from ablate.report.page import render, render_gallery
from ablate.report.style import theme
from ablate.report.tables import compute

# Dates would make two reports of the same numbers differ.
_DATELESS = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


def write_report(
    folder: Path, trials: pd.DataFrame, curves: pd.DataFrame, facts: Facts, samples: pd.DataFrame | None = None
) -> Path:
    """Write `folder`/report and return the page's path.

    Any state of a study will do, from no trial at all. The same input gives the same files, byte for byte; each
    is written under another name and renamed, so that a reader never sees half of one.

    Args:
        folder: the study's folder; `report` and its subfolders are made as needed.
        trials: a row a trial: task, variant, index, state, the hyperparameters, validation, test, best_epoch,
            epochs, parameters, seconds, reason.
        curves: a row an epoch: task, variant, index, epoch, train, validation.
        facts: what the tables cannot hold.
        samples: a row a trial that wrote a text: task, variant, index, sample.
    """
    report = folder / "report"
    tables = compute(trials, curves, facts, samples)
    for table in fields(tables):
        text = getattr(tables, table.name).to_csv(index=False, float_format="%.10g", lineterminator="\n")
        _write(report / "tables" / f"{table.name}.csv", text.encode())
    svgs = {}
    for name, draw in FIGURES.items():
        pictures = _pictures(draw(tables, facts))
        svgs[name] = pictures.pop("svg")
        for kind, picture in pictures.items():
            _write(report / "figures" / f"{name}.{kind}", picture)
    page = report / "index.html"
    _write(report / "gallery.html", render_gallery(tables, facts).encode())
    _write(page, render(tables, facts, svgs).encode())
    return page


def _pictures(figure: Figure) -> dict[str, bytes]:
    """The figure in each of its formats."""
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


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
