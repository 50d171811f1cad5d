"""The calibration as a part of docs/calibration.md, made from its CSV file."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from ablate.analysis.dataframes import records
from benchmarks.calibration.cells import COLUMNS
from benchmarks.calibration.laws import EXCHANGEABLE, UNEQUAL, WIDE_REFERENCE, WIDE_VARIANT
from benchmarks.calibration.procedures import CONTROL, COVERAGES, DISCOVERIES, ERROR, FAMILY, IGNORING, PAPER
from benchmarks.measure import markdown

PAGE = Path(__file__).parents[2] / "docs" / "calibration.md"
FILE = "calibration.csv"
MAX_ERROR, MIN_COVERAGE, MAX_COVERAGE = 0.06, 0.93, 0.97  # the promise, with room for what a simulation cannot tell
PROMISED = (*EXCHANGEABLE, WIDE_VARIANT, WIDE_REFERENCE)  # the last two for tests of means, not for intervals

_ROWS = ("procedure", "law", "shifted", "design")
# Each table: its heading, the cells that it shows, and what tells its rows apart.
_TABLES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Errors of one test", f"quantity == '{ERROR}' and equal and variants != 41 and not paper", _ROWS),
    ("Family-wise error with Holm's correction", f"quantity == '{FAMILY}' and equal and not paper", _ROWS),
    ("False discovery rate, Benjamini and Hochberg", f"quantity == '{DISCOVERIES}' and equal and not paper", _ROWS),
    ("Controls called different", f"quantity == '{CONTROL}' and law == 'normal'", (*_ROWS, "variants")),
    (
        "Coverage of a difference",
        "quantity.str.startswith('coverage') and quantity.str.contains('difference') and equal and not paper "
        "and variants != 41",
        ("procedure", "quantity", "law", "shifted"),
    ),
    (
        "Coverage of the probability better",
        "quantity.str.contains('probability') and equal and variants != 41",
        ("procedure", "quantity", "law", "shifted"),
    ),
    (
        "Power",
        "quantity.str.startswith('power') and shifted.str.startswith('1 of')",
        ("procedure", "quantity", "law", "design"),
    ),
    ("The best set", "quantity.str.contains('missed')", ("procedure", "quantity", "shifted")),
    (
        "The paper's procedure",
        "paper and not quantity.str.startswith('power')",
        ("quantity", "law", "shifted", "design", "variants"),
    ),
    (
        "Equal means, unequal laws",
        f"not equal and quantity in {[ERROR, *COVERAGES]}",
        ("procedure", "quantity", "law", "design"),
    ),
)


def write(results: Path) -> None:
    """Write the part of the page that is made from the results."""
    old = PAGE.read_text(encoding="utf-8")
    marks = re.compile(r"(<!-- generated: calibration -->\n).*?(<!-- /generated -->)", re.DOTALL)
    PAGE.write_text(marks.sub(lambda match: f"{match[1]}{text(results)}\n{match[2]}", old), encoding="utf-8")


def text(results: Path) -> str:
    """The tables, and before them all cells that break a promise."""
    cells = read(results)
    cells = cells.assign(
        equal=~cells["law"].isin(UNEQUAL),
        paper=cells["procedure"].eq(PAPER),
    )
    parts = ["### What does not hold", _broken(cells)]
    for heading, which, rows in _TABLES:
        parts += [f"### {heading}", markdown(_pivot(cells.query(which, engine="python"), list(rows)))]
    described = {"column": [f"`{name}`" for name in COLUMNS], "meaning": COLUMNS.values()}
    return "\n\n".join([*parts, "### Columns of the CSV file", markdown(pd.DataFrame(described))])


def read(results: Path) -> pd.DataFrame:
    """The CSV file; nothing is shifted where it says nothing."""
    return pd.read_csv(results / FILE, keep_default_na=False)


def broken(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells whose whole interval is outside of what is promised, among the project's own procedures."""
    errors = f"quantity in {[ERROR, FAMILY, DISCOVERIES]} and low > {MAX_ERROR}"
    intervals = f"quantity in {list(COVERAGES)} and law in {list(EXCHANGEABLE)}"
    coverage = f"{intervals} and (high < {MIN_COVERAGE} or low > {MAX_COVERAGE})"
    return cells.query(f"law in {list(PROMISED)} and procedure not in {[PAPER, IGNORING]} and ({errors} or {coverage})")


def _broken(cells: pd.DataFrame) -> str:
    found = broken(cells)
    if found.empty:
        return "Every cell keeps its promise."
    return markdown(_pivot(found, ["procedure", "quantity", "law", "variants", "shifted", "design"]))


def _pivot(cells: pd.DataFrame, rows: list[str]) -> pd.DataFrame:
    """A row for each procedure and law, a column for each n, in percent with the interval."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    studies: dict[tuple[str, ...], list[int]] = {}
    for cell in records(cells):
        key = tuple(str(cell[name]) for name in rows)
        value, low, high = (100 * cell[name] for name in ("value", "low", "high"))
        found.setdefault(key, {})[f"n = {cell['n']}"] = f"{value:.1f} ({low:.1f}–{high:.1f})"
        studies.setdefault(key, []).append(cell["studies"])
    sizes = [f"n = {n}" for n in sorted({cell["n"] for cell in records(cells)})]
    lines = [
        {**dict(zip(rows, key, strict=True)), **{n: texts.get(n, "") for n in sizes}, "studies": _range(studies[key])}
        for key, texts in found.items()
    ]
    shown = [name for name in rows if any(line[name] for line in lines)]
    return pd.DataFrame(lines, columns=[*shown, *sizes, "studies"])


def _range(numbers: list[int]) -> str:
    return "–".join(str(n) for n in sorted({min(numbers), max(numbers)}))
