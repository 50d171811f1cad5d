"""Whole commands: trials an hour of a sweep, against a plain Optuna loop around nn.LSTM with the same protocol."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ablate.plan.config import cores
from ablate.report.style import theme
from benchmarks.measure import markdown, save

TRIALS, EPOCHS = 16, 20
ROOT = Path(__file__).parent.parent


def run(out: Path) -> None:
    all_cores = cores()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for workers in sorted({1, all_cores}):
            rows.append(_time(f"ablate, NP, {workers} worker{'s' * (workers > 1)}", _ablate(Path(folder), workers)))
            rows.append(_time(f"Optuna and nn.LSTM, {workers} thread{'s' * (workers > 1)}", _plain(workers)))
    table = pd.DataFrame(rows)
    table["trials_an_hour"] = TRIALS * 3600 / table["seconds"]
    table.to_csv(out / "sweep.csv", index=False)
    print(f"\nTrials an hour: {TRIALS} trials of up to {EPOCHS} epochs on the embedded chorales, start to report\n")
    shown = table.assign(
        seconds=table["seconds"].map("{:.0f}".format), trials_an_hour=table["trials_an_hour"].map("{:.0f}".format)
    )
    print(markdown(shown))
    save(plot(table), out / "sweep.png")


def _ablate(folder: Path, workers: int) -> list[str]:
    words = ["--variants", "NP", "--tasks", "music", "--trials", str(TRIALS), "--jobs", str(workers)]
    config = folder / "benchmark.toml"
    alone = "controls = 0\nconfirm = 0\n"  # as the loop that it is compared with
    config.write_text(f"results = {str(folder)!r}\n{alone}[training]\nepochs = {EPOCHS}\npatience = {EPOCHS}\n")
    return [str(ROOT / "run_sweep.py"), *words, "--config", str(config), "--study", f"workers-{workers}"]


def _plain(threads: int) -> list[str]:
    return ["-m", "benchmarks.plain", str(TRIALS), str(EPOCHS), str(threads)]


def _time(name: str, words: list[str]) -> dict[str, object]:
    # The threads that this benchmark keeps from itself are the commands' own affair.
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return {"contender": name, "seconds": seconds}


def plot(table: pd.DataFrame) -> Figure:
    with theme():
        figure, axis = plt.subplots(figsize=(3.5, 1.6))
        axis.barh(table["contender"], table["trials_an_hour"])
        axis.invert_yaxis()
        axis.set(xlabel="trials an hour")
    return figure
