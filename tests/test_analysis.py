"""The analyses, against answers known beforehand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablate.analysis import ANALYSES, AnalysisTables, analysis
from ablate.analysis.trials import best_trials
from ablate.errors import UserError
from ablate.testing.analyses import check_analysis
from ablate.testing.synthetic import synthetic_results
from tests.made_studies import NOTHING, analysed, of_set, spread, trials


def best_of(tables: AnalysisTables, fraction: float = 0.1) -> pd.DataFrame:
    return best_trials(tables.results, tables["scored_trials"], fraction)


# Scores


def test_scores_are_capped_at_the_baseline_which_diverged_trials_get():
    tables = analysed(trials("V", [1.0, 12.5, "diverged", "failed"]), trials("A", [1e6, math.inf]), baseline=9.0)
    scored = tables["scored_trials"].set_index(["variant", "index"])
    assert scored["score"].drop(("V", 3)).to_dict() == {
        ("V", 0): 1.0,
        ("V", 1): 9.0,
        ("V", 2): 9.0,
        ("A", 0): 9.0,
        ("A", 1): 9.0,
    }
    assert math.isnan(scored.loc[("V", 3), "score"])
    assert scored.loc[("A", 0), "test"] == 1e6  # the table keeps what was measured


def test_where_higher_is_better_the_cap_is_from_below():
    scored = analysed(trials("V", [0.9, 0.1, "diverged"]), direction="maximize", baseline=0.25)["scored_trials"]
    assert list(scored["score"]) == [0.9, 0.25, 0.25]


def test_a_test_score_that_is_not_finite_counts_as_the_baseline():
    table = trials("V", [1.0, 2.0]).assign(test=[1.0, math.nan])
    assert list(analysed(table, baseline=9.0)["scored_trials"]["score"]) == [1.0, 9.0]


def test_without_a_baseline_the_worst_score_of_the_reference_stands_in_its_place():
    parts = trials("V", [1.0, 5.0, "diverged"]), trials("A", [4.0, 99.0, "diverged"])
    scored = analysed(*parts)["scored_trials"].set_index(["variant", "index"])["score"]
    assert scored.loc["V"].tolist() == [1.0, 5.0, 5.0]
    assert scored.loc["A"].tolist() == [4.0, 5.0, 5.0]


def test_without_a_baseline_and_a_completed_trial_of_the_reference_there_is_no_score_to_give():
    tables = analysed(trials("V", ["diverged", "failed", "diverged"]))
    assert tables["scored_trials"]["score"].isna().all()
    assert best_of(tables).empty
    assert tables["boxes"].empty
    assert tables["summary"]["diverged"].item() == 2


def test_nullable_columns_as_read_from_disk_are_understood():
    table = trials("V", [1.0, "diverged"]).astype({"parameters": "Int64", "best_epoch": "Int64", "test": "Float64"})
    tables = analysed(table)
    assert list(tables["scored_trials"]["score"]) == [1.0, 1.0]
    assert tables["summary"]["best_epoch"].item() == 1


# Selection


@pytest.mark.parametrize(("n", "kept"), [(1, 1), (2, 1), (6, 3), (10, 5), (12, 5), (50, 5), (51, 6), (200, 20)])
def test_the_best_are_a_tenth_rounded_up_or_five_or_half(n, kept):
    assert len(best_of(analysed(trials("V", list(np.arange(n) + 1.0))))) == kept


def test_the_best_are_chosen_by_validation_not_by_test():
    table = trials("V", [1.0, 2.0, 3.0], validations=[9.0, 8.0, 7.0])
    assert best_of(analysed(table))["test"].item() == 3.0
    assert best_of(analysed(table, direction="maximize"))["test"].item() == 1.0


def test_equal_validation_scores_are_told_apart_by_index():
    tables = analysed(trials("V", [5.0, 1.0, 3.0], validations=[4.0, 4.0, 4.0]))
    assert best_of(tables)["index"].item() == 0
    assert tables["summary"]["best_index"].item() == 0


def test_diverged_trials_come_last_in_the_best_and_failed_ones_not_at_all():
    assert list(best_of(analysed(trials("V", ["diverged", "failed", 5.0, 4.0])), fraction=1.0)["index"]) == [3, 2, 0]


# Summaries and what the figures show


def test_summary_of_best_and_median():
    table = trials("V", [5.0, 3.0, "diverged", 4.0, "failed"], validations=[1.0, 2.0, 0.0, 3.0, 0.0])
    row = analysed(table)["summary"].iloc[0]
    assert (row["completed"], row["diverged"], row["failed"]) == (3, 1, 1)
    assert (row["best_index"], row["best_validation"], row["best_test"]) == (0, 1.0, 5.0)
    # Scores 3, 4, 5, 5 (diverged): of the middle two, 4 and 5, the better.
    assert (row["median_index"], row["median_test"]) == (3, 4.0)
    assert (row["mean_seconds"], row["total_seconds"]) == (2.0, 10.0)


def test_the_median_trial_can_be_one_that_diverged():
    row = analysed(trials("V", [5.0, "diverged", "diverged"]))["summary"].iloc[0]
    assert row["median_state"] == "diverged"
    assert row["median_score"] == 5.0


def test_counts_cover_the_plan():
    results = replace(synthetic_results(("t", "u"), ("V", "A")), trials=trials("V", [1.0, "diverged", "failed"]))
    table = AnalysisTables(replace(results, expected_trials=4))["trial_counts"]
    assert list(zip(table["task"], table["variant"], strict=True)) == [("t", "V"), ("t", "A"), ("u", "V"), ("u", "A")]
    assert list(table["missing"]) == [1, 4, 4, 4]
    assert table.iloc[0][["completed", "diverged", "failed"]].tolist() == [1, 1, 1]


def test_failures_are_listed_with_their_reasons():
    table = trials("V", [1.0, "failed"]).assign(reason=[None, "ValueError: no"])
    assert analysed(table)["failures"].to_dict("records") == [
        {"task": "t", "variant": "V", "index": 1, "reason": "ValueError: no"}
    ]


def test_box_statistics_by_hand():
    parts = trials("V", [1.0, 2.0, 3.0, 4.0, 5.0]), trials("A", [2.0, 2.0, 3.0, 10.0, "diverged"])
    row = of_set(analysed(*parts, baseline=10.0)["boxes"], "all").loc["A"]
    assert row[["min", "q1", "median", "q3", "max", "mean"]].tolist() == [2.0, 2.0, 3.0, 10.0, 10.0, 5.4]
    assert (row["n"], row["diverged"], row["n_outside"]) == (5, 1, 0)
    assert row["parameters"] == 102.0


def test_a_box_has_the_verdict_of_its_comparison():
    tables = AnalysisTables(synthetic_results(("jsb", "iam"), ("V", "NFG", "NP"), trials=60))
    boxes = tables["boxes"].set_index(["task", "set", "variant"])
    for row in tables["comparisons"].query("set != 'confirmed'").to_dict("records"):
        box = boxes.loc[(row["task"], row["set"], row["variant"])]
        assert (box["verdict"], box["p_adjusted"]) == (row["verdict"], pytest.approx(row["p_adjusted"], nan_ok=True))
    assert set(boxes.xs("V", level="variant")["verdict"]) == {"reference"}


def limits(tests: list[float], name: str = "all", **task: Any) -> tuple[float, float]:
    row = of_set(analysed(trials("V", list(tests)), **task)["axis_limits"], name, "task").loc["t"]
    return row["low"], row["high"]


def test_axis_limits_end_at_the_constant_predictor():
    assert limits([8.0, 9.0, 10.0, 11.0, 60.0], baseline=11.5) == (8.0, 11.5)
    assert limits([8.0, 30.0, 40.0, 50.0, 60.0], baseline=11.5)[1] == 11.5
    assert limits([*spread(8.4, 20), 60.0])[1] == pytest.approx(8.5)
    assert limits([0.9, 0.8, 0.1], baseline=0.5, direction="maximize") == (0.5, 0.9)


def test_few_bad_trials_are_outside_the_axis_limits_before_the_constant_predictor_is():
    assert limits([*np.linspace(3, 5, 20), 40.0], baseline=85.0)[1] == 5.0


def test_a_baseline_of_theory_is_always_within_the_axis_limits():
    scores, theory = [*np.linspace(0.001, 0.002, 20), 0.4], {"baseline": 0.167, "theoretical_baseline": True}
    assert limits(scores, "all", **theory) == limits(scores, "best", **theory) == (0.001, 0.167)
    assert of_set(analysed(trials("V", scores), **theory)["boxes"], "all").loc["V", "n_outside"] == 0
    assert limits([99.0, 100.0, 98.0], direction="maximize", **{**theory, "baseline": 25.0}) == (25.0, 100.0)


def test_the_best_samples_are_those_of_the_best_trial():
    tables = AnalysisTables(synthetic_results(variants=("V", "NFG"), trials=6))
    best = tables["summary"].set_index("variant")["best_index"]
    assert dict(tables["generated_texts"][["variant", "index"]].to_numpy()) == dict(best)
    assert list(tables["generated_texts"]["sample"]) == [f"<{name}> {best[name]:.0f}\n\tif" for name in ("V", "NFG")]


# What holds for all of them


@pytest.mark.parametrize("name", [entry.name for entry in ANALYSES])
def test_contract(name):
    check_analysis(name)


def test_no_trials_give_empty_tables():
    tables = AnalysisTables(replace(synthetic_results(("a", "b"), ("V", "A")), trials=NOTHING, curves=NOTHING))
    planned = {"trial_counts": 4, "tasks": 2, "variants": 2}
    found = {name: len(table) for name, table in tables.items() if len(table)}
    assert found.pop("scorecard") and set(tables["scorecard"]["verdict"]) == {"cannot tell"}  # claims need no trials
    assert found == planned


def test_rows_stand_in_the_order_of_the_study_the_reference_first():
    results = synthetic_results(("b", "a"), ("NFG", "V", "NP"), trials=5)
    tables = AnalysisTables(results)
    for name in set(tables) - {"scorecard"}:  # whose tasks are those of the papers
        table = tables[name]
        for column, order in (("task", ["b", "a"]), ("variant", ["V", "NFG", "NP"])):
            found = list(dict.fromkeys(table.get(column, ())))
            assert found == [name for name in order if name in found], name


@pytest.fixture
def own_entries(monkeypatch):
    """What the test registers is gone afterwards."""
    monkeypatch.setattr(ANALYSES, "_entries", dict(ANALYSES._entries))


def test_an_analysis_of_ones_own_reads_the_others_and_is_computed_once(own_entries):
    calls = []

    @analysis("mine")
    def divergence(results, tables):
        """Columns: variant, share (of its trials that diverged)."""
        calls.append(results.name)
        diverged = tables["scored_trials"]["state"].eq("diverged")
        return diverged.groupby(tables["scored_trials"]["variant"]).mean().reset_index(name="share")

    tables = analysed(trials("V", [1.0, "diverged", "diverged", 2.0]), trials("A", [3.0]))
    copy = tables["mine"]
    copy["share"] = 99.0
    assert tables["mine"].to_dict("list") == {"variant": ["V", "A"], "share": [0.5, 0.0]}
    assert calls == ["s"]
    check_analysis("mine")
    with pytest.raises(UserError, match="defined twice"):
        analysis("mine")(divergence)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda results, tables: results.trials, "order of the rows"),
        (lambda results, tables: results.trials.pop("index").to_frame(), "changes the trials"),
        (lambda results, tables: pd.DataFrame(columns=["x"] * bool(len(results.trials))), "other columns"),
        (lambda results, tables: tables["wrong"], "ask for one another"),
    ],
)
def test_the_contract_finds_what_breaks_it(own_entries, wrong, message):
    analysis("wrong")(wrong)
    with pytest.raises((AssertionError, RecursionError), match=message):
        check_analysis("wrong")
    check_analysis("scored_trials")  # which it has not spoilt for others


def test_an_unknown_analysis_is_named_with_its_neighbours():
    with pytest.raises(UserError, match="did you mean boxes"):
        analysed(trials("V", [1.0]))["boxs"]
