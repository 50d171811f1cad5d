"""The heartbeat of a sweep: a small file in its study's folder that says, from any machine, that it is alive."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ablate.storage.folder import StudyFolder, write_text

EVERY = 10.0  # seconds
LATE = 6 * EVERY  # seconds without a beat, after which a sweep counts as dead; the clocks of two machines may differ


@dataclass(frozen=True)
class Beat:
    """What a sweep last said of itself."""

    host: str
    pid: int
    workers: int  # that are alive
    since: float  # when it began to train, in seconds of the clock
    at: float  # when it said so
    ended: int  # trials since then

    @property
    def alive(self) -> bool:
        """Whether it runs still, as far as can be seen from here."""
        if self.host == socket.gethostname():
            return Path(f"/proc/{self.pid}").exists() if Path("/proc/self").exists() else self.age < LATE
        return self.age < LATE

    @property
    def age(self) -> float:
        """Seconds since it said so."""
        return max(0.0, time.time() - self.at)

    @property
    def rate(self) -> float:
        """Trials in a second; 0 as long as none has ended."""
        return self.ended / max(self.at - self.since, 1e-9)


class Heartbeat:
    """Writes the beats of this process while it is used as a context, and takes the file away at its end.

    Args:
        workers: how many of them are alive.
    """

    def __init__(self, folder: StudyFolder, workers: Callable[[], int]) -> None:
        self._file, self._workers = _file(folder), workers
        self._since, self._ended = time.time(), 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(EVERY)
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def add(self) -> None:
        """Count a trial that has ended."""
        self._ended += 1

    def _run(self) -> None:
        while True:
            try:
                workers = self._workers()
            except Exception:  # a cluster that has gone, which the sweep itself tells
                workers = 0
            beat = Beat(socket.gethostname(), os.getpid(), workers, self._since, time.time(), self._ended)
            with contextlib.suppress(OSError):  # the tables tell of a full disk
                write_text(self._file, json.dumps(asdict(beat)))
            if self._over.wait(EVERY):
                return


def last_beat(folder: StudyFolder) -> Beat | None:
    """What the sweep of a study, or of a shard, last said; None if it has ended in order, or has not begun."""
    try:
        found = json.loads(_file(folder).read_text(encoding="utf-8"))
        return Beat(**{each.name: found[each.name] for each in fields(Beat)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(folder: StudyFolder) -> Path:
    return folder.path / ".running.json"
