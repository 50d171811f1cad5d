"""How a study grows: planning, storing, resuming and reporting at 82, 5,412 and 100,040 trials of 90 epochs.

The first index of the study is trained, on tiny data; the others are its rows again with scores and learning rates of
their own, in the files that a sweep would have written. The commands are real ones, each a process of its own, whose
largest memory is measured.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ablate.plan.config_file import load_config
from ablate.plan.study_plan import make_plan
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import StudyTables
from ablate.storage.views import REPORT, Views
from ablate.trackers.tracker import tracker_names
from benchmarks.measure import machine, markdown

ROOT = Path(__file__).parents[1]
INDICES = (1, 66, 1220)  # of 41 variants on two tasks
ADDED = 200  # trials that are stored one by one, to time it
BLOCK = 11_000  # trials that are written at once: a million rows of curves, which is a part
COLUMNS = {  # of the CSV file: what it is, and how it is shown
    "planned_seconds": ("planning all trials, seconds", "{:.2f}"),
    "stored_milliseconds": ("storing one trial, milliseconds", "{:.1f}"),
    "resumed_seconds": ("the command again, with nothing to do, seconds", "{:.1f}"),
    "resumed_gigabytes": ("its memory, GB", "{:.2f}"),
    "report_seconds": ("report without importance, seconds", "{:.0f}"),
    "report_gigabytes": ("its memory, GB", "{:.2f}"),
    "status_seconds": ("`--status`, seconds", "{:.1f}"),
}
CONFIG = """
study = "s"
variants = ["all"]
tasks = ["adding", "temporal-order"]
log_trials = "best"
controls = 0
confirm = 0
[training]
epochs = 90
patience = 90
batch_size = 20
[search]
hidden_size = 3
learning_rate = { low = 1e-4, high = 1e-1, scale = "log" }
[settings.adding]
length = 4
train = 20
validation = 10
test = 10
[settings.temporal-order]
length = 12
train = 20
validation = 10
test = 10
"""


def run(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = pd.DataFrame(measured(Path(folder)))
    table.to_csv(out / "scale.csv", index=False)
    (out / "scale.machine.txt").write_text(machine() + "\n", encoding="utf-8")
    print("\nA study of 41 variants on two tasks, 90 epochs a trial\n")
    print(text(out))


def text(results: Path) -> str:
    """The measured table, a column for each size of the study, with the machine."""
    table = pd.read_csv(results / "scale.csv")
    rows = [[what, *map(form.format, table[name])] for name, (what, form) in COLUMNS.items()]
    shown = pd.DataFrame(rows, columns=["", *(f"{n:,} trials" for n in table["trials"])])
    where = (results / "scale.machine.txt").read_text(encoding="utf-8").strip()
    return f"{markdown(shown)}\n\nMeasured on {where}."


def measured(folder: Path) -> list[dict[str, float]]:
    """A row for each size of the study."""
    config = folder / "config.toml"
    config.write_text(CONFIG, encoding="utf-8")
    words = ["--config", str(config), "--results", str(folder / "results")]
    sweep(folder, *words, "--trials", "1")
    shutil.copytree(folder / "results", folder / "one")
    rows = []
    for indices in INDICES:
        shutil.rmtree(folder / "results")
        shutil.copytree(folder / "one", folder / "results")
        study = StudyFolder(folder / "results", "s")
        began = time.perf_counter()
        trials = make_plan(load_config(config, {"trials": indices})).trials()
        row: dict[str, float] = {"trials": len(trials), "planned_seconds": time.perf_counter() - began}
        grow(study.tables, study.path, indices)
        study.tables.compact()  # as the end of a sweep does
        row["stored_milliseconds"] = 1000 * store(study.tables, folder / "stored") / ADDED
        asked = [*words, "--trials", str(indices)]
        study.open(replace(study.config(), trials=indices), fresh=False)
        configuration = study.config().to_toml()
        study.write_metadata({**study.metadata(), "expected": indices, "configuration": configuration})
        row["report_seconds"], row["report_gigabytes"] = report(folder)
        Views(study, study.config()).mark([REPORT, *tracker_names()])  # which are measured by `start`
        row["resumed_seconds"], row["resumed_gigabytes"] = sweep(folder, *asked)
        row["status_seconds"], _ = sweep(folder, "--results", str(folder / "results"), "--status", "s")
        print(row, flush=True)
        rows.append(row)
    return rows


def grow(tables: StudyTables, folder: Path, indices: int) -> None:
    """Give a study of one index as many as these."""
    trials, curves = tables.trials(), tables.curves()
    rng = np.random.default_rng(0)
    per_index = len(trials)
    parts: list[pd.DataFrame] = [trials]
    for number, first in enumerate(range(1, indices, BLOCK // per_index)):
        block = range(first, min(first + BLOCK // per_index, indices))
        copies = pd.concat([trials.assign(index=index) for index in block], ignore_index=True)
        noise = rng.normal(1.0, 0.05, len(copies))
        copies["learning_rate"] = 10 ** rng.uniform(-4, -1, len(copies))
        for score in ("validation", "test"):
            copies[score] *= noise
        parts.append(copies)
        (folder / "curves").mkdir(exist_ok=True)
        rows = pd.concat([curves.assign(index=index) for index in block], ignore_index=True)
        rows.to_parquet(folder / "curves" / f"part-{number:05d}.parquet", index=False)
    pd.concat(parts, ignore_index=True).to_csv(folder / "trials.csv", index=False)


def store(tables: StudyTables, folder: Path) -> float:
    """Seconds in which trials are stored one by one beside a study, as a sweep does as they end."""
    folder.mkdir(exist_ok=True)
    own, curve = StudyTables(folder), [(epoch, 1.5, 2.5) for epoch in range(1, 91)]
    row = tables.trial_rows()[0]
    began = time.perf_counter()
    for _ in range(ADDED):
        own.add(row, curve)
    return time.perf_counter() - began


def report(folder: Path) -> tuple[float, float]:
    """The report alone, without importance and without trackers."""
    code = (
        "from pathlib import Path; from ablate.storage.folder import StudyFolder; "
        "from ablate.execution.sweep import report_study; "
        f"report_study(StudyFolder(Path({str(folder / 'results')!r}), 's'), 2, lambda *_: None)"
    )
    return process(folder, [sys.executable, "-c", code])


def sweep(folder: Path, *words: str) -> tuple[float, float]:
    return process(folder, [sys.executable, str(ROOT / "run_sweep.py"), *words])


def process(folder: Path, command: list[str]) -> tuple[float, float]:
    """Seconds, and the gigabytes that the process, or one of its workers, had at most."""
    began = time.perf_counter()
    # A process counts what the one that started it had, so that a small one stands between.
    done = subprocess.run([sys.executable, "-c", BETWEEN, *command], cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(done.stderr)
    return seconds, float(done.stdout.split()[-1]) / 1e6


BETWEEN = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""
