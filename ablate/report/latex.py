"""The tables of a report as LaTeX: booktabs, numbers rounded as on the page, units over the rows of each task."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ablate.analysis import ANALYSES
from ablate.analysis.dataframes import records, unique, where
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import duration, number, places, probability, scientific, signed, significant, superscript

LONG = 40  # rows: a longer table runs over pages
LONGEST = 500  # rows: a longer one is data to compute with, and no table to print

Format = Callable[[Mapping[str, Any]], str]  # of one column: from a row to what stands in its cell

_SIGNED = ("difference", "low", "high", "median_difference", "median_low", "median_high")
_SIZED_BY_INTERVAL = ("mean", "mean_reference", *_SIGNED)
# As the page shows them, whichever trial's they are.
_KNOWN: dict[str, Callable[[float], str]] = {
    "learning_rate": scientific,
    "momentum": lambda value: number(value, 3),
    "input_noise": number,
    "seconds": duration,
    "parameters": lambda value: number(value, 0),
    "df": lambda value: number(value, 1),
}
_NOTHING = "\N{ZERO WIDTH SPACE}"
_ESCAPES = {
    _NOTHING: "{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    "[": "{[}",  # at the start of a row it would be an option of the line's end before it, as * would
    "*": "{*}",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "≈": r"$\approx$",
}
_RAISED = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_PLAIN_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def latex_table(name: str, table: pd.DataFrame, results: StudyResults) -> str | None:
    """The table of an analysis, for a document that uses booktabs and longtable.

    Returns:
        None where no paper would print it: it has no rows, more than LONGEST, or cells of several lines.
    """
    if table.empty or len(table) > LONGEST or _has_long_texts(table):
        return None
    grouped = "task" in table and table["task"].duplicated().any()
    columns = [column for column in table.columns if not (grouped and column == "task")]
    numeric = [pd.api.types.is_numeric_dtype(table[c]) and not pd.api.types.is_bool_dtype(table[c]) for c in columns]
    heading = " & ".join(escaped(column.replace("_", " ")) for column in columns) + r" \\"
    lines: list[str] = []
    for task in unique(table, "task") if grouped else [None]:
        rows = table if task is None else where(table, task=task)
        if task is not None:
            unit = f"{task}, scores in {results.task(task).metric}"
            lines += [r"\midrule"] * bool(lines) + [f"\\multicolumn{{{len(columns)}}}{{l}}{{{escaped(unit)}}} \\\\"]
        formats = [_format(rows, column) for column in columns]
        lines += [" & ".join(escaped(form(row)) for form in formats) + r" \\" for row in records(rows)]
    shape = "".join("r" if each else "l" for each in numeric)
    caption = f"\\caption{{{escaped(_summary(name))}}}\\label{{tab:{name}}}"
    return "\n".join(_environment(shape, caption, heading, lines)) + "\n"


def escaped(text: str) -> str:
    """Plain text as LaTeX, on one line."""
    shown = superscript(" ".join(text.split())).replace("--", f"-{_NOTHING}-")  # else two hyphens become a dash
    plain = "".join(_ESCAPES.get(sign, sign if sign.isprintable() else "") for sign in shown)
    return _RAISED.sub(lambda raised: f"$^{{{raised[0].translate(_PLAIN_DIGITS)}}}$", plain)


def _environment(shape: str, caption: str, heading: str, lines: list[str]) -> Iterator[str]:
    yield r"% \usepackage{booktabs,longtable}"
    if len(lines) > LONG:
        yield from (
            f"\\begin{{longtable}}{{{shape}}}",
            caption + r" \\",
            r"\toprule",
            heading,
            r"\midrule",
            r"\endhead",
        )
        yield from (r"\bottomrule", r"\endlastfoot", *lines, r"\end{longtable}")
    else:
        yield from (r"\begin{table}", r"\centering", caption, f"\\begin{{tabular}}{{{shape}}}", r"\toprule", heading)
        yield from (r"\midrule", *lines, r"\bottomrule", r"\end{tabular}", r"\end{table}")


def _summary(name: str) -> str:
    first = (ANALYSES[name].compute.__doc__ or name).strip().split("\n\n")[0]
    return first.replace("`", "")


def _has_long_texts(table: pd.DataFrame) -> bool:
    return any("\n" in value for column in table for value in table[column] if isinstance(value, str))


def _format(rows: pd.DataFrame, column: str) -> Format:
    """How a column's cells are written, in these rows: those of one task, whose scores share a unit."""
    values = rows[column]
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return lambda row: _word(row[column])
    if column == "p" or column.startswith("p_"):
        return lambda row: probability(row[column]).removeprefix("= ")
    for ending, known in _KNOWN.items():
        if column.endswith(ending):
            return lambda row: known(row[column])
    if "difference" in rows and "low" in rows and column in _SIZED_BY_INTERVAL:
        shown = signed if column in _SIGNED else number
        return lambda row: shown(row[column], places(row))
    numbers = values.to_numpy(float, na_value=np.nan)
    finite = np.abs(numbers[np.isfinite(numbers)])
    whole = not len(finite) or bool((finite == finite.round()).all())
    digits = 0 if whole else max(2, significant(float(np.median(finite[finite > 0])), 3))
    return lambda row: _plain(row[column], digits)


def _word(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return value if isinstance(value, str) and value else "–"


def _plain(value: Any, digits: int) -> str:
    if pd.isna(value):
        return "–"
    return number(float(value), digits) if math.isfinite(value) else "none"
