"""The columns of a table, and what is wrong with a file that should hold them, named with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ablate.errors import UserError

_FIX = "put it back from a copy, or mend or delete that line"


@dataclass(frozen=True)
class Column:
    """A column of a table: part of the contract with whoever reads the file."""

    name: str
    dtype: str  # pandas' name
    meaning: str  # with the unit
    choices: tuple[str, ...] = ()  # the only texts that it may hold; any if empty
    required: bool = False  # whether there is no reading a table of an older version without it


def read_utf8(file: Path) -> str:
    """The text of a file, "" if there is none.

    Raises:
        UserError: it is no text in UTF-8, or cannot be read; the message names the line.
    """
    try:
        content = file.read_bytes() if file.exists() else b""
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from None
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}, line {line}: no text in UTF-8; put the file back from a copy") from None


def check_heading(file: Path, names: Sequence[str], columns: Sequence[Column]) -> None:
    """Refuse a table that lacks a column without which it says nothing.

    Raises:
        UserError: it does.
    """
    if missing := [column.name for column in columns if column.required and column.name not in names]:
        raise UserError(f"{file}, line 1: the table has no column {missing[0]!r}; put the file back from a copy")


def check_rows(file: Path, text: str, columns: Sequence[Column]) -> None:
    """Refuse a table with a row that is cut or too long, a number that is none, or a word that a column does not know.

    Args:
        text: what the file holds, from its headings to the end of a line.
        columns: under the names that the file has.

    Raises:
        UserError: the first such row, by its line.
    """
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        heading = next(reader)
        known = [(place, column) for column in columns for place, name in enumerate(heading) if name == column.name]
        line, end = 1, reader.line_num
        for row in reader:
            line, end = end + 1, reader.line_num  # a cell may run over lines
            if row and len(row) != len(heading):
                _refuse(file, line, f"{len(row)} cells where there are {len(heading)} headings")
            for place, column in known if row else ():
                if fault := _fault(row[place], column):
                    _refuse(file, line, f"{column.name} is {row[place]!r}, {fault}")
    except csv.Error as error:
        _refuse(file, reader.line_num, str(error))


def _fault(cell: str, column: Column) -> str:
    """What is wrong with a cell; empty if nothing is."""
    if column.choices and cell not in column.choices:
        return f"not one of {', '.join(column.choices)}"
    if column.dtype == "str":
        return "which names nothing" if column.required and not cell else ""
    if not cell and column.dtype != "int64":
        return ""
    try:
        number = float(cell)
    except ValueError:
        return "no number"
    return "" if column.dtype == "float64" or number.is_integer() else "no whole number"


def _refuse(file: Path, line: int, fault: str) -> NoReturn:
    raise UserError(f"{file}, line {line}: {fault}; {_FIX}")
