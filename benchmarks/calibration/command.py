"""`python -m benchmarks calibration`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.calibration import page
from benchmarks.calibration.cells import measure
from benchmarks.calibration.grid import grid

PROCESSES = 2


def run(results: Path, studies: int, to_page: bool) -> None:
    """Measure every cell, and write calibration.csv and, if asked for, the page."""
    measure(grid(studies), PROCESSES).round(5).to_csv(results / page.FILE, index=False)
    if to_page:
        page.write(results)
