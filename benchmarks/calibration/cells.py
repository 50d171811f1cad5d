"""The cells of the calibration: which procedure is tried under which law, how large the studies are, and the runs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import pandas as pd
from scipy import special

from ablate.statistics.levels import ALPHA
from benchmarks.calibration.laws import Study, draw
from benchmarks.calibration.procedures import DISCOVERIES, PROCEDURES, Outcomes
from benchmarks.calibration.tables import TABLES

COLUMNS = {
    "procedure": "which trials are compared, and how",
    "law": "what scores are drawn from",
    "shifted": "which variants truly differ from the reference, in standard deviations; empty where none does",
    "design": "`paired` draws, or `independent` ones",
    "n": "trials of each variant; of the reference, where settings are trained anew",
    "variants": "of a study, the reference among them",
    "studies": "that were simulated and in which the quantity exists",
    "quantity": "what was counted",
    "value": "the share of studies; a false discovery rate is a mean of shares",
    "low": "lower end of its 95 % interval: Clopper and Pearson's, or Student's for a mean of shares",
    "high": "its upper end",
}
_AT_ONCE = 800  # samples that are flipped together, which bounds the memory


@dataclass(frozen=True)
class Cell:
    """One procedure under one law, in studies of one size."""

    procedure: str
    law: str
    n: int
    variants: int
    studies: int
    paired: bool = True
    shift: float = 0.0  # of the first variants, in standard deviations
    shifted: int = 0  # how many
    tasks: int = 1

    @property
    def truth(self) -> str:
        """Which variants differ, in words."""
        return f"{self.shifted} of {self.variants - 1} by {self.shift:g}" if self.shifted else ""

    @property
    def work(self) -> float:
        """About how long the cell takes, in no unit."""
        return self.studies * self.variants * self.n * (100 if self.procedure in TABLES else 1)


def measure(cells: Iterable[Cell], processes: int = 1) -> pd.DataFrame:
    """A row for each cell and quantity; the same rows in any number of processes."""
    cells = list(cells)
    order = sorted(range(len(cells)), key=lambda k: -cells[k].work)
    found: dict[int, list[dict[str, object]]] = {}
    start = time.monotonic()
    for done, (k, rows) in enumerate(zip(order, _measured([cells[k] for k in order], processes), strict=True), 1):
        found[k] = rows
        if processes > 1:
            print(f"{done}/{len(cells)} {time.monotonic() - start:.0f} s {cells[k]}", flush=True)
    return pd.DataFrame([row for k in range(len(cells)) for row in found[k]], columns=list(COLUMNS))


def _measured(cells: list[Cell], processes: int) -> Iterator[list[dict[str, object]]]:
    if processes == 1:
        yield from map(rows_of, cells)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(rows_of, cells)


def rows_of(cell: Cell) -> list[dict[str, object]]:
    """Simulate the studies of a cell, and count."""
    outcomes: dict[str, list[float]] = defaultdict(list)
    for one in _outcomes(cell):
        for name, value in one.items():
            if not np.isnan(value):
                outcomes[name].append(value)
    known = {
        "procedure": cell.procedure,
        "law": cell.law,
        "shifted": cell.truth,
        "design": "paired" if cell.paired else "independent",
        "n": cell.n,
        "variants": cell.variants,
    }
    rows = []
    for name, values in outcomes.items():
        low, high = _mean_of_shares(values) if name == DISCOVERIES and cell.shifted else share(values)
        counted = {"studies": len(values), "quantity": name, "value": float(np.mean(values))}
        rows.append({**known, **counted, "low": low, "high": high})
    return rows


def _outcomes(cell: Cell) -> Iterator[Outcomes]:
    seed = int.from_bytes(repr((cell.law, cell.n, cell.variants, cell.paired, cell.shift, cell.shifted)).encode())
    rng = np.random.default_rng(seed)  # procedures are compared on the same studies
    shifts = np.zeros(cell.variants)
    shifts[1 : 1 + cell.shifted] = cell.shift
    at_once = max(1, _AT_ONCE // cell.variants)
    for first in range(0, cell.studies, at_once):
        studies = [_tasks(rng, cell, shifts) for _ in range(min(at_once, cell.studies - first))]
        if cell.procedure in TABLES:
            yield from map(TABLES[cell.procedure], studies)
        else:
            yield from PROCEDURES[cell.procedure]([task for (task,) in studies])


def _tasks(rng: np.random.Generator, cell: Cell, shifts: np.ndarray) -> list[Study]:
    return [draw(rng, cell.law, cell.variants, cell.n, cell.paired, shifts) for _ in range(cell.tasks)]


def share(values: list[float]) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share."""
    n, x = len(values), sum(values)
    low = float(special.betaincinv(x, n - x + 1, ALPHA / 2)) if x > 0 else 0.0
    high = float(special.betaincinv(x + 1, n - x, 1 - ALPHA / 2)) if x < n else 1.0
    return low, high


def _mean_of_shares(values: list[float]) -> tuple[float, float]:
    mean, half = float(np.mean(values)), 1.96 * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return max(0.0, mean - half), min(1.0, mean + half)
