"""One table of a study on disk: rows that are only ever appended, and parts that are sealed.

New rows go to the end of a CSV file, each with one write. When that file has grown long, its rows move into a sealed
part: a Parquet file in a folder beside it, which is never written to again. So `curves.csv` is the tail of the table,
and `curves/part-00000.parquet` and its successors are what came before. A part is written under another name and
renamed before the tail is emptied, likewise by a rename. A kill between the two leaves rows in both places; a reader
takes the last of each key, so it sees each row once.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablate.errors import UserError
from ablate.files import replacing
from ablate.storage.columns import Column, check_heading, check_rows, read_utf8

ROWS_PER_PART = 100_000  # rows of a tail that move into a part: some 6 MB of curves, and 1.5 MB in the part


class StoredTable:
    """A table in a file, with its sealed parts.

    Args:
        file: the CSV file; its parts are in the folder of the same name without suffix.
        columns: in the order of the file.
        key: the columns that tell rows apart; of rows with the same key the last counts.
        renamed: today's names of columns that had another one in files of older versions.
        final: a column, and the words there with which a row is the last of its key.
        rows_per_part: how many rows the CSV file may hold before `compact` seals them; ROWS_PER_PART if left out.
    """

    def __init__(
        self,
        file: Path,
        columns: Sequence[Column],
        key: Sequence[str],
        renamed: dict[str, str] | None = None,
        final: Mapping[str, Sequence[str]] | None = None,
        rows_per_part: int | None = None,
    ) -> None:
        self.file = file
        self.parts_folder = file.with_suffix("")
        self.names = [column.name for column in columns]
        self._columns = list(columns)
        self._dtypes: dict[str, Any] = {column.name: column.dtype for column in columns}
        self._key = list(key)
        self._renamed = renamed or {}
        self._final = final or {}
        self._seal_rows = ROWS_PER_PART if rows_per_part is None else rows_per_part

    def read(self) -> pd.DataFrame:
        """Every row, the last of each key, in the order of writing; without what a kill has left half-written.

        Raises:
            UserError: the table is damaged; the message names the file and the line.
        """
        parts = [self._typed(_read_part(part)) for part in self._parts()]
        return self._last_of_each(pd.concat([*parts, self._read_tail()]) if parts else self._read_tail())

    def pieces(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """The tail, then the sealed parts from the last to the first, so that memory holds one at a time.

        A key may be in several of them: the first one that comes counts. Within one it is there once.

        Args:
            columns: the only ones that are wanted; all if None.

        Raises:
            UserError: as `read`.
        """
        wanted = list(self.names if columns is None else columns)
        yield self._last_of_each(self._read_tail()).filter(wanted)
        for part in reversed(self._parts()):
            rows = _read_part(part, columns)
            yield self._typed(rows) if columns is None else rows.astype({name: self._dtypes[name] for name in wanted})

    def append(self, rows: list[list[Any]]) -> None:
        """Add whole rows with one write, so that no reader and no kill sees less than a row; all of them, or none.

        Raises:
            OSError: the disk is full, say.
        """
        with self.file.open("ab", buffering=0) as stream:
            size = stream.tell()
            head = [] if size else [self.names]
            rest = memoryview(_csv([*head, *([_cell(value) for value in row] for row in rows)]).encode())
            try:
                while rest:  # a disk that is nearly full takes a part
                    rest = rest[stream.write(rest) :]
                os.fsync(stream.fileno())
            except OSError:
                os.truncate(stream.fileno(), size)
                raise

    def compact(self, keep: pd.DataFrame | None = None) -> None:
        """Sort the CSV file by key and drop what a kill has left half-written; seal it if it has grown long.

        Args:
            keep: rows whose key columns are not among these are dropped; None keeps all.
        """
        before = self._read_tail()
        tail: pd.DataFrame = self._last_of_each(before)
        if keep is not None:
            tail = tail.merge(keep, on=list(keep.columns), how="inner")
        tail = tail.sort_values(self._key, kind="stable", ignore_index=True)
        if len(tail) > self._seal_rows:
            self._seal(tail)
            tail = tail.head(0)
        elif tail.equals(before) and self._is_as_written():
            return  # which is known sooner than how its text would be
        self._rewrite(tail)

    def drop(self, column: str, values: Collection[str]) -> None:
        """Remove the rows that have one of these values in a column; a kill on the way leaves some of them.

        A part stays even when it is left empty, since the next one is numbered by how many there are.
        """
        for part in self._parts():  # before the tail, whose rows count where a key is in both
            rows = _read_part(part)
            kept = _without(rows, column, values)
            if len(kept) < len(rows):
                self._write_part(part, kept)
        tail = self._read_tail()
        kept = _without(tail, column, values)
        if len(kept) < len(tail):
            self._rewrite(kept)

    def files(self) -> list[Path]:
        """The files that there are: sealed parts, and the tail."""
        return [*self._parts(), *([self.file] if self.file.exists() else [])]

    def _seal(self, rows: pd.DataFrame) -> None:
        self.parts_folder.mkdir(exist_ok=True)
        self._write_part(self.parts_folder / f"part-{len(self._parts()):05d}.parquet", rows)

    def _write_part(self, part: Path, rows: pd.DataFrame) -> None:
        # Digits of floats do not repeat, so that they are told apart by their place; all else goes into dictionaries.
        floats = [name for name, dtype in rows.dtypes.items() if dtype.kind == "f"]
        encoding = dict.fromkeys(floats, "BYTE_STREAM_SPLIT")
        words = [name for name in rows if name not in floats]
        with replacing(part) as temporary:
            rows.to_parquet(temporary, index=False, compression="zstd", use_dictionary=words, column_encoding=encoding)

    def _parts(self) -> list[Path]:
        return sorted(self.parts_folder.glob("part-*.parquet"))

    def _read_tail(self) -> pd.DataFrame:
        text = read_utf8(self.file)
        whole = text[: text.rfind("\n") + 1]  # a kill may have left the start of a row behind
        if not whole:
            return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in self._dtypes.items()})
        names = whole.partition("\n")[0].split(",")
        check_heading(self.file, [self._renamed.get(name, name) for name in names], self._columns)
        old_names = {new: old for old, new in self._renamed.items()}
        dtypes: Any = self._dtypes | {old_names[name]: self._dtypes[name] for name in old_names}
        try:
            table = pd.read_csv(io.StringIO(whole), dtype=dtypes, keep_default_na=False, na_values=[""])
        except (TypeError, ValueError, OverflowError) as error:
            check_rows(self.file, whole, self._columns)
            raise UserError(f"{self.file} cannot be read: {' '.join(str(error).split())}") from None
        # Going through the rows one by one takes long, and pandas takes a row that is cut for one with empty cells.
        if '"' in whole or whole.count(",") != whole.count("\n") * (len(names) - 1) or self._is_odd(table):
            check_rows(self.file, whole, self._columns)
        return self._typed(table.rename(columns=self._renamed))

    def _is_odd(self, table: pd.DataFrame) -> bool:
        """Whether there are words that their column does not know, or rows without a name."""
        for column in self._columns:
            if column.dtype == "str" and column.name in table:
                words = set(table[column.name].unique())
                unnamed = column.required and any(word != word for word in words)
                if unnamed or (column.choices and words - set(column.choices)):
                    return True
        return False

    def _typed(self, table: pd.DataFrame) -> pd.DataFrame:
        """Every column with its type; one that a file of an older version lacks is empty."""
        extra = [name for name in table.columns if name not in self._dtypes]
        return table.reindex(columns=[*self.names, *extra]).astype(self._dtypes)

    def _last_of_each(self, table: pd.DataFrame) -> pd.DataFrame:
        twice: Any = table[table.duplicated(self._key, keep=False)]
        for name, words in self._final.items() if len(twice) else ():
            rows: Any = twice[twice[name].isin(words)].drop_duplicates()
            if len(other := rows[rows.duplicated(self._key)]):
                key = " ".join(str(other.iloc[0][column]) for column in self._key)
                raise UserError(f"{self.file} holds {key} twice, with different numbers; delete the line that is false")
        return table.drop_duplicates(self._key, keep="last", ignore_index=True)

    def _is_as_written(self) -> bool:
        """Whether the CSV file has today's columns, and no row that a kill has left half-written."""
        if not self.file.exists():
            return False
        with self.file.open("rb") as stream:
            if stream.readline() != _csv([self.names]).encode():  # or it is empty, as a full disk leaves it
                return False
            stream.seek(-1, os.SEEK_END)
            return stream.read() == b"\n"

    def _rewrite(self, table: pd.DataFrame) -> None:
        text = _csv([list(table.columns), *([_cell(value) for value in row.values()] for row in plain_rows(table))])
        if self.file.exists() and self.file.read_text(encoding="utf-8") == text:
            return  # so that the file's time is that of its last trial
        with replacing(self.file) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")


def _read_part(part: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    try:
        return pd.read_parquet(part, columns=None if columns is None else list(columns))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{part} cannot be read: {reason}; put the file back from a copy") from None


def _without(table: pd.DataFrame, column: str, values: Collection[str]) -> pd.DataFrame:
    kept: Any = table[~table[column].isin(list(values))]
    return kept


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain Python values, None for what is empty."""
    columns = {name: np.array(table[name], dtype=object) for name in table.columns}
    for name, values in columns.items():
        values[table[name].isna().to_numpy()] = None
    lists = (values.tolist() for values in columns.values())
    return [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]


def _cell(value: Any) -> str:
    """A value as it is read back: floats to the last bit, what is missing or not a number as nothing."""
    if value is None or value != value:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def _csv(rows: list[list[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
