"""The trial store and MLflow: views of a study's tables, brought up to them and then fed as trials finish."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ablate.plan.config import Config
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import Curve

Row = dict[str, Any]


class Tracker(Protocol):
    """What takes finished trials; one that it holds already is left alone."""

    def add(self, row: Row, curve: Curve) -> None: ...


class Trackers:
    """The study's views, each fed from a thread of its own.

    Args:
        config: where they are.
        fresh: whether the study has just replaced one of the same name.
        tell: prints a line.
    """

    def __init__(self, folder: StudyFolder, config: Config, fresh: bool, tell: Callable[[str], None]) -> None:
        kept, metadata = folder.tables.rows(), folder.metadata()
        storage = config.storage or folder.journal_file
        uri = config.tracking_uri or folder.mlflow_uri

        # These libraries are slow to import, so that each thread does it for itself.
        def open_store() -> Tracker:
            from ablate.trackers.optuna_tracker import OptunaTracker

            directions = {name: task["direction"] for name, task in metadata["tasks"].items()}
            store = OptunaTracker(folder.name, storage, config.search, directions)
            if fresh:
                store.forget()
            return store

        def open_tracking() -> Tracker:
            from ablate.trackers.mlflow_tracker import MlflowTracker

            return MlflowTracker(uri, folder.name, metadata["id"], folder.mlflow_artifacts, metadata)

        self._store = _Feed(f"the Optuna storage {storage}", open_store, kept, tell)
        self._tracking = _Feed(f"the MLflow store {uri}", open_tracking, kept, tell)

    def add(self, row: Row, curve: Curve) -> None:
        self._store.add(row, curve)
        self._tracking.add(row, curve)

    def finish(self, report: Path | None) -> None:
        """Wait until all is written, and log the report's folder; None if the sweep was interrupted."""
        self._store.finish(lambda store: None)
        self._tracking.finish(lambda tracking: tracking.finish(report))


class _Feed(threading.Thread):
    """Feeds one view, so that a slow server never holds up a trial; its first error ends it and is told once."""

    def __init__(
        self, name: str, make: Callable[[], Tracker], kept: list[tuple[Row, Curve]], tell: Callable[[str], None]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._make, self._tell = make, tell
        self._items: queue.SimpleQueue[tuple[Row, Curve] | None] = queue.SimpleQueue()
        self._last: Callable[[Any], None] = lambda view: None
        for row, curve in kept:
            self.add(row, curve)
        self.start()

    def add(self, row: Row, curve: Curve) -> None:
        self._items.put((row, curve))

    def finish(self, last: Callable[[Any], None]) -> None:
        """Wait until every trial is written, and do one last thing with the view."""
        self._last = last
        self._items.put(None)
        self.join()

    def run(self) -> None:
        try:
            view = self._make()
            while (item := self._items.get()) is not None:
                view.add(*item)
            self._last(view)
        except Exception as error:  # whatever goes wrong with a view, the tables have everything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            self._tell(
                f"{self.name} cannot be written, and the sweep goes on without it; "
                f"--report-only rebuilds it from the tables later ({reason})"
            )
