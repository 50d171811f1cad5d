"""The tables of a study: a row a trial in trials.csv, a row an epoch in curves.csv, texts written in samples.csv.

These three hold the search alone. A replicate has a row in replicates.csv, and nothing else is kept of it.

They are the truth from which everything else is made. A trial counts once its row in trials.csv is whole, and its
curve and sample are written before that.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ablate.errors import UserError
from ablate.plan.random_streams import TrialId
from ablate.storage.columns import Column
from ablate.storage.stored_table import StoredTable, plain_rows

KEY = ["task", "variant", "index"]
REPLICATE_KEY = [*KEY, "purpose", "replicate"]

_KEY_COLUMNS = (
    Column("task", "str", "the task's name", required=True),
    Column("variant", "str", "the variant's name", required=True),
    Column("index", "int64", "0 for the first draw of the search", required=True),
)
TRIAL_COLUMNS = (
    *_KEY_COLUMNS,
    Column(
        "state",
        "str",
        "completed, diverged (no validation score was finite) or failed (an exception, a killed worker)",
        choices=("completed", "diverged", "failed"),
        required=True,
    ),
    Column("hidden_size", "Int64", "units of a layer"),
    Column("drawn_size", "Int64", "units that were drawn, where `match` says how many a layer has instead; else empty"),
    Column("learning_rate", "float64", "of the optimiser, as drawn; sgd multiplies it by (1 - momentum)"),
    Column("momentum", "float64", "of the optimiser, as drawn"),
    Column("input_noise", "float64", "standard deviation of the noise on the inputs"),
    Column("init_std", "float64", "standard deviation of the initial weights, where the search draws it; else empty"),
    Column("forget_bias", "float64", "added to the initial b_f, where the search draws it; else empty"),
    Column("gradient_clipping", "float64", "limit of a gradient's components, where the search draws it; else empty"),
    Column("gradient_norm", "float64", "limit of the gradient's norm, where the search draws it; else empty"),
    Column("layers", "Int64", "recurrent layers, where the search draws them; else empty"),
    Column("optimiser", "str", "sgd, adam or adagrad, where the search draws it; else empty"),
    Column(
        "validation",
        "float64",
        "validation score at the best epoch, in the task's unit; empty if diverged",
        required=True,
    ),
    Column(
        "test",
        "float64",
        "test score at the best epoch by validation, in the task's unit; empty if not finite",
        required=True,
    ),
    Column("best_epoch", "Int64", "the epoch with the best validation score, from 1"),
    Column("epochs", "Int64", "epochs that were run"),
    Column(
        "stop_reason",
        "str",
        "why it stopped: epochs (all were run), patience, or not finite (a loss; the best epoch counts)",
    ),
    Column("parameters", "Int64", "weights of the whole network"),
    Column("seconds", "float64", "wall time"),
    Column("backend", "str", "what ran the cell: cpu (compiled) or reference"),
    Column("reason", "str", "why a trial failed"),
    Column("processor", "str", "the kind of what it ran on: name, family, model, vectors; empty in older versions"),
)
CURVE_COLUMNS = (
    *_KEY_COLUMNS,
    Column("epoch", "int64", "from 1", required=True),
    Column("train", "float64", "mean training score of the epoch's updates, in the task's unit"),
    Column("validation", "float64", "validation score after the epoch, in the task's unit"),
)
SAMPLE_COLUMNS = (
    *_KEY_COLUMNS,
    Column("sample", "str", "a text that the network wrote, as a Python literal", required=True),
)
REPLICATE_COLUMNS = (
    *_KEY_COLUMNS,
    Column(
        "purpose",
        "str",
        "control (of the reference, at every index) or confirmation (of a variant's best setting)",
        choices=("control", "confirmation"),
        required=True,
    ),
    Column("replicate", "int64", "from 1, for each purpose", required=True),
    *TRIAL_COLUMNS[len(_KEY_COLUMNS) :],
)

ENDED = ("completed", "diverged")  # states that are results; failed trials are run again
FINAL = {"state": ENDED}  # rows that are never followed by another

Curve = list[tuple[int, float, float]]  # epoch, train, validation

# These tell of the machine: all other columns of a study are the same however often it is run on one processor.
MACHINE_COLUMNS = ["seconds", "processor"]


class StudyTables:
    """The tables in a study's folder."""

    def __init__(self, folder: Path) -> None:
        self._replicates = StoredTable(
            folder / "replicates.csv", REPLICATE_COLUMNS, REPLICATE_KEY, final=FINAL
        )  # only where asked for
        self._trials = StoredTable(
            folder / "trials.csv", TRIAL_COLUMNS, KEY, renamed={"engine": "backend"}, final=FINAL
        )
        self._curves = StoredTable(folder / "curves.csv", CURVE_COLUMNS, [*KEY, "epoch"])
        self._samples = StoredTable(folder / "samples.csv", SAMPLE_COLUMNS, KEY)  # only where networks can write

    def files(self) -> list[Path]:
        """The files that the tables are in now."""
        tables = (self._trials, self._replicates, self._curves, self._samples)
        return [file for table in tables for file in table.files()]

    def trials(self) -> pd.DataFrame:
        """A row a trial of the search; of one that was run again, the last."""
        return self._trials.read()

    def replicates(self) -> pd.DataFrame:
        """A row a replicate; of one that was run again, the last."""
        return self._replicates.read()

    def curves(self, of: pd.DataFrame | None = None) -> pd.DataFrame:
        """A row an epoch, of the trials in the table and of no others.

        Args:
            of: the trials that are wanted, by the columns KEY; all of the table if None.
        """
        pieces = list(self._curves_of(self.trials() if of is None else of))
        return pd.concat(pieces[::-1], ignore_index=True)

    @property
    def has_sealed_curves(self) -> bool:
        """Whether there are so many rows of curves that they are read for some trials at a time."""
        return any(file.suffix == ".parquet" for file in self._curves.files())

    def _curves_of(self, trials: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """The curves of some trials, from the last to the first as they were written; one piece at a time in memory."""
        left: Any = pd.MultiIndex.from_frame(trials.filter(KEY))
        for rows in self._curves.pieces():
            key = pd.MultiIndex.from_frame(rows.filter(KEY))
            here: Any = rows[key.isin(left)] if len(left) else rows.head(0)
            left = left[~left.isin(key)]
            yield here

    def check(self, tasks: Collection[str], variants: Collection[str]) -> None:
        """Refuse tables of which rows have been lost, or that hold what the study does not know.

        A kill leaves the curve and the sample of one trial without its row, never those of two, and confirmations begin
        when the search has ended.

        Args:
            tasks: those that the study knows: of another it is not even known which scores are better.
            variants: likewise.

        Raises:
            UserError: they have, or do; the message names the file.
        """
        trials, replicates = self.trials(), self.replicates()
        for name, known in (("task", tasks), ("variant", variants)):
            for table, rows in ((self._trials, trials), (self._replicates, replicates)):
                if unknown := sorted(set(rows[name]) - set(known)):
                    raise UserError(
                        f"{table.file} holds trials of the {name} {unknown[0]!r}, of which metadata.json knows nothing"
                        "; put the two back from one copy, or delete these lines"
                    )
        there = _keys(trials)
        confirmed: Any = replicates[replicates["purpose"].eq("confirmation")]
        for table, pieces, most in (
            (self._curves, self._curves.pieces(KEY), 1),
            (self._samples, self._samples.pieces(KEY), 1),
            (self._replicates, [confirmed], 0),
        ):
            lost = sorted({key for rows in pieces for key in _keys(rows) - there})
            if len(lost) > most:
                first = TrialId(*lost[0])
                raise UserError(
                    f"{self._trials.file} lacks {len(lost)} trials, {first} the first, of which {table.file.name} has "
                    "rows: put it back from a copy, or delete these rows as well"
                )

    def samples(self) -> pd.DataFrame:
        """What networks wrote, a row a trial.

        Raises:
            UserError: a text is no Python literal.
        """
        table = self._samples.read()
        try:
            return table.assign(sample=[ast.literal_eval(literal) for literal in table["sample"]])
        except (ValueError, SyntaxError):
            raise UserError(
                f"{self._samples.file} holds a text that is no Python literal; put it back or delete it"
            ) from None

    def trial_rows(self) -> list[dict[str, Any]]:
        """Every trial, then every replicate, as a row of plain Python values, None for what is empty."""
        search = self.trials().assign(purpose="search", replicate=0)
        return [*plain_rows(search), *plain_rows(self.replicates())]

    def rows(self) -> TrialsWithCurves:
        """The rows of `trial_rows`, each with its curve, which a replicate has not."""
        return TrialsWithCurves(self.trial_rows(), self._curves_of)

    def add(self, trial: dict[str, Any], curve: Curve, sample: str = "") -> None:
        """Keep a finished trial: first its curve and sample, then the row that makes it count."""
        if trial["replicate"]:
            self._replicates.append([[trial.get(name) for name in self._replicates.names]])
            return
        key = [trial[name] for name in KEY]
        if sample:
            # As a Python literal, since a row must be a line, and what networks write may hold any character.
            self._samples.append([[*key, ascii(sample)]])
        self._curves.append([[*key, *row] for row in curve])
        self._trials.append([[trial.get(name) for name in self._trials.names]])

    def drop(self, variants: Collection[str]) -> None:
        """Remove all that there is of some variants; a kill on the way leaves some of it."""
        for table in (self._samples, self._curves, self._replicates, self._trials):  # no rows are left without a trial
            table.drop("variant", variants)

    def compact(self) -> None:
        """Put every table in the order of its key, without what a kill has left half-written; `check` comes first."""
        for table in (self._samples, self._replicates):
            if table.file.exists():
                table.compact()
        self._curves.compact(keep=self.trials().filter(KEY))
        self._trials.compact()


class TrialsWithCurves:
    """Trials with their curves, of which memory holds one piece of the table at a time: the order is that of pieces.

    Args:
        rows: of the trials.
        curves_of: gives the curves of trials, piece by piece.
    """

    def __init__(self, rows: list[dict[str, Any]], curves_of: Callable[[pd.DataFrame], Iterator[pd.DataFrame]]) -> None:
        self._rows, self._curves_of = rows, curves_of

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Curve]]:
        left = {tuple(row[name] for name in KEY): row for row in self._rows if not row["replicate"]}
        for piece in self._curves_of(pd.DataFrame(list(left), columns=KEY)):
            for key, curve in _curves_in(piece):
                yield left.pop(key), curve
        yield from ((row, []) for row in left.values())
        yield from ((row, []) for row in self._rows if row["replicate"])


def _curves_in(piece: pd.DataFrame) -> Iterator[tuple[tuple[Any, ...], Curve]]:
    """The curve of each trial."""
    for key, rows in piece.groupby(KEY, sort=False):
        columns = (rows[name].tolist() for name in ("epoch", "train", "validation"))
        yield key, list(zip(*columns, strict=True))  # type: ignore[misc]


def _keys(rows: pd.DataFrame) -> set[tuple[Any, ...]]:
    """The trials of rows."""
    keys = rows[KEY]
    first = keys.ne(keys.shift()).any(axis=1)  # of the rows of a trial, which stand together
    return set(keys.loc[first].itertuples(index=False, name=None))


def trial_id(row: Mapping[str, Any]) -> TrialId:
    """The trial of a row that `StudyTables.rows` or an executor gives."""
    return TrialId(*(row[name] for name in REPLICATE_KEY))
