"""A user's own data as a table: CSV or Parquet, a row a frame."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from ablate.errors import UserError
from ablate.files import open_file
from tasks.sources.own_data import NO_SPLIT, Column, Numbers, OwnData, Whole, split_number

PIECE = 2**20  # bytes of a CSV file that are read at once
EXACT = 2**53  # whole numbers below are told apart as floating-point ones


def read_table_file(path: Path, time: str) -> OwnData:
    """The data of a CSV or Parquet file.

    Args:
        time: the column of the time, or empty.

    Raises:
        UserError: the file cannot be read or is not such a table; with row and column, rows counted from 1 after the
            header.
    """
    from pyarrow import default_memory_pool

    table = _read(path)
    names: list[str] = table.column_names
    _check_names(path, names, time)
    columns = dict(zip(names, table.columns, strict=True))  # each leaves it, and the memory, when it is read
    del table
    codes = _sequence_numbers(path, columns.pop("sequence"))
    # The rows of a sequence may stand apart; they are put together in the order in which they stand.
    apart = bool((np.diff(codes) < 0).any())
    order = np.argsort(codes, kind="stable") if apart else None
    lengths = np.bincount(codes).astype(np.int64)

    def row(frame: int) -> int:
        return (frame if order is None else int(order[frame])) + 1

    def place(frame: int, name: str) -> str:
        return f"{path}, row {row(frame)}: {name!r}"

    def in_order(values: Any) -> Any:
        return values if order is None else values[order]

    def reader(name: str, of_time: bool = False) -> Callable[[], Numbers]:
        def read() -> Numbers:
            values = in_order(_numbers(path, name, columns.pop(name), of_time))
            default_memory_pool().release_unused()  # else it keeps what the column leaves free
            return values

        return read

    targets = [name for name in names if _is_target(name)]
    inputs = [name for name in names if name not in ("sequence", "split", time, *targets)]
    if not inputs:
        raise UserError(f"{path}: no column is left for the inputs beside sequence, split, time and targets")
    found = [_target(path, name, columns.pop(name)) for name in targets]
    found = [Column(each.name, in_order(each.values), each.labels, each.whole) for each in found]
    split = None
    if "split" in columns:
        split = _splits(place, in_order(_split_numbers(path, columns.pop("split"))), lengths)
    notes = ["the rows of some sequences stand apart; they are put together in the order of the file"] if apart else []
    return OwnData(
        path,
        lengths,
        split,
        {name: reader(name) for name in inputs},
        found,
        place,
        place,
        reader(time, of_time=True) if time else None,
        tuple(notes),
        repeats_mean_one=True,
    )


def _read(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow.parquet import read_table

    with open_file(path) as file:
        try:
            return _read_csv(file) if path.suffix.lower() == ".csv" else read_table(file)
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 (byte {hex(error.object[error.start])})") from None
        except (pa.ArrowException, OSError, ValueError) as error:
            kind = "CSV" if path.suffix.lower() == ".csv" else "Parquet"
            reason = " ".join(str(error).split()).removeprefix("CSV parse error: ")
            raise UserError(f"{path}: not {kind} as expected: {reason:.200}") from None


def _read_csv(file: BufferedReader) -> Any:
    """A CSV file as a table, in pieces: else its text stays in memory until the types of all columns are known."""
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ReadOptions, open_csv, read_csv

    # Without threads, so that a row of the wrong length is told by its number.
    options = ReadOptions(use_threads=False, block_size=PIECE)
    types: dict[str, Any] = {}
    names: list[str] = []
    while True:
        file.seek(0)
        try:
            # The types are those of the first piece, but for what has been learnt from later ones.
            pieces = open_csv(file, read_options=options, convert_options=ConvertOptions(column_types=types))
            names = pieces.schema.names
            return pa.Table.from_batches(pieces, pieces.schema)
        except pa.ArrowInvalid as error:
            column = re.match(r"In CSV column #(\d+): CSV conversion error to (null|int64):", str(error))
            if column is None or not names or len(set(names)) < len(names):
                break
            types[names[int(column[1])]] = pa.int64() if column[2] == "null" else pa.float64()
    file.seek(0)
    return read_csv(
        file, read_options=ReadOptions(use_threads=False)
    )  # which sees all before it decides, or says why not


def _is_target(name: str) -> bool:
    return name == "target" or name.startswith("target_")


def _check_names(path: Path, names: list[str], time: str) -> None:
    if len(names) == 1 and (mark := next((mark for mark in (";", "\t", "|") if mark in names[0]), "")):
        raise UserError(f"{path}: the columns are separated by {mark!r}; expected commas")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: two columns are called {twice!r}; rename or remove one of them")
    if any(not name.strip() for name in names):
        raise UserError(f"{path}: a column has no name; where it is an index, write the file without it (index=False)")
    if "sequence" not in names:
        raise UserError(f"{path}: no column is called 'sequence', which says what sequence a row is of; "
                        f"its columns: {', '.join(map(repr, names)):.200}")  # fmt: skip
    targets = [name for name in names if _is_target(name)]
    if not targets:
        raise UserError(
            f"{path}: no column is called 'target' or 'target_...'; its columns: {', '.join(map(repr, names)):.200}"
        )
    if "target" in targets and len(targets) > 1:
        raise UserError(f"{path}: 'target' beside {targets[1 - targets.index('target')]!r}; call several target_...")
    if time and (time not in names or time in ("sequence", "split", *targets)):
        raise UserError(f"{path}: settings.own.time is {time!r}, which is no column beside sequence, split and target")


def _plain(column: Any) -> Any:
    """A column in one piece, without a dictionary of categories."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _sequence_numbers(path: Path, column: Any) -> Whole:
    """The number of the sequence of each row, in the order in which sequences first appear."""
    import pyarrow as pa

    column = _plain(column)
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise UserError(f"{path}: 'sequence' holds {column.type}; expected numbers or text")
    if not len(column):
        raise UserError(f"{path}: there are no rows")
    encoded = column.dictionary_encode(null_encoding="encode")
    codes = encoded.indices.to_numpy().astype(np.int64)
    for code, value in enumerate(encoded.dictionary.to_pylist()):
        if value in (None, "") or value != value:
            raise UserError(f"{path}, row {int((codes == code).argmax()) + 1}: 'sequence' is missing")
    return codes


