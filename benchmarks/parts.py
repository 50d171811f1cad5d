"""Compiled parts of a step beside the layer, against libraries: the loss of labels without alignment, noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import ctc_loss

from ablate.training.ctc import ctc_loss_and_errors
from ablate.training.noise import Noise
from benchmarks.measure import interleave, markdown

# Frames, sequences, classes with the blank, and labels' lengths.
LABELS = ((36, 1, 11, 5), (36, 16, 11, 5), (300, 1, 82, 40), (300, 16, 82, 40))
VALUES = (108, 5_280, 1_000_000)  # of a written digit string, of a piece of music, of a batch of long sequences
Step = Callable[[], object]


def run(out: Path, rounds: int) -> None:
    parts: dict[str, tuple[int, dict[str, Step]]] = {}
    for T, B, K, L in LABELS:
        name = f"loss and derivatives, {B} x {T} frames, {K} classes, labels of {L}"
        parts[name] = (max(4000 // (T * B), 2), {"compiled": _ctc(T, B, K, L), "PyTorch": _framework(T, B, K, L)})
    for size in VALUES:
        steps = {"compiled": _noise(size), "NumPy": _ziggurat(size)}
        parts[f"noise, {size:,} values"] = (max(200_000 // size, 2), steps)
    tables = [interleave(steps, rounds, count).assign(part=name) for name, (count, steps) in parts.items()]
    table = pd.concat(tables).rename(columns={"seconds": "microseconds"})
    table[["microseconds", "first_quartile", "third_quartile"]] *= 1e6
    table.to_csv(out / "parts.csv", index=False)
    print("\nMicroseconds for parts of a step; the compiled loss counts the errors too\n")
    print(markdown(summary(table)))


def _case(T: int, B: int, K: int, L: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    outputs = generator.standard_normal((T, B, K)).astype(np.float32)
    return outputs, generator.integers(0, K - 1, B * L).astype(np.uint8), np.full(B, T), np.full(B, L)


def _ctc(T: int, B: int, K: int, L: int) -> Step:
    outputs, labels, lengths, target_lengths = _case(T, B, K, L)
    return lambda: ctc_loss_and_errors(outputs.copy(), labels, lengths, target_lengths, 1.0)


def _framework(T: int, B: int, K: int, L: int) -> Step:
    outputs, labels, lengths, target_lengths = map(torch.from_numpy, _case(T, B, K, L))
    leaf, labels = outputs.requires_grad_(), labels.long()

    def step() -> None:
        loss = ctc_loss(
            leaf.log_softmax(2), labels, lengths, target_lengths, K - 1, reduction="sum", zero_infinity=True
        )
        torch.autograd.grad(loss, leaf)

    return step


def _noise(size: int) -> Step:
    x, noise = np.zeros(size, np.float32), Noise(np.array([1, 2], np.uint32), 0.3)
    return lambda: noise.add_to(x)


def _ziggurat(size: int) -> Step:
    x, generator = np.zeros(size, np.float32), np.random.default_rng(0)

    def step() -> None:
        drawn = generator.standard_normal(size, dtype=np.float32)
        drawn *= np.float32(0.3)
        np.add(x, drawn, out=x)

    return step


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Microseconds by part, and how many times as fast the compiled one is."""
    rows = []
    for part, own in table.groupby("part", sort=False):
        times = own.set_index("contender")["microseconds"]
        (peer,) = times.index.difference(["compiled"])
        ratio = times[peer] / times["compiled"]
        rows.append(
            {"part": part, "compiled": f"{times['compiled']:.1f}", "peer": f"{times[peer]:.1f} ({peer})"}
            | {"times as fast": f"{ratio:.1f}"}
        )
    return pd.DataFrame(rows)
