"""The loss of labels without alignment, with its derivatives and the best paths' edits, against the framework's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import ctc_loss

from ablate.training.ctc import ctc_loss_and_errors
from benchmarks.measure import interleave, markdown

# Frames, sequences, classes with the blank, and labels' lengths.
SIZES = ((36, 1, 11, 5), (36, 16, 11, 5), (300, 1, 82, 40), (300, 16, 82, 40))


def run(out: Path, rounds: int) -> None:
    table = pd.concat([_times(*size, rounds) for size in SIZES])
    table.to_csv(out / "losses.csv", index=False)
    print("\nMicroseconds for loss, derivatives and edits of labels without alignment\n")
    print(markdown(summary(table)))


def _times(T: int, B: int, K: int, L: int, rounds: int) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    outputs = generator.standard_normal((T, B, K)).astype(np.float32)
    labels = generator.integers(0, K - 1, B * L).astype(np.uint8)
    lengths, target_lengths = np.full(B, T), np.full(B, L)

    def compiled() -> None:
        ctc_loss_and_errors(outputs.copy(), labels, lengths, target_lengths, 1.0)

    contenders: dict[str, Callable[[], None]] = {
        "compiled": compiled,
        "framework": _framework(outputs, labels, lengths, target_lengths),
    }
    table = interleave(contenders, rounds, steps=max(2000 // (T * B), 1) + 1)
    for column in ("seconds", "first_quartile", "third_quartile"):
        table[column] *= 1e6
    table = table.rename(columns={"seconds": "microseconds"})
    return table.assign(frames=T, batch=B, classes=K, label=L)


def _framework(outputs: np.ndarray, labels: np.ndarray, lengths: np.ndarray, counts: np.ndarray) -> Callable[[], None]:
    leaf = torch.from_numpy(outputs).requires_grad_()
    label = torch.from_numpy(labels.astype(np.int64))
    ends, blank = (torch.from_numpy(lengths), torch.from_numpy(counts)), outputs.shape[2] - 1

    def step() -> None:  # its edits are left out
        loss = ctc_loss(leaf.log_softmax(2), label, *ends, blank, reduction="sum", zero_infinity=True)
        torch.autograd.grad(loss, leaf)

    return step


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Microseconds a batch by size, and how many times as fast the compiled loss is."""
    sizes = ["frames", "batch", "classes", "label"]
    times = table.pivot(index=sizes, columns="contender", values="microseconds")
    times["times as fast"] = times["framework"] / times["compiled"]
    return times.round(1).reset_index()
