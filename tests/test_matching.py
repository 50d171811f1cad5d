"""Sizes that are matched: every variant has as many parameters as whole units allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ablate
from ablate.analysis import AnalysisTables
from ablate.analysis.axes import places, sampled_axes
from ablate.cell.backend import make_layer
from ablate.definitions.study_results import StudyResults
from ablate.definitions.variant import VARIANTS, module_variant
from ablate.errors import UserError
from ablate.execution.verification import verify_study
from ablate.plan.config_file import load_config
from ablate.plan.matching import matched_size, network_parameters
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan, make_plan
from ablate.report.caveats import caveats
from ablate.storage.folder import StudyFolder
from ablate.training.network import Network
from tests.made_studies import NOTHING

SHAPES = [{}, {"layers": 3}, {"bidirectional": True}, {"layers": 2, "bidirectional": True}]
TINY: dict[str, Any] = {
    "tasks": "adding",
    "preset": "smoke",
    "settings": {"adding": {"length": 4, "train": 6, "validation": 4, "test": 4}},
    "search": {"hidden_size": {"low": 4, "high": 12}},
}


def plan_of(match: str = "parameters", **options: Any) -> StudyPlan:
    plan = make_plan(load_config(None, {**TINY, "match": match, **options}))
    object.__setattr__(plan, "sizes", {task.name: (5, 3) for task in plan.tasks})
    return plan


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["V", "IndRNN", "GRU", "sLSTM"])
def test_the_count_is_that_of_the_network(name: str, shape: dict[str, Any]) -> None:
    variant = VARIANTS[name]
    layer = make_layer(variant.equations, variant.trace, name, "reference")
    network = Network(variant, layer, 4, 7, 3, **shape)
    assert network_parameters(variant.trace, 4, 7, 3, **shape) == network.parameters.flat.numel()


@pytest.mark.parametrize("M, K", [(1, 1), (88, 88), (3, 20)])
@pytest.mark.parametrize("shape", SHAPES[::2])
def test_every_variant_has_the_nearest_count_that_whole_units_allow(M: int, K: int, shape: dict[str, Any]) -> None:
    """By trying every size."""
    for drawn in (1, 6, 23):
        wanted = network_parameters(VARIANTS["V"].trace, M, drawn, K, **shape)
        for variant in VARIANTS:
            found = matched_size(variant.trace, wanted, M, K, **shape)
            # One weight and one output weight a unit at least: no more units than weights.
            counts = np.array([network_parameters(variant.trace, M, N, K, **shape) for N in range(1, 2 * found + 30)])
            assert counts[-1] > wanted and (np.diff(counts) > 0).all(), variant.name
            assert found == 1 + np.argmin(abs(counts - wanted)), variant.name


def test_draws_that_are_shared_have_equal_parameters() -> None:
    plan = plan_of(variants="V,GRU,SRN", trials=5)
    for trial in plan.trials():
        drawn = plan.drawn(trial)
        of_reference = network_parameters(VARIANTS["V"].trace, 5, int(drawn["hidden_size"]), 3)
        size = int(plan.hyperparameters(trial)["hidden_size"])
        assert plan.hyperparameters(trial) == {**drawn, "hidden_size": size}, "all else is as drawn"
        assert size == matched_size(VARIANTS[trial.variant].trace, of_reference, 5, 3)
        assert (size == drawn["hidden_size"]) == (trial.variant == "V")


def test_a_confirmation_has_the_size_of_the_trial_that_it_repeats() -> None:
    plan = plan_of(variants="V,SRN")
    searched = TrialId("adding", "SRN", 1)
    assert plan.hyperparameters(TrialId("adding", "SRN", 1, "confirmation", 2)) == plan.hyperparameters(searched)


def test_independent_draws_are_matched_each_at_its_own() -> None:
    plan = plan_of(variants="V,GRU", paired=False)
    one, other = (TrialId("adding", name, 0) for name in ("V", "GRU"))
    assert plan.drawn(one) != plan.drawn(other)
    wanted = network_parameters(VARIANTS["V"].trace, 5, int(plan.drawn(other)["hidden_size"]), 3)
    assert plan.hyperparameters(other)["hidden_size"] == matched_size(VARIANTS["GRU"].trace, wanted, 5, 3)


def test_a_study_of_another_match_or_reference_is_another_study() -> None:
    asked = [plan_of(**options).config for options in ({"match": "none"}, {}, {"reference": "gru"})]
    identities = [config.identity(["adding"])["match"] for config in asked]
    assert identities == ["none", "parameters of V", "parameters of GRU"]
    one, other = (plan_of("none", **options).config.identity([]) for options in ({}, {"reference": "GRU"}))
    assert one == other, "without it the reference is no part of the trials"


def test_what_is_no_match_is_refused() -> None:
    with pytest.raises(UserError, match="match is 'size'; it must be 'none' or 'parameters'"):
        load_config(None, {"match": "size"})


class EvenCell(torch.nn.GRUCell):
    def __init__(self, M: int, N: int) -> None:
        if N % 2:
            raise ValueError("an even number of units, please")
        super().__init__(M, N)


@pytest.fixture
def modules():
    module_variant("torch-gru", torch.nn.GRUCell)
    module_variant("even", EvenCell)
    yield
    for name in ("torch-gru", "even"):
        VARIANTS.remove(name)


def test_modules_are_counted_as_they_are_made(modules: None) -> None:
    for name, N in (("V", 13), ("torch-gru", 9)):
        wanted = network_parameters(VARIANTS[name].trace, 5, N, 3)
        found = matched_size(VARIANTS["torch-gru"].trace, wanted, 5, 3)
        counts = {n: sum(p.numel() for p in torch.nn.GRUCell(5, n).parameters()) + 3 * (n + 1) for n in range(1, 40)}
        assert found == min(counts, key=lambda n: (abs(counts[n] - wanted), n))
    assert found == 9, "its own count is met"


def test_a_module_that_takes_few_sizes_is_refused(modules: None) -> None:
    with pytest.raises(UserError, match=r"'even' for 5 inputs and 1 units: ValueError: an even .* leave it out"):
        plan_of(variants="V,even").hyperparameters(TrialId("adding", "even", 0))


def test_a_matched_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its table has the size of each network and the one drawn; it goes on as it is, and not as another."""
    options = {**TINY, "results": tmp_path, "study": "s", "variants": "V,SRN", "trials": 2, "jobs": 2}
    study = ablate.run(**options, match="parameters")
    trials = study.trials.set_index(["variant", "index"])
    assert (trials.loc["V", "hidden_size"] == trials.loc["V", "drawn_size"]).all()
    assert (trials.loc["SRN", "drawn_size"] == trials.loc["V", "drawn_size"]).all()
    ratio = trials.loc["SRN", "parameters"] / trials.loc["V", "parameters"]
    assert ((ratio > 0.9) & (ratio < 1.1)).all() and (trials.loc["SRN", "hidden_size"] > 6).all()
    with pytest.raises(UserError, match="match is parameters of V there and none here"):
        ablate.run(**options)
    assert len(ablate.run(**{**options, "trials": 3}, match="parameters").trials) == 6
    verified = verify_study(StudyFolder(tmp_path, "s"), 4, 1)
    assert len(verified.trials) == 4 and not verified.differences
    page = (tmp_path / "s" / "report" / "index.html").read_text()
    assert "Sizes are matched by parameters" in page and "not matched" not in page

    results = study.results
    at = places(study.trials, "hidden_size", sampled_axes(results)["hidden_size"])
    assert ((at > -0.1) & (at < 1.1)).all(), "the axis is the one that was drawn"


def test_reports_say_whether_sizes_are_matched() -> None:
    def said(**configuration: Any) -> str:
        results = StudyResults("s", NOTHING, NOTHING, NOTHING, [], [], 0, "GRU", configuration=configuration)
        return caveats(results, AnalysisTables(results))[-1]

    assert said().startswith("Sizes are not matched") and said(match="none").startswith("Sizes are not matched")
    assert "that of V at" in said(match="parameters", reference="") and "of NP at" in said(
        match="parameters", reference="NP"
    )


def test_a_dry_run_says_the_sizes(command: Any, tmp_path: Path) -> None:
    options = ["--variants", "V,SRN", "--tasks", "adding", "--preset", "smoke", "--match", "parameters"]
    run = command(*options, "--dry-run", small=False)
    assert "sizes are matched by parameters: at each draw a variant has as many as V" in run.stdout
    assert "adding hidden_size: V 20, SRN 42" in run.stdout
