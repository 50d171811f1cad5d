"""Synthetic studies: trials and curves shaped like those of a random search, for the tests of analysis and report."""

from __future__ import annotations

import numpy as np
import pandas as pd

GREFF = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR", "SRN", "GRU")
SHIFT = {"NFG": 0.35, "NOAF": 0.3, "SRN": 0.8, "FGR": 0.05, "NIAF": -0.04, "GRU": -0.1}
BASELINE = 11.9
EPOCHS = 30


def study(
    tasks: tuple[str, ...] = ("jsb",), variants: tuple[str, ...] = GREFF, n: int = 6, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials and curves: a usable band of learning rates, some nets untrained, some diverged."""
    rng = np.random.default_rng(seed)
    rows, epochs = [], []
    for k, task in enumerate(tasks):
        for index in range(n):
            size, rate = int(20 * 10 ** rng.uniform()), 10 ** rng.uniform(-6, -2)
            momentum, noise = 1 - 10 ** rng.uniform(-2, 0), rng.uniform()
            for variant in variants:
                slow = max(0.0, -3.3 - np.log10(rate)) ** 2.5
                score = 8.4 + 0.4 * k + SHIFT.get(variant, 0.0) + slow + 25 / size * 0.2 + 0.3 * noise
                score = min(score + rng.gamma(2, 0.08), 61.0)
                diverged = rate > 6e-3 and rng.uniform() < (0.8 if variant == "SRN" else 0.3)
                failed = not diverged and rng.uniform() < 0.01
                key = {"task": task, "variant": variant, "index": index}
                row = {**key, "state": "diverged" if diverged else "failed" if failed else "completed"}
                row |= {"hidden_size": size, "learning_rate": rate, "momentum": momentum, "input_noise": noise}
                row |= {"validation": np.nan, "test": np.nan, "best_epoch": np.nan, "epochs": EPOCHS}
                gates = {"FGR": 7, "SRN": 1, "GRU": 3, "CIFG": 3, "NIG": 3, "NFG": 3, "NOG": 3}.get(variant, 4)
                row |= {"parameters": gates * size * (88 + size + 1) + 88 * (size + 1)}
                row |= {"seconds": 4 + size / 20 + rng.uniform(), "reason": "ValueError: no data" if failed else None}
                if row["state"] == "completed":
                    row |= {"validation": score - 0.1 + rng.normal(0, 0.03), "test": score}
                    t = np.arange(1, EPOCHS + 1)
                    course = row["validation"] + (61 - row["validation"]) * np.exp(-t / 2) + 0.01 * np.abs(t - 24)
                    row["best_epoch"] = int(t[course.argmin()])
                    for epoch, value in zip(t, course, strict=True):
                        epochs.append({**key, "epoch": epoch, "train": value - 0.3, "validation": value})
                rows.append(row)
    columns = ["task", "variant", "index", "epoch", "train", "validation"]
    return pd.DataFrame(rows), pd.DataFrame(epochs, columns=columns)
