"""Small typed helpers over pandas, and which way is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pandas as pd


def where(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows whose columns have the given values."""
    for column, value in values.items():
        table = cast(pd.DataFrame, table[table[column] == value])
    return table


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain dicts."""
    return cast(list[dict[str, Any]], table.to_dict("records"))


def groups(table: pd.DataFrame, *by: str) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """The keys and rows of each group, in sorted order."""
    for keys, group in table.groupby(list(by)):
        yield tuple(map(str, cast(tuple, keys))), group


def sign_of(task: str, directions: Mapping[str, str] | None) -> float:
    """+1 for a task to be minimised, -1 for one to be maximised."""
    return -1.0 if (directions or {}).get(task) == "maximize" else 1.0


def signs(table: pd.DataFrame, directions: Mapping[str, str] | None) -> pd.Series:
    """For each row, +1 where a lower score is better and -1 where a higher one is."""
    return pd.Series([sign_of(task, directions) for task in table["task"]], index=table.index, dtype=float)