def _split_numbers(path: Path, column: Any) -> Whole:
    import pyarrow as pa

    column = _plain(column)
    if pa.types.is_nested(column.type):
        raise UserError(f"{path}: 'split' holds {column.type}; {NO_SPLIT}")
    encoded = column.dictionary_encode(null_encoding="encode")
    codes = encoded.indices.to_numpy()
    known = [split_number(value) for value in encoded.dictionary.to_pylist()]
    for code, number in enumerate(known):
        if number is None:
            row, value = int((codes == code).argmax()) + 1, encoded.dictionary[code].as_py()
            said = "is missing" if value in (None, "") else f"is {str(value)[:40]!r}"
            raise UserError(f"{path}, row {row}: 'split' {said}; {NO_SPLIT}")
    return np.array(known, np.int64)[codes]


def _splits(place: Callable[[int, str], str], split: Whole, lengths: Whole) -> Whole:
    """The split of each sequence; refused where its rows do not agree."""
    of_sequence = split[np.cumsum(lengths) - lengths]
    differs = split != np.repeat(of_sequence, lengths)
    if differs.any():
        raise UserError(f"{place(int(differs.argmax()), 'split')} is not that of the sequence's first row")
    return of_sequence


def _target(path: Path, name: str, column: Any) -> Column:
    import pyarrow as pa

    plain = _plain(column)
    if _is_text(plain.type):
        encoded = plain.dictionary_encode()
        found = encoded.dictionary.to_pylist()
        labels = sorted(label for label in found if label != "")
        number = {label: k for k, label in enumerate(labels)}
        numbers = np.array([number.get(label, np.nan) for label in found] or [np.nan], np.float64)
        codes = encoded.indices
        values = numbers[codes.fill_null(0).to_numpy()]
        values[np.asarray(codes.is_null())] = np.nan
        return Column(name, values, tuple(labels))
    values = _numbers(path, name, plain, False)
    whole = pa.types.is_integer(plain.type) or pa.types.is_boolean(plain.type)
    if whole and (np.abs(values) >= EXACT).any():
        row = int((np.abs(values) >= EXACT).argmax())
        raise UserError(
            f"{path}, row {row + 1}: {name!r} is {plain[row]}, too large for a number; write classes as text"
        )
    return Column(name, values, (), whole)


def _numbers(path: Path, name: str, column: Any, of_time: bool) -> Numbers:
    """A column as float64, NaN where a value is missing. Raises UserError for what are no numbers."""
    import pyarrow as pa

    column, kind = _plain(column), column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if of_time and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        microseconds = column.cast(pa.timestamp("us"), safe=False)
        return microseconds.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) / 1e6
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif _is_text(kind) or pa.types.is_binary(kind):
        row, value = _first_text(column)
        raise UserError(f"{path}, row {row + 1}: {name!r} is {value!r}; expected a number")
    elif pa.types.is_temporal(kind):
        advice = f"; settings.own.time = {name!r} makes time differences of it" if pa.types.is_timestamp(kind) else ""
        raise UserError(f"{path}: {name!r} holds dates or times, which are no numbers{advice}")
    elif not (pa.types.is_null(kind) or pa.types.is_decimal(kind) or pa.types.is_primitive(kind)):
        raise UserError(f"{path}: {name!r} holds {kind}; expected numbers")
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _first_text(column: Any) -> tuple[int, str]:
    """The first value that is no number, or the first of all."""
    for row, each in enumerate(column):
        value = each.as_py()
        try:
            if value not in (None, "", b""):
                float(value)
        except ValueError:
            return row, (value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value))[:40]
    return 0, str(column[0].as_py())[:40]
