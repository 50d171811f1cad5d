"""What a tracker is: it shows a study's trials in another tool, and is made from the study's tables at any time."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from ablate.plan.config import Config
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import Curve

# Of replicates.csv, or of trials.csv with purpose "search" and replicate 0; plain values, None for what is empty.
Row = dict[str, Any]


class Tracker(Protocol):
    """Holds what the study's tables hold, and nothing that another study made; it may leave out all replicates.

    `ablate.testing.trackers` holds the tests that every tracker passes.
    """

    def repair(self, trials: Iterable[tuple[Row, Curve]]) -> None:
        """Make the tracker hold these trials and no others: add what is missing, mend what is half-written or old.

        Args:
            trials: in any order; they can be gone through several times, each time from the disk.
        """
        ...

    def add(self, trial: Row, curve: Curve) -> None:
        """Add an ended trial; one that is there already is left alone, and one that has been run again is replaced."""
        ...

    def close(self, report: Path | None) -> None:
        """Write what is left to write.

        Args:
            report: the folder of the study's report; None if the sweep was interrupted.
        """
        ...


class TrackerModule(Protocol):
    """A file `ablate/trackers/<name>_tracker.py`. It may import what is slow: it is imported in a thread of its own."""

    def open_tracker(self, folder: StudyFolder, config: Config, print_line: Callable[[str], None]) -> Tracker:
        """Open the tracker of a study.

        Args:
            config: where the tracker's store is.
            print_line: prints a line for the user.
        """
        ...


def tracker_names() -> list[str]:
    """Every tracker that there is."""
    package = import_module("ablate.trackers")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return sorted(name.removesuffix("_tracker") for name in names if name.endswith("_tracker"))


def tracker_module(name: str) -> ModuleType:
    """The module of a tracker."""
    return import_module(f"ablate.trackers.{name}_tracker")
