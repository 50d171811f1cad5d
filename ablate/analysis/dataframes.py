"""Small typed helpers over pandas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pandas as pd


def where(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows whose columns have the given values."""
    for column, value in values.items():
        table = cast(pd.DataFrame, table[table[column] == value])
    return table


def select(table: pd.DataFrame, rows: Any) -> pd.DataFrame:
    """The rows at which a column of truth values is true."""
    return cast(pd.DataFrame, table[rows])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain dicts."""
    return cast(list[dict[str, Any]], table.to_dict("records"))


def groups(table: pd.DataFrame, *by: str) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """The keys and rows of each group, in sorted order."""
    for keys, group in table.groupby(list(by)):
        yield tuple(map(str, cast(tuple, keys))), group


def unique(table: pd.DataFrame, column: str) -> list[Any]:
    """The different values of a column, in the order of their first rows."""
    return list(dict.fromkeys(table[column]))
