"""The folder of a study, results/<study>/: all that the study is."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Collection
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout

from ablate.credentials import masked
from ablate.errors import UserError
from ablate.files import replacing
from ablate.plan.config import DEFAULT_REFERENCE, Config
from ablate.plan.config_file import load_study_config
from ablate.storage.columns import read_utf8
from ablate.storage.tables import StudyTables

SHOWN = 8  # studies that are named where one is missing
METADATA_FILE = "metadata.json"
SHARDS = "shards"  # the folder of a study's shards
OLD_METADATA_FILE = "facts.json"  # its name in studies of numerics version 1


class StudyFolder:
    """Where a study keeps its configuration, tables, trial store, metadata and report."""

    def __init__(self, results: Path, name: str) -> None:
        self.name = name
        self.results = results
        self.path = results / name
        self.config_file = self.path / "config.toml"
        self.metadata_file = self.path / METADATA_FILE
        self.journal_file = self.path / "optuna.journal"
        self.failures = self.path / "failures"
        self.kept = self.path / "kept"  # what slow analyses have computed; not in the report, which MLflow gets whole
        self.report_file = self.path / "report" / "index.html"
        # One database for all studies of a results folder, so that one MLflow UI shows them all.
        self.mlflow_file = results / "mlflow.db"
        self.mlflow_uri = sqlite_address(self.mlflow_file.resolve())
        self.mlflow_artifacts = results / "mlartifacts"
        self.tables = StudyTables(self.path)
        self._new_id = uuid.uuid4().hex
        # What a fresh start replaces, whole until the new study is there: a kill leaves the old one or the new one.
        self._replaced = results / f".{name}.replaced"
        # Beside the folder and not in it, so that --fresh can remove the folder while holding the lock.
        self._lock = FileLock(results / f".{name}.lock")

    @property
    def exists(self) -> bool:
        return self.config_file.exists()

    def missing(self) -> str:
        """That there is no such study, in words, with those that there are, the nearest first."""
        there = [file.parent.name for file in self.results.glob(f"[!.]*/{self.config_file.name}")]
        there.sort(key=lambda name: (-SequenceMatcher(a=self.name, b=name).ratio(), name))
        names = ", ".join(there[:SHOWN]) + (f" and {len(there) - SHOWN} more" if len(there) > SHOWN else "")
        return f"there is no study {self.name!r} in {self.results.resolve()}; it has {names or 'none'}"

    def lock(self) -> None:
        """Make this process the only one that writes to the study, until it ends.

        Raises:
            UserError: another process holds it, or the results folder cannot be written.
        """
        try:
            self.results.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"study {self.name!r} is being run by another process; wait for it, or give --study another name"
            ) from None
        except OSError as error:
            raise UserError(f"results folder {self.results} cannot be written: {error.strerror or error}") from None
        self._refuse_links()

    def _refuse_links(self) -> None:
        """Write through no link: a study from a stranger may hold one to any place. The folder itself may be a link."""
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                link = Path(folder) / name
                if link.is_symlink() and name != f"{self.journal_file.name}.lock":  # which Optuna made as a link once
                    self.unlock()
                    raise UserError(
                        f"{link} is a link, to {link.readlink()}: a study's files stand in its folder; put the file "
                        "itself there, or delete the link"
                    )

    def unlock(self) -> None:
        self._lock.release()

    def open(self, config: Config, fresh: bool) -> None:
        """Make the folder for a configuration, or go on in the one that is there.

        Raises:
            UserError: the folder was made with another configuration, or is no study, or cannot be written.
        """
        if fresh and self.exists:
            self.metadata()  # which raises while all is as it was
            _remove(self._replaced)
            self.path.rename(self._replaced)
        elif self.exists:
            self.compare(config)
            config = self.config().extended_by(config)
        elif self.path.exists() and any(
            not each.name.startswith(".") and each.name != SHARDS for each in self.path.iterdir()
        ):
            raise UserError(f"{self.path} is not empty and holds no study; give --study another name")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not os.access(self.path, os.W_OK):
                raise PermissionError(13, "Permission denied")
            write_text(self.config_file, masked(tomli_w.dumps(config.to_toml())))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UserError(f"results folder {self.path} cannot be written: {error.strerror or error}") from None

    def config(self) -> Config:
        """The configuration that the study was made with."""
        return load_study_config(self.config_file)

    def compare(self, config: Config) -> None:
        """Refuse a configuration whose trials would not be those of this study, naming the differences."""
        # Settings of tasks that the study does not have make no difference to what it has.
        tasks = list(self.metadata().get("tasks", {}))
        asked, there = (each.identity(tasks) for each in (config, self.config()))
        differences = [
            f"{key} is {there.get(key, 'not set')} there and {asked.get(key, 'not set')} here"
            for key in {**there, **asked}
            if there.get(key) != asked.get(key)
        ]
        if differences:
            raise UserError(
                f"study {self.name!r} in {self.path} was made with another configuration: {'; '.join(differences)}. "
                "Give --study another name, or --fresh to start it anew"
            )

    def metadata(self) -> dict[str, Any]:
        """What the tables cannot hold: the data, the variants, the environment.

        Raises:
            UserError: the file is damaged; the message names the line where there is one.
        """
        return _metadata_of(self.path)

    def write_metadata(self, metadata: dict[str, Any]) -> None:
        """Keep the metadata; the study's id stays what it is."""
        identity = {"id": self.id, "replaced_ids": self.replaced_ids, "copied_ids": self.copied_ids}
        self._write_metadata({**metadata, **identity})
        _remove(self._replaced)

    def _write_metadata(self, metadata: dict[str, Any]) -> None:
        text = json.dumps({**metadata, "place": str(self.path.resolve())}, indent=2)
        write_text(self.metadata_file, masked(text))

    @property
    def id(self) -> str:
        """Tells this study from every other, here or on a server, whatever its name."""
        return self.metadata().get("id") or self._new_id

    def tell_from_original(self, print_line: Callable[[str], None]) -> None:
        """Give a copy an id of its own, as long as what it was copied from is there: what was moved is no copy."""
        metadata = self.metadata()
        place = Path(metadata.get("place", self.path))
        if place.resolve() == self.path.resolve():
            return
        try:
            other = StudyFolder(place.parent, place.name).metadata()
        except (UserError, OSError):  # damaged, or not to be read, and so perhaps it
            other = metadata
        if other.get("id", "") == metadata.get("id"):
            print_line(f"study {self.name!r} was copied from {place}: in MLflow and Optuna it is a study of its own")
            own = {"id": self._new_id, "replaced_ids": [], "copied_ids": [*self.copied_ids, metadata["id"]]}
            self._write_metadata({**metadata, **own})

    @property
    def copied_ids(self) -> list[str]:
        """The ids of the studies that this one was copied from."""
        return self.metadata().get("copied_ids", [])

    @property
    def replaced_ids(self) -> list[str]:
        """The ids of the studies that fresh starts in this folder have replaced."""
        found = _metadata_of(self._replaced)
        replaced = [*found.get("replaced_ids", []), found["id"]] if "id" in found else []
        known = dict.fromkeys([*self.metadata().get("replaced_ids", []), *replaced])
        return [each for each in known if each != self.id]  # a copy that was started anew at once has had its id before

    @property
    def reference(self) -> str:
        """The variant that all others are compared with."""
        return self.metadata().get("reference", DEFAULT_REFERENCE)

    def check_tables(self) -> None:
        """Refuse tables that cannot be the study's: see `StudyTables.check`."""
        metadata = self.metadata()
        self.tables.check(metadata.get("tasks", {}), metadata.get("variants", {}))

    def drop(self, variants: Collection[str]) -> None:
        """Remove all trials of some variants, with their curves, samples and failures; a kill on the way leaves some.

        The caller records that they go, so that the next command goes on with it.
        """
        self.tables.drop(variants)
        tasks, these = ("|".join(map(re.escape, names)) for names in (self.metadata().get("tasks", ()), variants))
        trial = re.compile(rf"({tasks})-({these})-\d+(-[a-z]+-\d+)?\.txt")
        for file in self.failures.glob("*.txt"):
            if trial.fullmatch(file.name):
                file.unlink()

    def write_failure(self, trial: str, text: str) -> None:
        """Keep the traceback of a failed trial."""
        self.failures.mkdir(exist_ok=True)
        write_text(self.failures / f"{trial.replace('/', '-')}.txt", text)


