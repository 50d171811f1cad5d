"""The tables of a study: a row a trial in trials.csv, a row an epoch in curves.csv, texts written in samples.csv.

They are the truth from which everything else is made. Rows are only ever appended; a trial counts once its row in
trials.csv is whole, and its curve is written before that. A rewrite goes through a temporary file and a rename.
"""

from __future__ import annotations

import ast
import csv
import io
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd

from ablate.plan.random_streams import TrialId
from ablate.plan.search_space import HYPERPARAMETERS

KEY = ["task", "variant", "index"]
TRIAL_COLUMNS = [
    *KEY,
    "state",
    *HYPERPARAMETERS,
    "validation",
    "test",
    "best_epoch",
    "epochs",
    "parameters",
    "seconds",
    "engine",
    "reason",
]
CURVE_COLUMNS = [*KEY, "epoch", "train", "validation"]
SAMPLE_COLUMNS = [*KEY, "sample"]

Curve = list[tuple[int, float, float]]  # epoch, train, validation

# Times stand apart: all other columns of a study are the same however often it is run.
TIME_COLUMNS = ["seconds"]

_KINDS = {
    **dict.fromkeys(["task", "variant", "state", "engine", "reason", "sample"], "str"),
    **dict.fromkeys(["index", "epoch"], "int64"),
    **dict.fromkeys(["hidden_size", "best_epoch", "epochs", "parameters"], "Int64"),
    **dict.fromkeys(["learning_rate", "momentum", "input_noise", "validation", "test", "train", "seconds"], "float64"),
}


class StudyTables:
    """The tables in a study's folder."""

    def __init__(self, folder: Path) -> None:
        self.trials_file = folder / "trials.csv"
        self.curves_file = folder / "curves.csv"
        self.samples_file = folder / "samples.csv"  # only where a task's networks can write

    def trials(self) -> pd.DataFrame:
        """A row a trial; of one that was run again, the last."""
        return _read(self.trials_file, TRIAL_COLUMNS).drop_duplicates(KEY, keep="last", ignore_index=True)

    def curves(self) -> pd.DataFrame:
        """A row an epoch, of the trials in the table and of no others."""
        curves = _read(self.curves_file, CURVE_COLUMNS).drop_duplicates([*KEY, "epoch"], keep="last")
        trials = self.trials()
        return curves.merge(trials[KEY], on=KEY, how="inner").reset_index(drop=True)

    def samples(self) -> pd.DataFrame:
        """What networks wrote, a row a trial."""
        table = self._samples()
        return table.assign(sample=[ast.literal_eval(literal) for literal in table["sample"]])

    def _samples(self) -> pd.DataFrame:
        return _read(self.samples_file, SAMPLE_COLUMNS).drop_duplicates(KEY, keep="last", ignore_index=True)

    def rows(self) -> list[tuple[dict[str, Any], Curve]]:
        """Every trial as a row of plain Python values, None for what is empty, with its curve."""
        curves: dict[tuple[Any, ...], Curve] = {}
        for row in _plain_rows(self.curves()):
            train, validation = (math.nan if row[name] is None else row[name] for name in ("train", "validation"))
            curves.setdefault(tuple(row[name] for name in KEY), []).append((row["epoch"], train, validation))
        return [(row, curves.get(tuple(row[name] for name in KEY), [])) for row in _plain_rows(self.trials())]

    def add(self, trial: dict[str, Any], curve: Curve, sample: str = "") -> None:
        """Keep a finished trial: first its curve and sample, then the row that makes it count."""
        key = [trial[name] for name in KEY]
        if sample:
            # As a Python literal, since a row must be a line, and what networks write may hold any character.
            _append(self.samples_file, SAMPLE_COLUMNS, [[*key, ascii(sample)]])
        _append(self.curves_file, CURVE_COLUMNS, [[*key, *row] for row in curve])
        _append(self.trials_file, TRIAL_COLUMNS, [[trial.get(name) for name in TRIAL_COLUMNS]])

    def tidy(self) -> None:
        """Rewrite both tables in the order of the coordinates, without what a kill has left half-written."""
        trials, curves, samples = self.trials(), self.curves(), self._samples()
        if len(samples):
            _rewrite(self.samples_file, samples.sort_values(KEY, kind="stable"))
        _rewrite(self.curves_file, curves.sort_values([*KEY, "epoch"], kind="stable"))
        _rewrite(self.trials_file, trials.sort_values(KEY, kind="stable"))


def coordinates(table: pd.DataFrame) -> list[TrialId]:
    """The coordinates of each row."""
    return [TrialId(*key) for key in zip(*(table[name].tolist() for name in KEY), strict=True)]


def _read(file: Path, columns: list[str]) -> pd.DataFrame:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    whole = text[: text.rfind("\n") + 1]  # a kill may have left the start of a row behind
    if not whole:
        return pd.DataFrame({name: pd.Series(dtype=_KINDS[name]) for name in columns})
    return pd.read_csv(
        io.StringIO(whole),
        dtype={name: _KINDS[name] for name in columns},
        keep_default_na=False,
        na_values=[""],
    )


def _append(file: Path, columns: list[str], rows: list[list[Any]]) -> None:
    """Add whole rows with one write, so that no reader and no kill sees less than a row."""
    head = [] if file.exists() and file.stat().st_size else [columns]
    with file.open("a", encoding="utf-8", newline="") as stream:
        stream.write(_text([*head, *([_cell(value) for value in row] for row in rows)]))
        stream.flush()
        os.fsync(stream.fileno())


def _cell(value: Any) -> str:
    """A value as it is read back: floats to the last bit, what is missing or not a number as nothing."""
    if value is None or value != value:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def _rewrite(file: Path, table: pd.DataFrame) -> None:
    text = _text([list(table.columns), *([_cell(value) for value in row.values()] for row in _plain_rows(table))])
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return  # so that the file's time is that of its last trial
    temporary = file.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8", newline="")
    temporary.replace(file)


def _text(rows: list[list[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    columns = {name: [None if pd.isna(value) else value for value in table[name].tolist()] for name in table.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
