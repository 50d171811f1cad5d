"""The SQLite database of a results folder, which holds MLflow's view of all its studies.

MLflow makes its tables by some seventy steps, of which each can be the last one before a kill or a full disk, and
which two processes must not take at once. So the database is made aside, under a lock, and put in its place whole.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import mlflow
from filelock import FileLock
from mlflow import MlflowClient

from ablate.cache import default_cache_folder, writable
from ablate.storage.folder import sqlite_address

PATIENCE = 120  # seconds that another process may take to make the database


def prepare_database(file: Path, print_line: Callable[[str], None]) -> None:
    """Make the database if there is none. One that is broken is put aside and made anew, for the tables are the truth.

    Args:
        print_line: told that it was broken.
    """
    with FileLock(file.with_name(f".{file.name}.lock"), timeout=PATIENCE):
        fault = _fault(file) if file.exists() else ""
        if file.exists() and not fault:
            return
        part = file.with_name(f".{file.name}.part")
        for left in _with_companions(part):  # by a kill
            left.unlink(missing_ok=True)
        _make(part)
        if fault:
            aside = _free_name(file)
            for old in _with_companions(file):
                if old.exists():
                    old.rename(aside.with_name(old.name.replace(file.name, aside.name, 1)))
            print_line(
                f"{file} was broken ({fault}) and is kept as {aside.name}; it is made anew from the tables: of other "
                "studies by their next start, or by --report-only"
            )
        part.replace(file)


def remove_stray_folder(file: Path) -> None:
    """Remove the folder that MLflow makes where a database's path holds % or ?: it takes the address for the path."""
    stray = Path(sqlite_address(file.resolve()).removeprefix("sqlite:///")).parent
    if stray != file.resolve().parent:
        with suppress(OSError):  # it holds something, and so was not made by MLflow
            stray.rmdir()


def _fault(file: Path) -> str:
    """What is wrong with a database, or nothing. One of an older MLflow is sound: MLflow says how it is upgraded."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro", uri=True, timeout=30)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                return found.splitlines()[0]
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not {"alembic_version", "experiments", "runs"} <= tables:
                return "tables are missing"
            # The last step of its making writes MLflow's own first experiment.
            return "" if database.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() else "half-made"
    except sqlite3.OperationalError:
        return ""  # locked, or may not be read: MLflow has the word
    except sqlite3.DatabaseError as error:
        return str(error)


def _make(file: Path) -> None:
    """Copy the empty database of this MLflow that the cache holds; made once a version, for it takes seconds."""
    cache = writable(default_cache_folder())
    template = cache / f"mlflow-{mlflow.__version__}.db"
    if not template.exists() or _fault(template):
        with tempfile.TemporaryDirectory(dir=cache) as aside:
            made = Path(aside, template.name)
            _make_empty(made)
            made.replace(template)
    shutil.copyfile(template, file)
    with closing(sqlite3.connect(file)) as database, database:  # where MLflow's own first experiment is
        database.execute("UPDATE experiments SET artifact_location = ?", (str(file.parent.resolve() / "mlruns" / "0"),))
    with file.open("rb") as copied:
        os.fsync(copied.fileno())


def _make_empty(file: Path) -> None:
    quiet = logging.getLogger("mlflow.store.db.utils")
    before = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        MlflowClient(sqlite_address(file.resolve())).search_experiments()
    finally:
        quiet.setLevel(before)


def _free_name(file: Path) -> Path:
    names = (file.with_name(f"{file.name}.broken-{k}") for k in range(1, 10_000))
    return next(name for name in names if not name.exists())


def _with_companions(file: Path) -> list[Path]:
    return [file, *(file.with_name(file.name + end) for end in ("-journal", "-wal", "-shm"))]
