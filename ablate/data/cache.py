"""Parsed data sets, kept as .npy files so that only the first run pays for the parsing.

An entry is a folder `<task>-<fingerprint>` with the arrays of each split and an index, written beside its place and
renamed, so that it is there as a whole or not at all. Of many processes that start at once, one parses and the
others wait for it. The cache is never needed: where it cannot be written, the data are parsed each time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from ablate.data.user_code import call
from ablate.data.validation import validate
from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition, content_hash
from ablate.definitions.loading import code_hash
from ablate.definitions.task import ProgressCallback, Settings, Task

FORMAT = 3  # raised when the layout of an entry changes
INDEX = "index.json"
FIELDS = ("source", "input_size", "output_size", "class_names", "notes")  # of a Dataset, kept in the index

log = logging.getLogger(__name__)


def open_dataset(
    task: Task, path: Path | None, settings: Settings, cache_folder: Path, progress: ProgressCallback
) -> Dataset:
    """A loaded task's data, from the cache where it holds them; else parsed, and cached for the next time.

    `path` is the user's own copy, None the embedded data. The arrays are memory-mapped and read-only. A damaged
    entry is made anew. Trouble with the cache itself is only a warning.

    Raises:
        UserError: bad data, or data that are not what the task declares.
    """
    from filelock import FileLock

    assert task.load is not None
    source = f"{FORMAT} {task.version} {task.targets_at(settings)} {sorted(settings.items())} {task.fingerprint(path)}"
    source += code_hash(task.load)  # a task that is being written changes without a new version
    entry = cache_folder / f"{task.name}-{hashlib.sha256(source.encode()).hexdigest()[:20]}"
    dataset = _read(entry)
    if dataset is None:
        try:
            cache_folder.mkdir(parents=True, exist_ok=True)
            with FileLock(entry.with_suffix(".lock")):
                if _read(entry) is None:  # another process may have been faster
                    dataset = _load(task, path, settings, progress)
                    _write(entry, dataset)
        except (OSError, NotImplementedError) as error:  # NotImplementedError: a file system without locks
            reason = getattr(error, "strerror", None) or error
            log.warning("%s: the cache cannot be used (%s); the data are parsed anew each time", cache_folder, reason)
        dataset = _read(entry) or dataset or _load(task, path, settings, progress)
    # The same file may have been cached under another name.
    return dataset if path is None else replace(dataset, source=str(path))


def _load(task: Task, path: Path | None, settings: Settings, progress: ProgressCallback) -> Dataset:
    assert task.load is not None
    dataset = call(task, task.load, Dataset, path, settings, progress)
    validate(task, settings, dataset)
    return dataset


def _read(entry: Path) -> Dataset | None:
    """The data set of an entry, or None when there is none or it is damaged."""
    try:
        index = json.loads((entry / INDEX).read_text(encoding="utf-8"))
        position = TargetPosition(index["target_position"])
        splits = {
            split: Sequences(
                **{array: np.load(_file(entry, split, array), mmap_mode="r") for array in arrays},
                target_position=position,
            )
            for split, arrays in index["arrays"].items()
        }
        undamaged = tuple(splits) == SPLITS and content_hash(splits) == index["hash"]
        dataset = Dataset(splits, **index["dataset"], hash=index["hash"]) if undamaged else None
        return dataset and replace(dataset, class_names=tuple(dataset.class_names), notes=tuple(dataset.notes))
    except (OSError, EOFError, ValueError, LookupError, TypeError):  # a damaged index or array
        return None


def _write(entry: Path, dataset: Dataset) -> None:
    """Write an entry, replacing a damaged one; only the holder of the lock may."""
    partial = entry.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        for split, sequences in dataset.splits.items():
            for array, values in sequences.arrays.items():
                np.save(_file(partial, split, array), values)
        index = {
            "dataset": {name: getattr(dataset, name) for name in FIELDS},
            "arrays": {split: list(sequences.arrays) for split, sequences in dataset.splits.items()},
            "target_position": dataset.splits["train"].target_position,
            "hash": dataset.hash,
        }
        (partial / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")
        shutil.rmtree(entry, ignore_errors=True)
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _file(entry: Path, split: str, array: str) -> Path:
    return entry / f"{split}-{array}.npy"
