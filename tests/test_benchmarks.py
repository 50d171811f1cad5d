"""The benchmarks run and say what they compare; how fast anything is, is no test's business."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from ablate.cell.trace import Trace
from ablate.definitions.variant import VARIANTS
from ablate.training.parameters import Parameters
from benchmarks import contenders
from benchmarks.measure import geometric_mean, interleave
from tests.conftest import ROOT


def test_contenders_take_turns() -> None:
    turns: list[str] = []
    table = interleave({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, rounds=3, steps=1)
    assert turns == ["a", "b"] * 3
    assert (table["first_quartile"] <= table["seconds"]).all() and (table["seconds"] <= table["third_quartile"]).all()
    assert geometric_mean(pd.Series([2.0, 8.0])) == 4


def test_contenders_do_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of the kernel and one of the reference change the same weights alike."""
    made: list[Parameters] = []
    draw = contenders._parameters

    def remember(trace: Trace, M: int, N: int) -> Parameters:
        torch.manual_seed(0)
        made.append(draw(trace, M, N))
        return made[-1]

    monkeypatch.setattr(contenders, "_parameters", remember)
    x, weighting = torch.randn(6, 2, 5), torch.randn(6, 2, 3)
    changes = []
    for contender in (contenders._kernel, contenders._reference):
        step = contender(VARIANTS["NP"], x, weighting, 3)
        before = made[-1].flat.clone()
        for _ in range(3):
            step()
        changes.append(made[-1].flat.detach() - before)
    assert changes[0].abs().max() > 0
    torch.testing.assert_close(changes[0], changes[1], rtol=1e-2, atol=1e-8)


def test_the_command_writes_table_and_figure(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "step", "--variants", "SRN", "--rounds", "1", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "step.csv")
    assert set(table["contender"]) == {"reference", "kernel", "BLAS floor", "framework"}
    assert set(table["hidden_size"]) == {20, 50, 100, 200} and set(table["batch"]) == {1, 16}
    assert (table["microseconds"] > 0).all()
    assert (tmp_path / "step.png").stat().st_size > 10_000
    wrong = subprocess.run(
        [sys.executable, "-m", "benchmarks", "step", "--variants", "nope"], cwd=ROOT, capture_output=True, text=True
    )
    assert wrong.returncode == 2 and "unknown variant 'nope'" in wrong.stderr and "Traceback" not in wrong.stderr
