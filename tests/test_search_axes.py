"""What a search can draw beside Greff's four hyperparameters, how, and how weights start."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from ablate.cell.backend import make_layer
from ablate.cell.initial import LongestMemory
from ablate.data.load import trial_data
from ablate.definitions.variant import VARIANTS
from ablate.errors import UserError
from ablate.execution.trial_runner import TrialRunner
from ablate.plan.config_file import load_config
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.study_plan import StudyPlan, make_plan
from ablate.plan.training_config import TrainingConfig
from ablate.storage.tables import StudyTables
from ablate.training import trial
from ablate.training.network import Network
from ablate.training.trial import make_network
from tests.conftest import Command
from tests.faults import assert_optuna_is_equal_to_the_tables

SMALL: dict[str, Any] = {
    "variants": ("V",),
    "tasks": ("parity",),
    "training": {"epochs": 2},
    "search": {"hidden_size": {"low": 4, "high": 8}, "learning_rate": {"low": 1e-3, "high": 1e-1}},
    "backend": "reference",
    "settings": {"parity": {"train": 20, "validation": 10, "test": 10}},
}


def plan_of(**options: Any) -> StudyPlan:
    merged = {key: {**SMALL.get(key, {}), **options.get(key, {})} for key in ("training", "search", "settings")}
    plan = make_plan(load_config(None, {**SMALL, **options, **merged}))
    return dataclasses.replace(plan, backends={variant.name: "reference" for variant in plan.variants})


DRAWN: dict[str, Any] = {
    "init_std": {"low": 0.05, "high": 0.5, "scale": "log"},
    "forget_bias": {"low": 0.5, "high": 3.0},
    "gradient_clipping": {"low": 0.01, "high": 0.1},
    "gradient_norm": {"low": 0.01, "high": 0.1},
    "layers": [2, 3],
    "optimiser": ["adam", "adagrad"],
}


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_is_what_a_trial_is_trained_with(name: str) -> None:
    """A trial that draws a value equals, number for number, one of a study in which all have that value."""
    drawing = plan_of(search={name: DRAWN[name]})
    coordinates = TrialId("parity", "V", 1)
    value = drawing.hyperparameters(coordinates)[name]
    fixed = plan_of(training={name: value})
    assert name not in fixed.hyperparameters(coordinates)
    one, other, plain = (TrialRunner(plan).run(coordinates) for plan in (drawing, fixed, plan_of()))
    assert one.row["state"] == "completed" and one.curve == other.curve and one.row["test"] == other.row["test"]
    assert one.curve != plain.curve, "it has no effect"
    assert one.row[name] == value and other.row.get(name) is None


def test_axes_are_drawn_as_they_are_said() -> None:
    plan = plan_of(search=DRAWN)
    drawn = pd.DataFrame([plan.drawn(TrialId("parity", "V", index)) for index in range(400)])
    assert stats.kstest(np.log(drawn["init_std"] / 0.05) / np.log(10), "uniform").pvalue > 0.001
    assert stats.kstest((drawn["forget_bias"] - 0.5) / 2.5, "uniform").pvalue > 0.001
    for name in ("layers", "optimiser"):
        counts = drawn[name].value_counts()
        assert set(counts.index) == set(DRAWN[name]) and stats.chisquare(counts).pvalue > 0.001
    pd.testing.assert_frame_equal(
        drawn[["hidden_size", "momentum"]],
        pd.DataFrame([plan_of().drawn(TrialId("parity", "V", index)) for index in range(400)])[
            ["hidden_size", "momentum"]
        ],
    )  # further axes leave the others alone


def test_sobol_points_fill_every_axis_evenly_and_are_their_coordinates() -> None:
    def points(seed: int, task: str = "music", variant: str = "V", paired: bool = True) -> np.ndarray[Any, Any]:
        of = [RandomStreams(seed, TrialId(task, variant, index), paired) for index in range(64)]
        return np.array([streams.sobol_point(4) for streams in of])

    for seed in range(3):
        found = points(seed)
        for axis in range(4):  # a base 2 net: one of 64 points in each of 64 equal intervals
            assert sorted(np.floor(found[:, axis] * 64).astype(int)) == list(range(64))
        squares = {tuple(square) for square in np.floor(found[:, :2] * 8).astype(int)}
        assert len(squares) == 64
    replicate = RandomStreams(0, TrialId("music", "V", 5, "confirmation", 2))
    assert RandomStreams(0, replicate.coordinates.searched).sobol_point(4) == list(points(0)[5])
    assert (points(0) == points(0, variant="NP")).all()
    others = [points(1), points(0, task="speech"), points(0, paired=False), points(0, variant="NP", paired=False)]
    assert len({tuple(each[0]) for each in (points(0), *others)}) == 5


def weights_of(variant: str, initialisation: str, N: int = 64, M: int = 16) -> dict[str, torch.Tensor]:
    cell = VARIANTS[variant]
    network = Network(cell, make_layer(cell.equations, cell.trace, cell.name, "reference"), M, N, 5)
    streams = RandomStreams(0, TrialId("music", variant, 0))
    network.initialise(streams, TrainingConfig(initialisation=initialisation), 100)
    return {name: weight.clone() for name, weight in network.named_weights().items()}


def test_weights_start_as_the_papers_of_the_cells_say() -> None:
    gru, irnn, srn, ind = (weights_of(name, "native") for name in ("GRU", "IRNN", "SRN", "IndRNN"))
    for name in ("R_r", "R_u", "R_n"):
        torch.testing.assert_close(gru[name] @ gru[name].T, torch.eye(64), atol=1e-5, rtol=0)
        assert gru[name.replace("R", "W")].std() == pytest.approx(0.01, rel=0.1)
    assert (irnn["R_h"] == torch.eye(64)).all() and (irnn["b_h"] == 0).all()
    assert irnn["W_h"].std() == pytest.approx(0.001, rel=0.1)
    assert srn["W_h"].abs().max() <= 1 / 4 and srn["W_h"].std() == pytest.approx(1 / 4 / 3**0.5, rel=0.1)
    assert srn["R_h"].abs().max() <= 1 / 8
    bound = 2 ** (1 / 100)
    assert ind["u"].min() >= 0 and 0.9 < ind["u"].max() <= bound
    radius = torch.linalg.eigvals(weights_of("SRN", "paper", N=200)["R_h"]).abs().max()
    assert radius == pytest.approx(0.1 * 200**0.5, rel=0.1)  # which N(0, 0.1) gives it


@pytest.mark.parametrize("variant", [variant.name for variant in VARIANTS])
def test_the_papers_initialisation_is_what_it_was(variant: str) -> None:
    """And a cell whose own paper says nothing here starts as all others do."""
    paper = weights_of(variant, "paper")
    assert all((paper[name] == weight).all() for name, weight in weights_of(variant, "searched").items())
    native = weights_of(variant, "native")
    named = [name for name in paper if VARIANTS[variant].start_of(name, native=True) is not None]
    assert all((paper[name] == native[name]).all() for name in paper if name not in named)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_the_bound_of_independent_units_holds_in_training(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    networks: list[Network] = []

    def kept(*arguments: Any) -> Network:
        networks.append(make_network(*arguments))
        return networks[-1]

    monkeypatch.setattr(trial, "make_network", kept)
    monkeypatch.setattr(LongestMemory, "bound", lambda *_: 0.3)  # which training reaches soon

    def largest() -> float:
        plan = plan_of(variants=("IndRNN",), training={"initialisation": "native"}, backend=backend)
        cell, coordinates = VARIANTS["IndRNN"], TrialId("parity", "IndRNN", 0)
        layer = make_layer(cell.equations, cell.trace, cell.name, backend)
        data = trial_data(plan, plan.tasks[0], coordinates)
        hyperparameters = {
            **plan.hyperparameters(coordinates),
            "learning_rate": 0.3,
            "momentum": 0.0,
            "hidden_size": 20,
        }
        trial.run_trial(plan.task_config(plan.tasks[0]), data, cell, layer, plan.streams(coordinates), hyperparameters)
        return float(networks[-1].parameters.weights["u"].abs().max())

    assert largest() <= np.float32(0.3)
    monkeypatch.setattr(Network, "bounds", lambda *_: [])
    assert largest() > np.float32(0.3)


def test_a_study_that_draws_everything_is_stored_shown_and_goes_on(sweep: Command, tmp_path: Path) -> None:
    config = tmp_path / "axes.toml"
    search = "".join(
        f"{name} = {value}\n"
        if isinstance(value, list)
        else f"{name} = {{ low = {value['low']}, high = {value['high']} }}\n"
        for name, value in DRAWN.items()
    )
    config.write_text(
        'preset = "smoke"\ndraws = "sobol"\nstudy = "s"\ntasks = ["parity"]\nvariants = ["V", "SRN"]\n'
        '[training]\ninitialisation = "native"\n[search]\n' + search + "[settings.parity]\ntrain = 20\n"
    )
    done = sweep("--config", str(config), "--trials", "6", small=False)
    assert done.returncode == 0, done.stderr
    trials = StudyTables(tmp_path / "results" / "s").trials()
    assert trials[list(DRAWN)].notna().all().all() and trials["optimiser"].nunique() == 2
    assert_optuna_is_equal_to_the_tables(tmp_path / "results")
    page = (tmp_path / "results" / "s" / "report" / "index.html").read_text()
    assert "scrambled Sobol sequence" in page
    dry = sweep("--config", str(config), "--trials", "6", "--dry-run", small=False)
    assert "one of adam, adagrad" in dry.stdout
    config.write_text(config.read_text().replace('"native"', '"paper"'))
    again = sweep("--config", str(config), "--trials", "7", small=False)
    assert again.returncode == 2 and "training.initialisation" in again.stderr
    assert len(again.stderr.splitlines()) <= 3 and "Traceback" not in again.stderr
    pd.testing.assert_frame_equal(StudyTables(tmp_path / "results" / "s").trials(), trials)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"training": {"initialisation": "nativ"}},
            "training.initialisation is 'nativ'; known: paper, native, searched",
        ),
        ({"settings": {"parity": {"initialisation": "searched"}}}, "set it in \\[training\\]"),
        ({"search": {"init_std": 0.2}}, "set training.init_std instead"),
        ({"search": {"layers": 2}}, "search.layers is 2; it must be a list, such as \\[1, 2\\]"),
        ({"search": {"layers": [0, 1]}}, "search.layers allows 0; a layers must be at least 1"),
        ({"search": {"layers": [1, 1]}}, "each value once"),
        ({"search": {"optimiser": ["sgd", "adamw"]}}, "search.optimiser has 'adamw'; known: sgd, adam, adagrad"),
        ({"search": {"gradient_norm": {"low": -1.0, "scale": "linear"}}}, "a gradient norm must be at least 0"),
        ({"search": {"epochs": {"low": 1}}}, "search.epochs"),
        ({"draws": "halton"}, "draws is 'halton'; it must be 'random' or 'sobol'"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        plan_of(**options)


def test_searched_initialisation_draws_spread_and_forget_bias() -> None:
    plan = plan_of(training={"initialisation": "searched"})
    assert {"init_std", "forget_bias"} <= plan.drawn(TrialId("parity", "V", 0)).keys()
    own = plan_of(training={"initialisation": "searched"}, search={"init_std": {"low": 0.3, "high": 0.3}})
    assert own.drawn(TrialId("parity", "V", 0))["init_std"] == pytest.approx(0.3)
