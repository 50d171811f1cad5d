"""Tables of one's own as test data, and the command with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablate.data.validation import validate
from ablate.definitions.dataset import Dataset
from ablate.definitions.task import TASKS, TASKS_FROM_DATA, Task


def made(path: Path, **own: Any) -> Task:
    TASKS.load()
    return TASKS_FROM_DATA["own"].make(path, own)


def loaded(path: Path, **own: Any) -> tuple[Task, Dataset]:
    task = made(path, **own)
    assert task.load is not None
    dataset = task.load(path, task.settings, lambda what, done, total: None)
    validate(task, task.settings, dataset)
    return task, dataset


def table(count: int = 20, seed: int = 0) -> pd.DataFrame:
    """Sequences of 3 to 6 frames: `heat` far from 0, `on` of 0 and 1; whether heat has risen since the first frame."""
    generator = np.random.default_rng(seed)
    parts = []
    for number in range(count):
        heat = 300 + 20 * generator.standard_normal(int(generator.integers(3, 7)))
        on = generator.integers(2, size=len(heat))
        on[:2] = 0, 1
        rising = (heat > heat[0]).astype(int)
        split = ("train", "train", "train", "validation", "test")[number % 5]
        parts.append(pd.DataFrame({"sequence": number, "split": split, "heat": heat, "on": on, "target": rising}))
    return pd.concat(parts, ignore_index=True)


def write(frame: pd.DataFrame, path: Path) -> Path:
    """A table as CSV, Parquet or npz."""
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        groups = frame.groupby("sequence", sort=False)
        targets = [name for name in frame if str(name).startswith("target")]
        inputs = [name for name in frame if name not in ("sequence", "split", *targets)]
        values = frame[targets].to_numpy()
        values = values.astype(str) if values.dtype == object else values
        arrays = {"inputs": frame[inputs].to_numpy(float), "targets": values}
        arrays["lengths"] = groups.size().to_numpy()
        if "split" in frame:
            arrays["split"] = groups["split"].first().to_numpy(str)
        np.savez(path, **arrays)
    return path


def learnable(kind: str, count: int = 120) -> pd.DataFrame:
    """Data that a network learns and no constant predicts: what the first frame was."""
    frame = table(count)
    first = frame.groupby("sequence")["heat"].transform("first")
    high = (first > 300).astype(int)
    if kind == "classes":
        return frame.assign(target=high.map({0: "low", 1: "high"}))
    if kind == "bits":
        return frame.drop(columns="target").assign(target_a=high, target_b=1 - frame["on"])
    return frame.assign(target=(first - 300) * 3 + 1000)


def own(path: Path, *options: str, trials: str = "2") -> list[str]:
    return ["--data", f"own={path}", "--variants", "V", "--trials", trials, "--study", "s", *options]


def told(done: Any, words: str, folder: Path) -> None:
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert words in done.stderr, done.stderr
    assert not (folder / "results").exists()
