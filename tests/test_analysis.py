"""The statistics, against answers known beforehand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ablate.analysis.welch import detectable_difference, holm, welch
from scipy import stats

from ablate.analysis import ANALYSES, AnalysisTables, analysis
from ablate.analysis.trials import MIN_TRIALS, best_trials
from ablate.definitions.study_results import StudyResults, TaskMetadata
from ablate.errors import UserError
from ablate.testing.analyses import check_analysis
from ablate.testing.synthetic import synthetic_results

NOTHING = pd.DataFrame()


def trials(variant: str, tests: list[float | str], task: str = "t", validations: list[float] | None = None):
    """Rows from test scores; a word instead of a score is the state of a trial without one."""
    rows = []
    for index, test in enumerate(tests):
        done = not isinstance(test, str)
        rows.append(
            {
                "task": task,
                "variant": variant,
                "index": index,
                "state": "completed" if done else test,
                "test": test if done else math.nan,
                "validation": (validations[index] if validations else test) if done else math.nan,
                "best_epoch": 1 if done else math.nan,
                "parameters": 100 + index,
                "seconds": 2.0,
            }
        )
    return pd.DataFrame(rows)


def analysed(*parts: pd.DataFrame, reference: str = "V", expected: int = 0, **task: Any) -> AnalysisTables:
    """The tables of a study with these trials; what is said of a task holds for task t."""
    table = pd.concat(parts, ignore_index=True)
    tasks = [TaskMetadata("t", **task)]
    return AnalysisTables(StudyResults("s", table, NOTHING, NOTHING, tasks, [], expected, reference))


def best_of(tables: AnalysisTables, fraction: float = 0.1) -> pd.DataFrame:
    return best_trials(tables.results, tables["scored_trials"], fraction)


def of_set(table: pd.DataFrame, name: str, index: str = "variant") -> pd.DataFrame:
    """The rows of the set "all" or "best"."""
    return table[table["set"].eq(name)].set_index(index)


# Scores


def test_a_diverged_trial_gets_the_worst_completed_score_of_its_task():
    tables = analysed(
        trials("V", [1.0, 2.0, "diverged", "failed"]),
        trials("A", [7.0, "diverged"]),
        trials("A", [99.0], task="other"),
    )
    result = tables["scored_trials"].set_index(["task", "variant", "index"])["score"]
    assert result["t", "V", 2] == result["t", "A", 1] == 7.0
    assert math.isnan(result["t", "V", 3])
    assert result["t", "V", 0] == 1.0


def test_where_higher_is_better_the_worst_is_the_lowest():
    result = analysed(trials("V", [0.9, "diverged"]), trials("A", [0.2]), direction="maximize")["scored_trials"]
    assert result.loc[result["state"] == "diverged", "score"].item() == 0.2


def test_without_a_completed_trial_there_is_no_worst_score():
    tables = analysed(trials("V", ["diverged", "failed", "diverged"]))
    assert tables["scored_trials"]["score"].isna().all()
    assert best_of(tables).empty
    assert tables["boxes"].empty
    assert tables["summary"]["diverged"].item() == 2


def test_nullable_columns_as_read_from_disk_are_understood():
    tables = analysed(trials("V", [1.0, "diverged"]).astype({"parameters": "Int64", "best_epoch": "Int64"}))
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


def test_the_best_keep_the_scores_of_the_whole_task():
    tables = analysed(trials("V", [1.0] * 5 + [50.0]), trials("A", ["diverged"] * 6))
    chosen = best_of(tables)
    assert (chosen.loc[chosen["variant"].eq("A"), "score"] == 50.0).all()
    assert of_set(tables["comparisons"], "best")["mean"]["A"] == 50.0


# Welch


def test_welch_by_hand():
    # Means 3 and 6; variances 2.5 and 10, each over 5: t = -3 / sqrt(0.5 + 2),
    # df = 2.5 ** 2 / (0.5 ** 2 / 4 + 2 ** 2 / 4) = 5.882.
    test = welch([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])
    assert test is not None
    assert test.difference == -3.0
    assert test.t == pytest.approx(-3 / math.sqrt(2.5))
    assert test.df == pytest.approx(6.25 / 1.0625)
    assert test.p == pytest.approx(0.10753, abs=1e-5)


def test_welch_as_scipy_has_it():
    rng = np.random.default_rng(0)
    for n, m, spread in ((5, 5, 1.0), (6, 40, 0.1), (200, 20, 9.0)):
        a, b = rng.normal(8.4, 1, n), rng.normal(8.9, spread, m)
        ours, theirs = welch(a, b), stats.ttest_ind(a, b, equal_var=False)
        interval = theirs.confidence_interval(0.95)
        assert ours is not None
        assert [ours.t, ours.df, ours.p, ours.low, ours.high] == pytest.approx(
            [theirs.statistic, theirs.df, theirs.pvalue, interval.low, interval.high]
        )


def test_groups_that_do_not_vary():
    assert welch([8.4] * 6, [8.4] * 6) is None
    assert welch([0.1 + 0.2] * 3 + [0.3] * 3, [0.3] * 6) is None  # only rounding errors vary
    one_sided = welch([9.0] * 6, [8.1, 8.2, 8.3, 8.4, 8.5, 8.6])
    assert one_sided is not None
    assert one_sided.df == pytest.approx(5.0)
    with pytest.raises(ValueError, match="two values"):
        welch([1.0], [1.0, 2.0])


# Holm


def test_holm_on_a_worked_example():
    # Four p-values at the 5 % level, from the usual textbook example: only the first two are rejected.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_as_r_has_it():
    # p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


def test_holm_at_its_edges():
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02, 0.02]) == [0.04, 0.04]
    mixed = holm([0.03, math.nan, 0.01])
    assert mixed[::2] == pytest.approx([0.03, 0.02])
    assert math.isnan(mixed[1])


# Verdicts


def spread(mean: float, n: int = 8) -> list[float]:
    return list(mean + np.linspace(-0.1, 0.1, n))


def compared(*parts: pd.DataFrame, **study: Any) -> pd.DataFrame:
    """The comparisons over all trials, by variant."""
    return of_set(analysed(*parts, **study)["comparisons"], "all")


def test_verdicts_and_their_direction():
    parts = [trials(name, spread(mean)) for name, mean in (("V", 8.4), ("A", 9.4), ("B", 7.4), ("C", 8.41))]
    result = compared(*parts)
    assert list(result.loc[["A", "B", "C"], "verdict"]) == ["worse", "better", "no significant difference"]
    assert result.loc["A", "difference"] == pytest.approx(1.0)
    assert result.loc["A", "low"] < 1.0 < result.loc["A", "high"]
    assert "V" not in result.index
    upside_down = compared(*parts, direction="maximize")
    assert list(upside_down.loc[["A", "B"], "verdict"]) == ["better", "worse"]


def test_holm_runs_over_the_comparisons_of_one_task_and_set():
    means = (("V", 8.4), ("A", 8.47), ("B", 8.5))
    table = analysed(*(trials(name, spread(mean), task) for task in "st" for name, mean in means))["comparisons"]
    families = list(table.groupby(["task", "set"]))
    assert len(families) == 4
    for _, family in families:
        assert len(family) == 2
        assert list(family["p_holm"]) == pytest.approx(holm(list(family["p"])), nan_ok=True)


def test_a_variant_that_always_diverges_is_worse_not_absent():
    result = compared(trials("V", [*spread(8.4), 9.9]), trials("A", ["diverged"] * 8))
    assert result["verdict"].item() == "worse"
    assert result["n"].item() == 8


def test_too_few_trials_give_no_verdict():
    result = compared(trials("V", spread(8.4)), trials("A", spread(99, MIN_TRIALS - 1)), trials("B", spread(8.4)))
    assert result.loc["A", "verdict"] == "too few trials"
    assert math.isnan(result.loc["A", "p_holm"])
    assert result.loc["B", "p_holm"] == result.loc["B", "p"]  # one test made, so nothing to correct


def test_failed_trials_are_no_trials():
    result = compared(trials("V", spread(8.4)), trials("A", [*spread(9, MIN_TRIALS - 1), "failed"]))
    assert result["verdict"].item() == "too few trials"


def test_without_the_reference_or_without_others():
    table = trials("A", spread(8.4))
    assert compared(table)["verdict"].item() == "reference missing"
    assert compared(table, reference="A").empty
    assert set(analysed(table)["boxes"]["verdict"]) == {"reference missing"}


def test_equal_scores_throughout_are_not_tested():
    assert compared(trials("V", [8.4] * 6), trials("A", [8.4] * 6))["verdict"].item() == "no variance"


def test_what_a_budget_can_tell():
    # Cohen 1988: 64 in each group find half a standard deviation with a power of 0.8.
    assert detectable_difference(64) == pytest.approx(0.5, abs=0.005)
    assert detectable_difference(6, 10) > detectable_difference(6, 1) > detectable_difference(20, 1)
    assert detectable_difference(MIN_TRIALS - 1) == math.inf


def test_power_counts_the_tests_that_were_made_and_their_fewest_trials():
    tables = analysed(trials("V", spread(8.4, 9)), trials("A", spread(9, 7)), trials("B", spread(9, 3)))
    row = of_set(tables["power"], "all", "task").loc["t"]
    assert (row["comparisons"], row["n"]) == (1, 7)
    assert row["detectable"] == detectable_difference(7, 1)
    assert of_set(tables["power"], "best", "task").loc["t", "detectable"] == math.inf


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
    row = of_set(analysed(*parts, baseline=6.0)["boxes"], "all").loc["A"]
    assert row[["min", "q1", "median", "q3", "max", "mean"]].tolist() == [2.0, 2.0, 3.0, 10.0, 10.0, 5.4]
    assert (row["n"], row["diverged"], row["n_outside"]) == (5, 1, 2)
    assert row["parameters"] == 102.0


def test_a_box_has_the_verdict_of_its_comparison():
    tables = AnalysisTables(synthetic_results(("jsb", "iam"), ("V", "NFG", "NP"), trials=60))
    boxes = tables["boxes"].set_index(["task", "set", "variant"])
    for row in tables["comparisons"].to_dict("records"):
        box = boxes.loc[(row["task"], row["set"], row["variant"])]
        assert (box["verdict"], box["p_holm"], box["mean"]) == (row["verdict"], row["p_holm"], row["mean"])
    assert set(boxes.xs("V", level="variant")["verdict"]) == {"reference"}


def limits(tests: list[float], name: str = "all", **task: Any) -> tuple[float, float]:
    row = of_set(analysed(trials("V", list(tests)), **task)["axis_limits"], name, "task").loc["t"]
    return row["low"], row["high"]


def test_axis_limits_end_at_the_constant_predictor_and_hold_half_of_the_trials():
    assert limits([8.0, 9.0, 10.0, 11.0, 60.0], baseline=11.5) == (8.0, 11.5)
    assert limits([8.0, 30.0, 40.0, 50.0, 60.0], baseline=11.5)[1] == 40.0
    assert limits([*spread(8.4, 20), 60.0])[1] == pytest.approx(8.5)
    assert limits([0.9, 0.8, 0.1], baseline=0.5, direction="maximize") == (0.8, 0.9)


def test_few_bad_trials_are_outside_the_axis_limits_before_the_constant_predictor_is():
    assert limits([*np.linspace(3, 5, 20), 40.0], baseline=85.0)[1] == 5.0


def test_a_baseline_of_theory_is_always_within_the_axis_limits():
    scores, theory = [*np.linspace(0.001, 0.002, 20), 0.4], {"baseline": 0.167, "theoretical_baseline": True}
    assert limits(scores, "all", **theory) == limits(scores, "best", **theory) == (0.001, 0.167)
    assert of_set(analysed(trials("V", scores), **theory)["boxes"], "all").loc["V", "n_outside"] == 1
    assert limits([99.0, 100.0, 98.0], direction="maximize", **{**theory, "baseline": 25.0}) == (25.0, 100.0)


def test_best_curves_are_those_of_the_best_trial():
    tables = AnalysisTables(synthetic_results(trials=4))
    best, found = tables["summary"].set_index("variant"), tables["best_curves"]
    for variant, curve in found.groupby("variant"):
        assert set(curve["index"]) == {best.loc[variant, "best_index"]}
        marked = curve[curve["best"]]
        assert marked["epoch"].item() == best.loc[variant, "best_epoch"]
        assert marked["validation"].item() == pytest.approx(curve["validation"].min())
    shown = tables["curve_axis_limits"].iloc[0]
    assert shown["low"] == found["validation"].min()
    assert found.loc[found["best"], "validation"].max() <= shown["high"] < found["validation"].max()


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
    assert {name: len(table) for name, table in tables.items() if len(table)} == planned


def test_rows_stand_in_the_order_of_the_study_the_reference_first():
    results = synthetic_results(("b", "a"), ("NFG", "V", "NP"), trials=5)
    for name, table in AnalysisTables(results).items():
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
