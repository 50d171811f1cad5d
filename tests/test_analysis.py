"""The statistics, against answers known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablate.analysis import (
    MIN_TRIALS,
    best_curves,
    best_fraction,
    box_statistics,
    compare,
    compare_sets,
    counts,
    curve_views,
    detectable,
    holm,
    scored,
    summary,
    trial_sets,
    views,
    welch,
)
from tests.synthetic import BASELINE, study

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


# Scores


def test_a_diverged_trial_gets_the_worst_completed_score_of_its_task():
    table = pd.concat(
        [
            trials("V", [1.0, 2.0, "diverged", "failed"]),
            trials("A", [7.0, "diverged"]),
            trials("A", [99.0], task="other"),
        ]
    )
    result = scored(table).set_index(["task", "variant", "index"])["score"]
    assert result["t", "V", 2] == result["t", "A", 1] == 7.0
    assert math.isnan(result["t", "V", 3])
    assert result["t", "V", 0] == 1.0


def test_where_higher_is_better_the_worst_is_the_lowest():
    table = pd.concat([trials("V", [0.9, "diverged"]), trials("A", [0.2])])
    result = scored(table, {"t": "maximize"})
    assert result.loc[result["state"] == "diverged", "score"].item() == 0.2


def test_without_a_completed_trial_there_is_no_worst_score():
    table = trials("V", ["diverged", "failed", "diverged"])
    assert scored(table)["score"].isna().all()
    assert best_fraction(table).empty
    assert box_statistics(table).empty
    assert summary(table)["diverged"].item() == 2


def test_nullable_columns_as_read_from_disk_are_understood():
    table = trials("V", [1.0, "diverged"]).astype({"parameters": "Int64", "best_epoch": "Int64"})
    assert list(scored(table)["score"]) == [1.0, 1.0]
    assert summary(table)["best_epoch"].item() == 1


# Selection


@pytest.mark.parametrize(("n", "kept"), [(1, 1), (2, 1), (6, 3), (10, 5), (12, 5), (50, 5), (51, 6), (200, 20)])
def test_the_best_are_a_tenth_rounded_up_or_five_or_half(n, kept):
    assert len(best_fraction(trials("V", list(np.arange(n) + 1.0)))) == kept


def test_the_best_are_chosen_by_validation_not_by_test():
    table = trials("V", [1.0, 2.0, 3.0], validations=[9.0, 8.0, 7.0])
    assert best_fraction(table)["test"].item() == 3.0
    assert best_fraction(table, directions={"t": "maximize"})["test"].item() == 1.0


def test_equal_validation_scores_are_told_apart_by_index():
    table = trials("V", [5.0, 1.0, 3.0], validations=[4.0, 4.0, 4.0])
    assert best_fraction(table)["index"].item() == 0
    assert summary(table)["best_index"].item() == 0


def test_diverged_trials_come_last_in_the_best_and_failed_ones_not_at_all():
    table = trials("V", ["diverged", "failed", 5.0, 4.0])
    assert list(best_fraction(table, fraction=1.0)["index"]) == [3, 2, 0]


def test_the_best_keep_the_scores_of_the_whole_task():
    table = pd.concat([trials("V", [1.0] * 5 + [50.0]), trials("A", ["diverged"] * 6)])
    chosen = best_fraction(table)
    assert (chosen.loc[chosen["variant"].eq("A"), "score"] == 50.0).all()
    assert compare(best_fraction(table)).set_index("variant")["mean"]["A"] == 50.0


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


def test_verdicts_and_their_direction():
    table = pd.concat([trials("V", spread(8.4)), trials("A", spread(9.4)), trials("B", spread(7.4))])
    table = pd.concat([table, trials("C", spread(8.41))])
    result = compare(table).set_index("variant")
    assert list(result.loc[["A", "B", "C"], "verdict"]) == ["worse", "better", "no significant difference"]
    assert result.loc["A", "difference"] == pytest.approx(1.0)
    assert result.loc["A", "low"] < 1.0 < result.loc["A", "high"]
    assert "V" not in result.index
    upside_down = compare(table, directions={"t": "maximize"}).set_index("variant")
    assert list(upside_down.loc[["A", "B"], "verdict"]) == ["better", "worse"]


def test_holm_runs_over_the_comparisons_of_one_task():
    table = pd.concat(
        [trials(name, spread(mean), task) for task in "st" for name, mean in (("V", 8.4), ("A", 8.47), ("B", 8.5))]
    )
    for _, task in compare(table).groupby("task"):
        assert list(task["p_holm"]) == pytest.approx(holm(list(task["p"])))


def test_a_variant_that_always_diverges_is_worse_not_absent():
    table = pd.concat([trials("V", [*spread(8.4), 9.9]), trials("A", ["diverged"] * 8)])
    result = compare(table)
    assert result["verdict"].item() == "worse"
    assert result["n"].item() == 8


def test_too_few_trials_give_no_verdict():
    table = pd.concat([trials("V", spread(8.4)), trials("A", spread(99, MIN_TRIALS - 1)), trials("B", spread(8.4))])
    result = compare(table).set_index("variant")
    assert result.loc["A", "verdict"] == "too few trials"
    assert math.isnan(result.loc["A", "p_holm"])
    assert result.loc["B", "p_holm"] == result.loc["B", "p"]  # one test made, so nothing to correct


def test_failed_trials_are_no_trials():
    table = pd.concat([trials("V", spread(8.4)), trials("A", [*spread(9, MIN_TRIALS - 1), "failed"])])
    assert compare(table)["verdict"].item() == "too few trials"


def test_without_the_reference_or_without_others():
    table = trials("A", spread(8.4))
    assert compare(table)["verdict"].item() == "reference missing"
    assert compare(table, reference="A").empty
    assert set(box_statistics(table)["verdict"]) == {"reference missing"}


def test_equal_scores_throughout_are_not_tested():
    table = pd.concat([trials("V", [8.4] * 6), trials("A", [8.4] * 6)])
    assert compare(table)["verdict"].item() == "no variance"


def test_what_a_budget_can_tell():
    # Cohen 1988: 64 in each group find half a standard deviation with a power of 0.8.
    assert detectable(64) == pytest.approx(0.5, abs=0.005)
    assert detectable(6, 10) > detectable(6, 1) > detectable(20, 1)
    assert detectable(MIN_TRIALS - 1) == math.inf


# Summaries and what the figures show


def test_summary_of_best_and_median():
    table = trials("V", [5.0, 3.0, "diverged", 4.0, "failed"], validations=[1.0, 2.0, 0.0, 3.0, 0.0])
    row = summary(table).iloc[0]
    assert (row["completed"], row["diverged"], row["failed"]) == (3, 1, 1)
    assert (row["best_index"], row["best_validation"], row["best_test"]) == (0, 1.0, 5.0)
    # Scores 3, 4, 5, 5 (diverged): of the middle two, 4 and 5, the better.
    assert (row["median_index"], row["median_test"]) == (3, 4.0)
    assert (row["mean_seconds"], row["total_seconds"]) == (2.0, 10.0)


def test_the_median_trial_can_be_one_that_diverged():
    row = summary(trials("V", [5.0, "diverged", "diverged"])).iloc[0]
    assert row["median_state"] == "diverged"
    assert row["median_score"] == 5.0


def test_counts_cover_the_plan():
    table = counts(trials("V", [1.0, "diverged", "failed"]), ["t", "u"], ["V", "A"], expected=4)
    assert list(table["missing"]) == [1, 4, 4, 4]
    assert table.iloc[0][["completed", "diverged", "failed"]].tolist() == [1, 1, 1]


def test_box_statistics_by_hand():
    table = pd.concat([trials("V", [1.0, 2.0, 3.0, 4.0, 5.0]), trials("A", [2.0, 2.0, 3.0, 10.0, "diverged"])])
    row = box_statistics(table, baselines={"t": 6.0}).set_index(["set", "variant"]).loc[("all", "A")]
    assert row[["min", "q1", "median", "q3", "max", "mean"]].tolist() == [2.0, 2.0, 3.0, 10.0, 10.0, 5.4]
    assert (row["n"], row["diverged"], row["beyond"]) == (5, 1, 2)
    assert row["parameters"] == 102.0


def test_views_end_at_the_constant_predictor_and_hold_half_of_the_trials():
    sets = trial_sets(trials("V", [8.0, 9.0, 10.0, 11.0, 60.0]))
    view = views(sets, {"t": 11.5}).set_index("set").loc["all"]
    assert (view["low"], view["high"]) == (8.0, 11.5)
    hopeless = views(trial_sets(trials("V", [8.0, 30.0, 40.0, 50.0, 60.0])), {"t": 11.5}).set_index("set")
    assert hopeless.loc["all", "high"] == 40.0
    unknown = views(trial_sets(trials("V", [*spread(8.4, 20), 60.0]))).set_index("set")
    assert unknown.loc["all", "high"] == pytest.approx(8.5)
    upside_down = views(trial_sets(trials("V", [0.9, 0.8, 0.1])), {"t": 0.5}, {"t": "maximize"}).set_index("set")
    assert (upside_down.loc["all", "low"], upside_down.loc["all", "high"]) == (0.8, 0.9)


def test_few_bad_trials_leave_the_view_before_the_constant_predictor():
    sets = trial_sets(trials("V", [*np.linspace(3, 5, 20), 40.0]))
    view = views(sets, {"t": 85.0}).set_index("set").loc["all"]
    assert view["high"] == 5.0


def test_a_baseline_of_theory_is_always_in_view():
    sets = trial_sets(trials("V", [*np.linspace(0.001, 0.002, 20), 0.4]))
    view = views(sets, {"t": 0.167}, anchored=["t"]).set_index("set")
    assert (view["high"] == 0.167).all() and (view["low"] == 0.001).all()
    table = trials("V", [*np.linspace(0.001, 0.002, 20), 0.4])
    assert box_statistics(table, baselines={"t": 0.167}, anchored=["t"]).set_index("set").loc["all", "beyond"] == 1
    better = trial_sets(trials("V", [99.0, 100.0, 98.0]))
    view = views(better, {"t": 25.0}, {"t": "maximize"}, ["t"]).set_index("set").loc["all"]
    assert (view["low"], view["high"]) == (25.0, 100.0)


def test_best_curves_are_those_of_the_best_trial():
    table, lines = study(n=4)
    best = summary(table).set_index("variant")
    found = best_curves(table, lines)
    for variant, line in found.groupby("variant"):
        assert set(line["index"]) == {best.loc[variant, "best_index"]}
        marked = line[line["best"]]
        assert marked["epoch"].item() == best.loc[variant, "best_epoch"]
        assert marked["validation"].item() == pytest.approx(line["validation"].min())
    view = curve_views(found, {"jsb": BASELINE}).iloc[0]
    assert view["low"] == found["validation"].min()
    assert found.loc[found["best"], "validation"].max() <= view["high"] < found["validation"].max()


def every_table(table: pd.DataFrame, lines: pd.DataFrame) -> dict[str, pd.DataFrame]:
    sets, best = trial_sets(table), best_curves(table, lines)
    return {
        "scored": scored(table),
        "best_fraction": best_fraction(table),
        "trial_sets": sets,
        "counts": counts(table, ["jsb", "iam"], ["V", "NFG"], 6),
        "summary": summary(table),
        "compare": compare(table),
        "compare_sets": compare_sets(sets, "V"),
        "box_statistics": box_statistics(table, baselines={"jsb": BASELINE}),
        "views": views(sets, {"jsb": BASELINE}),
        "best_curves": best,
        "curve_views": curve_views(best, {"jsb": BASELINE}),
    }


def test_the_order_of_the_rows_never_shows():
    table, lines = study(("jsb", "iam"), n=12)
    table = pd.concat([table, trials("V", ["diverged"] * 3, task="dead")], ignore_index=True)
    expected = every_table(table, lines)
    shuffled = every_table(table.sample(frac=1, random_state=1), lines.sample(frac=1, random_state=2))
    for name, before in expected.items():
        pd.testing.assert_frame_equal(before, shuffled[name], check_exact=True, obj=name)


def test_no_trials_give_empty_tables():
    for name, table in every_table(NOTHING, NOTHING).items():
        assert len(table) == (4 if name == "counts" else 0), name


def test_the_input_is_left_as_it_was():
    table, lines = study(n=3)
    before = table.copy(), lines.copy()
    every_table(table, lines)
    pd.testing.assert_frame_equal(table, before[0])
    pd.testing.assert_frame_equal(lines, before[1])
