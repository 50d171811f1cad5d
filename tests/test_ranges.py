"""What a study says of its own search: ends of ranges, verdicts that turn within them, training cut short."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablate.analysis import AnalysisTables
from tests.made_studies import analysed, of_set, trials


def test_best_trials_at_an_end_of_a_range_are_told() -> None:
    rates = 10 ** np.linspace(-6, -2, 60)
    parts = [trials("V", list(np.abs(np.log10(rates) + 4) + 1)), trials("A", list(-np.log10(rates)))]  # A wants more
    table = pd.concat([part.assign(learning_rate=rates, momentum=0.9, input_noise=0.5) for part in parts])
    search = {"search": {"learning_rate": {"low": 1e-6, "high": 1e-2, "scale": "log"}, "momentum": 0.9}}
    results = replace(analysed(table, baseline=50.0).results, configuration=search)
    found = AnalysisTables(results)["ranges"].set_index("variant")
    assert found["edge"].to_dict() == {"V": "", "A": "high"}
    assert found.loc["V", "place"] == pytest.approx(0.5, abs=0.06)
    (row,) = AnalysisTables(results)["range_dependence"].to_dict("records")
    assert (row["variant"], row["edges"]) == ("A", "learning_rate high")


@pytest.mark.parametrize(
    ("axis", "wanted", "search", "edge"),
    [
        ("momentum", 0.0, {"low": 0.01, "high": 1.0, "scale": "one-minus-log"}, ""),
        ("momentum", 0.5, {"low": 0.01, "high": 0.5, "scale": "one-minus-log"}, "high"),
        ("momentum", 0.99, {"low": 0.01, "high": 1.0, "scale": "one-minus-log"}, "low"),
        ("input_noise", 0.0, {"low": 0.0, "high": 0.5, "scale": "linear"}, ""),
        ("input_noise", 0.5, {"low": 0.0, "high": 0.5, "scale": "linear"}, "high"),
        ("learning_rate", 0.0, {"low": 0.0, "high": 0.5, "scale": "linear"}, "low"),
    ],
)
def test_beyond_no_noise_and_no_momentum_there_is_nothing(
    axis: str, wanted: float, search: dict[str, Any], edge: str
) -> None:
    drawn = 1 - np.geomspace(0.01, search["high"], 60) if search["scale"] != "linear" else np.linspace(0.0, 0.5, 60)
    table = trials("V", list(9 + np.abs(drawn - wanted))).assign(**{axis: drawn})
    results = replace(analysed(table, baseline=50.0).results, configuration={"search": {axis: search}})
    assert list(AnalysisTables(results)["ranges"]["edge"]) == [edge]


def test_a_verdict_that_turns_within_the_range_is_told() -> None:
    momentum = np.linspace(0.0, 1.0, 40)
    draws = np.random.default_rng(1).normal(9, 1, 40)
    shift = np.where(momentum < 0.5, -0.5, 3.0) + 0.01 * draws
    table = pd.concat([trials("V", list(draws)), trials("A", list(draws + shift))]).assign(momentum=[*momentum] * 2)
    search = {"search": {"momentum": {"low": 0.0, "high": 1.0, "scale": "linear"}}}
    tables = AnalysisTables(replace(analysed(table, baseline=50.0).results, configuration=search))
    assert of_set(tables["comparisons"], "all").loc["A", "verdict"] == "worse"
    halves = tables["subrange_comparisons"].set_index("half")["verdict"].to_dict()
    assert halves == {"lower half": "better", "upper half": "worse"}
    assert tables["range_dependence"].set_index("variant").loc["A", "reversed_on"] == "momentum lower half"


def test_training_that_was_cut_short_is_told() -> None:
    table = trials("V", [1.0, 2.0, 3.0, 4.0]).assign(epochs=4, best_epoch=[4, 4, 4, 2])
    row = analysed(table)["training_length"].iloc[0]
    assert (row["last"], row["cut_short"]) == (0.75, True)


def test_the_expected_best_of_fewer_draws_by_enumeration() -> None:
    validation, test = [3.0, 1.0, 2.0, 5.0, 4.0], [30.0, 11.0, 22.0, 50.0, 41.0]
    table = analysed(trials("V", test, validations=validation), baseline=99.0)["budget_curves"].set_index("m")
    for m in range(1, 6):
        chosen = [min(draw, key=lambda k: validation[k]) for draw in itertools.combinations(range(5), m)]
        assert table.loc[m, "score"] == pytest.approx(np.mean([test[k] for k in chosen]))
        assert table.loc[m, "seconds"] == 2.0 * m
