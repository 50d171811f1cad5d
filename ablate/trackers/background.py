"""The trackers of a study, each fed by a thread of its own, so that a slow server never holds up a trial."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ablate.credentials import masked
from ablate.plan.config import Config
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import Curve
from ablate.trackers.tracker import Row, Tracker, tracker_module, tracker_names

PrintLine = Callable[[str], None]


class BackgroundTrackers:
    """All trackers of a study, as one tracker that never waits and never fails.

    Args:
        config: where their stores are.
        print_line: prints a line.
    """

    def __init__(self, folder: StudyFolder, config: Config, print_line: PrintLine) -> None:
        self._threads = [_TrackerThread(name, folder, config, print_line) for name in tracker_names()]

    def repair(self, trials: Sequence[tuple[Row, Curve]]) -> None:
        """As `Tracker.repair`."""
        for thread in self._threads:
            thread.do(lambda tracker: tracker.repair(trials))

    def add(self, trial: Row, curve: Curve) -> None:
        """As `Tracker.add`."""
        for thread in self._threads:
            thread.do(lambda tracker: tracker.add(trial, curve))

    def silence(self) -> None:
        """Print nothing more: the command has had its last word."""
        for thread in self._threads:
            thread.silent = True

    def close(self, report: Path | None) -> None:
        """As `Tracker.close`; waits until all is written."""
        for thread in self._threads:
            thread.do(lambda tracker: tracker.close(report))
        for thread in self._threads:
            thread.finish()


class _TrackerThread(threading.Thread):
    """Does one tracker's work in order; the first error ends it, and is told once."""

    def __init__(self, name: str, folder: StudyFolder, config: Config, print_line: PrintLine) -> None:
        super().__init__(name=f"tracker {name}", daemon=True)
        self._tracker_name, self._folder, self._config, self._print_line = name, folder, config, print_line
        self.silent = False
        self._work: queue.SimpleQueue[Callable[[Tracker], None] | None] = queue.SimpleQueue()
        self.start()

    def do(self, work: Callable[[Tracker], None]) -> None:
        self._work.put(work)

    def finish(self) -> None:
        """Wait until all work is done."""
        self._work.put(None)
        self.join()

    def run(self) -> None:
        try:
            # Imported here, since the libraries behind trackers are slow to import.
            tracker = tracker_module(self._tracker_name).open_tracker(self._folder, self._config, self._say)
            while (work := self._work.get()) is not None:
                work(tracker)
        except Exception as error:  # whatever goes wrong with a tracker, the tables have everything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            self._say(
                f"the {self._tracker_name} tracker cannot be written, and the sweep goes on without it; "
                f"--report-only rebuilds it from the tables later ({reason})"
            )

    def _say(self, text: str) -> None:
        if not self.silent:
            self._print_line(masked(text))