def find_study(results: Path, name: str) -> StudyFolder:
    """The folder of a study by its name under the results, or by its path from anywhere."""
    path = Path(name).expanduser()
    there = path if (path / "config.toml").exists() or (path / SHARDS).is_dir() else results / name
    return StudyFolder(there.parent, there.name)


def sqlite_address(file: Path) -> str:
    """The address of a SQLite database as MLflow reads it: it takes `%20` for a space, and `?` for the end."""
    return f"sqlite:///{str(file).replace('%', '%25').replace('?', '%3F')}"


def _metadata_of(study: Path) -> dict[str, Any]:
    for file in (study / METADATA_FILE, study / OLD_METADATA_FILE):
        if file.exists():
            return _read_metadata(file)
    return {}


def _remove(folder: Path) -> None:
    """Delete a study's folder, if it is there; of one that is a link, the link."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _read_metadata(file: Path) -> dict[str, Any]:
    fix = "put the file back from a copy"
    try:
        found = json.loads(masked(read_utf8(file)))  # an older version may have kept passwords
    except json.JSONDecodeError as error:
        raise UserError(f"{file}, line {error.lineno}: {error.msg}; {fix}") from None
    if not isinstance(found, dict):
        raise UserError(f"{file} is no JSON object; {fix}")
    for key, kind in (
        ("expected", int),
        ("reference", str),
        ("id", str),
        ("place", str),
        ("configuration", dict),
        ("environment", dict),
    ):
        if not isinstance(found.get(key, kind()), kind):
            raise UserError(f"{file}: {key!r} is {found[key]!r}, of the wrong kind; {fix}")
    for key in ("tasks", "variants"):
        entries = found.get(key, {})
        if not isinstance(entries, dict) or not all(isinstance(e, dict) and "name" in e for e in entries.values()):
            raise UserError(f"{file}: {key!r} does not hold objects with a name; {fix}")
    return found


def write_text(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with replacing(file) as part:
        part.write_text(text, encoding="utf-8")
