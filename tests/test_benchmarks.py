"""The benchmarks run and say what they compare; how fast anything is, is no test's business."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from ablate.cell.trace import Trace
from ablate.definitions.variant import VARIANTS
from ablate.training.parameters import Parameters
from benchmarks import contenders, epoch, instrument, step, sweep, training, trial
from benchmarks.__main__ import main
from benchmarks.measure import geometric_mean, interleave


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


def benchmark(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run `python -m benchmarks` in this process, whose settings of the framework stay as they are."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    monkeypatch.setattr(torch, "set_flush_denormal", lambda flush: True)
    return main()


def test_the_command_writes_table_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "SIZES", (20, 100))
    assert benchmark(monkeypatch, "step", "--variants", "SRN", "--rounds", "1", "--out", str(tmp_path)) == 0
    table = pd.read_csv(tmp_path / "step.csv")
    assert set(table["contender"]) == {"reference", "kernel", "BLAS floor", "framework"}
    assert set(table["hidden_size"]) == {20, 100} and set(table["batch"]) == {1, 16}
    assert (table["microseconds"] > 0).all()
    assert (tmp_path / "step.png").exists()


def test_compiled_parts_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert benchmark(monkeypatch, "parts", "--rounds", "1", "--out", str(tmp_path)) == 0
    table = pd.read_csv(tmp_path / "parts.csv")
    assert set(table["contender"]) == {"compiled", "PyTorch", "NumPy"}
    assert (table["microseconds"] > 0).all()


def test_whole_steps_are_measured_beside_jax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    monkeypatch.setattr(training, "CELLS", ("GRU", "FGR"))
    monkeypatch.setattr(training, "SIZES", (5,))
    assert benchmark(monkeypatch, "training", "--rounds", "1", "--out", str(tmp_path)) == 0
    table = pd.read_csv(tmp_path / "training.csv")
    assert set(table["contender"]) == {
        "bare products",
        "ablate",
        "ablate, with noise",
        "JAX",
        "JAX, 16 trials stacked",
    }
    assert (table["microseconds"] > 0).all()
    ratios = training.ratios(table)
    assert list(ratios["variant"]) == ["GRU", "FGR", "mean"] * 3
    assert ratios.iloc[0]["N = 5"] == ratios.iloc[2]["N = 5"]  # FGR is no part of the mean


def test_trials_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    make = trial.make_plan
    monkeypatch.setattr(
        trial, "make_plan", lambda config: make(replace(config, tasks=("speech",), settings={"speech": {"epochs": 1}}))
    )
    table = trial.measure(rounds=1)
    assert (table["seconds"] > 0).all() and set(table["task"]) == {"speech"}
    assert set(table["contender"]) == {trial.COMPILED, trial.FRAMEWORK, trial.KERNEL, trial.REFERENCE}
    assert list(trial.summary(table)["task"]) == ["speech"]


def test_an_unknown_variant_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark(monkeypatch, "step", "--variants", "nope", "--out", str(tmp_path)) == 2
    said = capsys.readouterr().err
    assert "unknown variant 'nope'" in said and said.count("\n") == 1


def test_the_figure_of_a_step_shows_each_contender_over_the_hidden_size() -> None:
    """A panel for each variant with a peer, its lines the numbers of the table, for one sequence a step."""
    rows = [
        {"variant": variant, "batch": batch, "hidden_size": size, "contender": contender, "microseconds": speed * size}
        for variant in ("V", "NP", "FGR")
        for batch in (1, 16)
        for size in step.SIZES
        for contender, speed in (("kernel", 1.0), ("reference", 30.0 + batch))
    ]
    table = pd.DataFrame(rows)
    table = table.assign(first_quartile=0.9 * table["microseconds"], third_quartile=1.2 * table["microseconds"])
    figure = step.plot(table)
    assert [axis.get_title() for axis in figure.axes] == ["V", "NP"]
    for axis in figure.axes:
        assert (axis.get_xscale(), axis.get_yscale(), axis.get_xlabel()) == ("log", "log", "hidden size")
        shown = {str(bars.get_label()): bars.lines[0].get_xydata() for bars in axis.containers}
        assert shown.keys() == {"kernel", "reference"}
        np.testing.assert_allclose(shown["kernel"], [(size, size) for size in step.SIZES])
        np.testing.assert_allclose(shown["reference"], [(size, 31 * size) for size in step.SIZES])
    (legend,) = figure.legends
    assert [words.get_text() for words in legend.get_texts()] == ["kernel", "reference"]
    plt.close(figure)


def test_the_figures_of_epochs_and_sweeps_show_their_tables() -> None:
    table = pd.DataFrame({"contender": ["a", "a", "b", "b"], "hidden_size": [20, 200] * 2, "seconds": [1.0, 2, 3, 4]})
    figure = epoch.plot(table)
    lines = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}
    assert lines == {"a": [1, 2], "b": [3, 4]}
    plt.close(figure)
    figure = sweep.plot(pd.DataFrame({"contender": ["a", "b"], "seconds": [8.0, 16.0], "trials_an_hour": [200, 100]}))
    assert sorted(bar.get_width() for bar in figure.axes[0].patches) == [100, 200]
    plt.close(figure)


def test_a_short_study_is_measured_by_a_longer_one() -> None:
    """What it finds of the differences of the long one, what of the large ones, and what it reverses."""
    columns = ["task", "set", "variant", "role", "effect", "verdict", "equivalent"]
    same, worse, better = "no significant difference", "worse", "better"
    long = [("a", 2.0, worse), ("b", 0.4, worse), ("c", -1.5, better), ("d", 0.0, same), ("e", 1.2, worse)]
    short = [("a", 1.8, worse), ("b", 0.3, same), ("c", -1.1, better), ("d", 0.9, worse), ("e", -0.8, better)]
    within = [{"d"}, {"b", "d"}]  # of the long one, and of the short one, which is wrong about b
    long, short = ([(*row, row[0] in names) for row in rows] for rows, names in zip((long, short), within, strict=True))
    tables = [
        pd.DataFrame([("music", "all", name, "variant", *rest) for name, *rest in study], columns=columns)
        for study in (short, long)
    ]
    found = instrument.measured(*tables).set_index("question")
    assert found["of"].tolist() == [4, 3, 3, 2] and found["holds"].tolist() == [2, 2, 1, 1]
    first = found.iloc[0]
    assert first["share"] == 0.5 and first["low"] == pytest.approx(0.0676, abs=1e-4)
    assert first["high"] == pytest.approx(0.9324, abs=1e-4)
