"""The trackers of a study, each fed by a thread of its own, so that a slow server never holds up a trial."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ablate.credentials import masked
from ablate.plan.config import Config
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import Curve
from ablate.trackers.tracker import Row, Tracker, tracker_module, tracker_names

PrintLine = Callable[[str], None]
PATIENCE = 120.0  # seconds for which a tracker may write nothing at the end of a sweep
FAREWELL = 1.0  # seconds that it has after Ctrl-C


class BackgroundTrackers:
    """All trackers of a study, as one tracker that never waits long and never fails.

    Args:
        config: where their stores are.
        print_line: prints a line.
        names: of the trackers; all if None.
    """

    def __init__(
        self, folder: StudyFolder, config: Config, print_line: PrintLine, names: Sequence[str] | None = None
    ) -> None:
        names = tracker_names() if names is None else names
        self._threads = [_TrackerThread(name, folder, config, print_line) for name in names]

    def repair(self, trials: Iterable[tuple[Row, Curve]]) -> None:
        """As `Tracker.repair`."""
        for thread in self._threads:
            thread.do(lambda tracker, thread=thread: tracker.repair(_Watched(trials, thread)))

    def add(self, trial: Row, curve: Curve) -> None:
        """As `Tracker.add`."""
        for thread in self._threads:
            thread.do(lambda tracker: tracker.add(trial, curve))

    def close(self, report: Path) -> list[str]:
        """As `Tracker.close`; waits until all is written, and gives the names of the trackers of which that is true.

        One that writes nothing for PATIENCE seconds is left alone, as one on a server that has stopped to answer.
        """
        for thread in self._threads:
            thread.do(lambda tracker: tracker.close(report))
            thread.do(None)
        return [thread.tracker_name for thread in self._threads if thread.finish()]

    def interrupt(self) -> None:
        """End at once: what has not been written is left to the next start. Nothing is printed any more."""
        for thread in self._threads:
            thread.silent = True
            if thread.waits():  # so that the runs of its trials end with the sweep
                thread.do(lambda tracker: tracker.close(None))
                thread.do(None)
            else:
                thread.stopped = True
        end = time.monotonic() + FAREWELL
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
            thread.stopped = True


class _StoppedError(Exception):
    """The thread was told to end."""


class _TrackerThread(threading.Thread):
    """Does one tracker's work in order; the first error ends it, and is told once."""

    def __init__(self, name: str, folder: StudyFolder, config: Config, print_line: PrintLine) -> None:
        super().__init__(name=f"tracker {name}", daemon=True)
        self.tracker_name = name
        self._folder, self._config, self._print_line = folder, config, print_line
        self.silent = self.stopped = False
        self._written = False  # all that there was to write
        self._steps = 0
        self._work: queue.SimpleQueue[Callable[[Tracker], object] | None] = queue.SimpleQueue()
        self.start()

    def do(self, work: Callable[[Tracker], object] | None) -> None:
        """Do this after all that was asked for before; None is the end."""
        self._work.put(work)

    def waits(self) -> bool:
        """Whether it has written all that there was, save perhaps what it writes now."""
        return self._work.empty()

    def step(self) -> None:
        """Say that something has been written.

        Raises:
            _StoppedError: it is to end.
        """
        self._steps += 1
        if self.stopped:
            raise _StoppedError

    def finish(self) -> bool:
        """Wait until all work is done, or nothing has been for PATIENCE seconds; whether all is written."""
        steps, since = self._steps, time.monotonic()
        while self.is_alive():
            self.join(0.1)
            if self._steps != steps:
                steps, since = self._steps, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                self.stopped = True
                self._say(f"the {self.tracker_name} tracker has not answered for {PATIENCE:.0f} s, and {_LATER}")
                self.silent = True
                return False
        return self._written

    def run(self) -> None:
        try:
            # Imported here, since the libraries behind trackers are slow to import.
            tracker = tracker_module(self.tracker_name).open_tracker(self._folder, self._config, self._say)
            while (work := self._work.get()) is not None:
                self.step()
                work(tracker)
            self._written = True
        except _StoppedError:
            pass
        except Exception as error:  # whatever goes wrong with a tracker, the tables have everything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            self._say(f"the {self.tracker_name} tracker cannot be written, and {_LATER} ({reason})")

    def _say(self, text: str) -> None:
        if not self.silent:
            self._print_line(masked(text))


_LATER = "the sweep goes on without it; the same command, or --report-only, writes what it lacks"


class _Watched(Iterable[tuple[Row, Curve]]):
    """Trials that tell a thread whenever one of them is taken."""

    def __init__(self, trials: Iterable[tuple[Row, Curve]], thread: _TrackerThread) -> None:
        self._trials, self._thread = trials, thread

    def __iter__(self) -> Iterator[tuple[Row, Curve]]:
        for trial in self._trials:
            self._thread.step()
            yield trial
