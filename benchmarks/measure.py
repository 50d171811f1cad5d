"""Timing of contenders side by side, and what is said about it."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ablate.plan.config import cores
from ablate.storage.metadata import processor


def interleave(contenders: Mapping[str, Callable[[], object]], rounds: int, steps: int = 3) -> pd.DataFrame:
    """Time contenders in turn, round by round, so that a machine that is shared slows all of them alike.

    In its turn a contender runs once unmeasured, which brings its data back into the caches, and `steps` times
    measured. Returns for each the median over the rounds, in seconds a run, with the quartiles.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            if steps > 1:
                run()
            start = time.perf_counter()
            for _ in range(steps):
                run()
            seconds[name].append((time.perf_counter() - start) / steps)
    rows = []
    for name, times in seconds.items():
        low, median, high = np.quantile(times, [0.25, 0.5, 0.75])
        rows.append({"contender": name, "seconds": median, "first_quartile": low, "third_quartile": high})
    return pd.DataFrame(rows)


def geometric_mean(ratios: Any) -> float:
    """Of a column of ratios."""
    return float(np.exp(np.log(ratios).mean()))


def markdown(table: pd.DataFrame) -> str:
    """A table of texts, as Markdown."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def save(figure: Figure, file: Path) -> None:
    """Write a figure, and close it."""
    figure.savefig(file, bbox_inches="tight")
    plt.close(figure)


def machine() -> str:
    """One line on what the numbers were taken with."""
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "numba", "numpy"))
    return f"{processor()}, {cores()} cores, one thread; Python {platform.python_version()}, {versions}"
