"""The task `own`: any sequences of a user's, from a file of arrays or a table; the targets say which layer they need.

It is there where `--data own=FILE` is given. What follows from the file is kept in the cache folder beside the parsed
data, so that of many processes one reads it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ablate.cache import default_cache_folder
from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition
from ablate.definitions.scores import Loss
from ablate.definitions.task import (
    TASKS_FROM_DATA,
    ProgressCallback,
    Settings,
    Task,
    TaskFromData,
)
from ablate.errors import UserError
from ablate.files import streamed_fingerprint
from tasks.sources.array_file import read_array_file
from tasks.sources.own_data import OwnData, splits_of
from tasks.sources.own_inputs import make_inputs
from tasks.sources.own_targets import make_targets
from tasks.sources.table_file import read_table_file

VERSION = 1  # raised when the same file comes to give other numbers
READERS = {".npz": read_array_file, ".csv": read_table_file, ".parquet": read_table_file, ".pq": read_table_file}
SETTINGS: Settings = {
    "loss": "",
    "score": "",
    "target_position": "",
    "time": "",
    "mask_gaps": False,
    "standardise": True,
    "bidirectional": False,
}


@dataclass(frozen=True)
class Facts:
    """What follows from a file before its numbers are needed."""

    loss: Loss
    score: str
    target_position: TargetPosition
    unit: str
    summary: str


def own_task(path: Path, settings: Settings) -> Task:
    """The task that a user's file is.

    Args:
        settings: those of SETTINGS; an empty text leaves the choice to the file.

    Raises:
        UserError: the file is no such data, or the settings do not fit it.
    """
    choices = {**SETTINGS, **settings}
    facts = _facts(path, choices)
    decided = {"loss": facts.loss, "score": facts.score, "target_position": str(facts.target_position)}

    def load(path: Path | None, settings: Settings, progress: ProgressCallback) -> Dataset:
        if path is None:
            raise UserError("the task 'own' follows from data of yours: give them, --data own=FILE")
        progress(f"reading {path.name}", 0, 1)
        _, dataset = _parsed.pop(_key(path, choices), None) or _parse(path, choices)
        progress(f"reading {path.name}", 1, 1)
        return dataset

    return Task(
        name="own",
        summary=f"your own data: {facts.summary}",
        loss=facts.loss,
        score=facts.score,
        target_position=facts.target_position,
        description=DESCRIPTION,
        unit=facts.unit,
        load=load,
        settings={**choices, **decided},
        version=VERSION,
        fingerprint=fingerprint,
    )


def fingerprint(path: Path | None) -> str:
    """SHA-256 of the file, computed once a process while it does not change. Raises UserError."""
    assert path is not None
    try:
        found = path.stat()
    except (OSError, ValueError):
        return streamed_fingerprint(path)  # which says why not
    return _fingerprint(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=8)
def _fingerprint(path: Path, size: int, changed: int) -> str:
    return f"{path.suffix.lower()} {streamed_fingerprint(path)}"


# What was parsed to learn the facts, until it is loaded.
_parsed: dict[str, tuple[Facts, Dataset]] = {}


def _key(path: Path, choices: Settings) -> str:
    """What a file and the choices become is known by this, across processes; raises UserError for a bad path."""
    known = f"{VERSION} {json.dumps(choices, sort_keys=True)} {fingerprint(path)}"
    return hashlib.sha256(known.encode()).hexdigest()[:20]


def _facts(path: Path, choices: Settings) -> Facts:
    """What follows from the file, from the cache where it is known there."""
    if path.suffix.lower() not in READERS:
        raise UserError(f"{path}: own data are a file whose name ends in {', '.join(READERS)}")
    key = _key(path, choices)
    kept = default_cache_folder() / f"own-{key}.json"
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        return Facts(**{**found, "target_position": TargetPosition(found["target_position"])})
    except (OSError, ValueError, LookupError, TypeError):
        pass
    facts, dataset = _parse(path, choices)
    _parsed.clear()
    _parsed[key] = facts, dataset
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(vars(facts)), encoding="utf-8")
        partial.replace(kept)
    except OSError:
        pass  # the next process reads the file itself
    return facts


def _parse(path: Path, choices: Settings) -> tuple[Facts, Dataset]:
    try:
        data: OwnData = READERS[path.suffix.lower()](path, str(choices["time"]))
        split, notes = splits_of(data)
        targets = make_targets(data, split, choices)
        inputs = make_inputs(
            data, split, bool(choices["standardise"]), bool(choices["mask_gaps"]), str(choices["time"])
        )
    except MemoryError:
        raise UserError(f"{path}: the data do not fit into memory") from None
    except (ValueError, NotImplementedError, OverflowError, KeyError) as error:  # what a library cannot convert
        raise UserError(f"{path}: cannot become a task: {' '.join(str(error).split()):.200}") from error
    splits = {
        name: Sequences(inputs.arrays[name], targets.arrays[name], data.lengths[split == number], targets.position)
        for number, name in enumerate(SPLITS)
    }
    size = len(inputs.names)
    summary = f"{size} input{'s' if size > 1 else ''}, {targets.summary}"
    told = f"{summary}, as the targets ask for ({targets.loss}, scored in {targets.unit})"
    dataset = Dataset(
        splits,
        str(path),
        size,
        targets.output_size,
        targets.class_names,
        (told, *notes, *data.notes, *targets.notes, *inputs.notes),
    )
    return Facts(targets.loss, targets.score, targets.position, targets.unit, summary), dataset


DESCRIPTION = """\
Any sequences of your own, of numbers, with targets at every frame or one a sequence.

source     your own.
own data   --data own=FILE, in one of these forms.
           .csv (UTF-8, commas) or .parquet: a row a frame. `sequence` says what sequence a row is of, by any number or
           text; `split` is train, validation or test (0, 1, 2), the same in all of a sequence; `target`, or several
           columns `target_...`, are what is to be predicted; every other column is an input. A target stands in every
           row, or in the last row of each sequence alone. One that stays the same in each sequence counts as one a
           sequence.
           .npz: arrays `inputs` (frames, M), the sequences one after the other; `targets`, (frames,) or (frames, K)
           for every frame, (sequences,) or (sequences, K) for every sequence; `lengths` (sequences,); `split`
           (sequences,).
shapes     inputs are frames x the columns. A column of whole numbers or text is classes, and gets a softmax; several
           of 0 and 1 get a sigmoid unit each; other numbers are predicted as they are, by least squares.
splits     those of the file; without `split`, by the sequence's number modulo 5: 3 validation, 4 test, else training.
settings   loss, score, target_position: what the targets ask for, if not said. loss may be cross_entropy,
           binary_cross_entropy or squared_error; target_position every_frame or sequence_end.
           standardise (true): inputs, but for those of 0 and 1 alone, and targets that are numbers get mean 0 and
           variance 1 over the training frames.
           mask_gaps (false): a missing input or NaN becomes 0, and each input with gaps gets another, 1 where there is
           a value; otherwise gaps are refused. time: the column (in .npz the array) of the time, whose difference to
           the frame before becomes an input in its place. bidirectional (false): networks read in both directions.
score      error in per cent for classes, nats for 0 and 1, squared error for numbers.
"""

TASKS_FROM_DATA.add(
    TaskFromData(
        name="own",
        summary="your own sequences: --data own=FILE, a .csv, .parquet or .npz",
        description=DESCRIPTION,
        settings=SETTINGS,
        make=own_task,
    )
)
