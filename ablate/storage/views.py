"""Which views of a study show what its tables hold: its report, and the stores of its trackers.

A view is marked once it is whole, with a fingerprint of what it shows. So a sweep that was killed after its report and
before the end of MLflow, a store that was deleted, or a clock that was wrong, leave no view that passes for current.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ablate.files import streamed_fingerprint
from ablate.plan.config import Config
from ablate.storage.folder import StudyFolder, write_text

REPORT = "report"
_OF_THE_PLACE = ("command", "environment", "place", "copied_ids")
_WHERE_AND_HOW = (
    *("jobs", "launcher", "address", "shards", "sbatch", "results", "tracking_uri"),
    *("storage", "log_trials", "settings", "trial_timeout"),
)


class Views:
    """The marks of a study's views, kept in its folder.

    Args:
        config: where the stores of the trackers are; a view on another server is another view.
    """

    def __init__(self, folder: StudyFolder, config: Config) -> None:
        self._folder, self._config = folder, config
        self._file = folder.path / ".views.json"
        # None: on a server, which is not looked at.
        self._stores: dict[str, Path | None] = {
            REPORT: folder.report_file,
            "mlflow": None if config.tracking_uri else folder.mlflow_file,
            "optuna": None if config.storage else folder.journal_file,
        }

    def are_current(self, names: Iterable[str]) -> bool:
        """Whether all of these show what the tables hold now."""
        marks, tables = self._marks(), self._of_tables()
        return all(self._exists(name) and marks.get(name) == self._fingerprint(name, tables) for name in names)

    def mark(self, names: Iterable[str]) -> None:
        """Say that these are whole. The tables must not have changed since they were read for them."""
        tables = self._of_tables()
        marks = {**self._marks(), **{name: self._fingerprint(name, tables) for name in names}}
        write_text(self._file, json.dumps(marks, indent=2))

    def _marks(self) -> dict[str, str]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _exists(self, name: str) -> bool:
        store = self._stores.get(name)
        return store is None or store.exists()

    def _what_reports_show(self) -> dict[str, Any]:
        """The metadata, without what only says how the last command was given."""
        metadata = self._folder.metadata()
        configuration = metadata.get("configuration", {})
        kept = {key: value for key, value in configuration.items() if key not in _WHERE_AND_HOW}
        shown = {
            key: value
            for key, value in metadata.items()
            if key not in ("command", "environment", "place", "copied_ids")
        }
        return {**shown, "configuration": kept}

    def _of_tables(self) -> str:
        """What all views show alike: hashed once, since the tables may be large."""
        digest = hashlib.sha256()
        for file in self._folder.tables.files():
            digest.update(f"{file.name} {file.stat().st_size}\0".encode())
            if file.suffix == ".csv":  # sealed parts are never written to again
                digest.update(streamed_fingerprint(file).encode())
        digest.update(json.dumps(self._what_reports_show(), sort_keys=True).encode())
        return digest.hexdigest()

    def _fingerprint(self, name: str, tables: str) -> str:
        digest = hashlib.sha256(tables.encode())
        if name != REPORT:
            digest.update(repr((self._config.tracking_uri, self._config.storage, self._config.log_trials)).encode())
        if name == "mlflow" and not self._config.tracking_uri:  # a copy still has its artifacts where it came from
            digest.update(str(self._folder.mlflow_artifacts.resolve()).encode())
        if name == "optuna" and (journal := self._stores[name]) is not None:  # this study's alone, and appended to
            digest.update(str(journal.stat().st_size).encode())
        return digest.hexdigest()
