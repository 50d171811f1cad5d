"""Which variants are called different, and what is said beside it, against answers known beforehand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablate.analysis import AnalysisTables
from ablate.analysis.trials import MIN_TRIALS
from ablate.definitions.study_results import TaskMetadata, VariantMetadata
from ablate.statistics.families import benjamini_hochberg, holm
from ablate.statistics.planning import detectable_difference, trials_needed
from ablate.testing.synthetic import synthetic_results
from tests.made_studies import analysed, of_set, spread, trials

# Verdicts


def compared(*parts: pd.DataFrame, **study: Any) -> pd.DataFrame:
    """The comparisons over all trials, by variant."""
    return of_set(analysed(*parts, **study)["comparisons"], "all")


def test_verdicts_and_their_direction():
    parts = [trials(name, spread(mean)) for name, mean in (("V", 8.4), ("A", 9.4), ("B", 7.4))]
    parts.append(trials("C", spread(8.41)[::-1]))
    result = compared(*parts, baseline=20.0)
    assert list(result.loc[["A", "B", "C"], "verdict"]) == ["worse", "better", "no significant difference"]
    assert result.loc["A", "difference"] == pytest.approx(1.0)
    assert result.loc["C", "low"] < 0.01 < result.loc["C", "high"]
    assert "V" not in result.index
    upside_down = compared(*parts, direction="maximize", baseline=0.0)
    assert list(upside_down.loc[["A", "B"], "verdict"]) == ["better", "worse"]


def test_the_correction_runs_over_the_comparisons_of_one_task_and_set():
    means = (("V", 8.4), ("A", 8.47), ("B", 8.5))
    table = analysed(*(trials(name, spread(mean), task) for task in "st" for name, mean in means))["comparisons"]
    for _, family in table[table["set"].eq("all")].groupby("task"):
        assert list(family["correction"]) == ["Holm"] * 2
        assert list(family["p_adjusted"]) == pytest.approx(holm(list(family["p"])))


def test_many_comparisons_are_corrected_for_false_discoveries():
    parts = [trials(f"X{k}", spread(8.4 + 0.02 * k)) for k in range(11)]
    family = compared(trials("V", spread(8.4)), *parts)
    assert set(family["correction"]) == {"Benjamini-Hochberg"}
    assert list(family["p_adjusted"]) == pytest.approx(benjamini_hochberg(list(family["p"])))


def test_paired_trials_are_compared_draw_by_draw():
    rng = np.random.default_rng(0)
    draws = rng.normal(9, 3, 12)  # far apart, and the variant is worse at each
    row = compared(trials("V", list(draws)), trials("A", list(draws + 0.1 + 0.01 * rng.random(12))), baseline=20.0).loc[
        "A"
    ]
    assert (row["verdict"], row["p"], row["p_rank"]) == ("worse", 2 / 2**12, 2 / 2**12)
    assert (row["probability_better"], row["n"]) == (0.0, 12)
    assert row["low"] < row["difference"] < row["high"] < 0.12
    assert row["median_low"] <= row["median_difference"] <= row["median_high"]


def test_only_draws_that_both_have_are_paired():
    row = compared(trials("V", [*spread(8.4), "failed"]), trials("A", ["failed", *spread(8.6)])).loc["A"]
    assert (row["n"], row["n_reference"]) == (7, 7)


def test_independent_trials_are_compared_by_welch_and_mann_whitney():
    parts = trials("V", spread(8.4, 8)), trials("A", spread(8.5, 6))
    results = replace(analysed(*parts, baseline=20.0).results, configuration={"paired": False})
    row = of_set(AnalysisTables(results)["comparisons"], "all").loc["A"]
    a, b = spread(8.5, 6), spread(8.4, 8)
    assert row["design"] == "independent"
    assert row["p"] == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert row["p_rank"] == pytest.approx(stats.mannwhitneyu(a, b).pvalue)


def test_a_variant_that_always_diverges_is_worse_not_absent():
    result = compared(trials("V", [*spread(8.4), 9.9]), trials("A", ["diverged"] * 8))
    assert result["verdict"].item() == "worse"
    assert result["n"].item() == 8


def test_too_few_trials_give_no_verdict():
    result = compared(trials("V", spread(8.4)), trials("A", spread(99, MIN_TRIALS - 1)), trials("B", spread(8.5)))
    assert result.loc["A", "verdict"] == "too few trials"
    assert math.isnan(result.loc["A", "p_adjusted"])
    assert result.loc["B", "p_adjusted"] == result.loc["B", "p"]  # one test made, so nothing to correct


def test_failed_trials_are_no_trials():
    result = compared(trials("V", spread(8.4)), trials("A", [*spread(9, MIN_TRIALS - 1), "failed"]))
    assert result["verdict"].item() == "too few trials"


def test_the_best_tenth_is_not_tested_where_no_test_holds_its_level():
    for n, verdict in ((99, "too few trials"), (100, "worse")):
        rng = np.random.default_rng(1)
        draws = rng.normal(8.4, 0.3, n)
        parts = trials("V", list(draws)), trials("A", list(draws + 1))
        row = of_set(analysed(*parts)["comparisons"], "best").loc["A"]
        assert (row["verdict"], row["n"]) == (verdict, 10)
        assert row["difference"] == pytest.approx(1.0)
        assert math.isnan(row["p"]) == (n < 100)


def test_the_best_tenth_is_chosen_among_draws_that_both_have_ended():
    """A limit of time hits large networks: those that one variant has lost are not held against it."""
    rng = np.random.default_rng(3)
    scores = list(np.sort(rng.normal(8.4, 0.3, 140)))
    lost = ["failed"] * 20 + scores[20:]  # the best twenty, which in V's own best tenth would be all fourteen
    for one, other in ((scores, lost), (lost, scores)):
        row = of_set(analysed(trials("V", one), trials("A", other))["comparisons"], "best").loc["A"]
        assert (row["n"], row["difference"], row["verdict"]) == (12, 0.0, "no variance")
        assert row["mean"] == pytest.approx(np.mean(scores[20:32]))


@pytest.mark.calibration
@pytest.mark.parametrize(("design", "at_most"), [("paired", 0.1), ("independent", 1.0)])
def test_failures_of_the_largest_networks_of_one_variant_are_no_difference(design, at_most):
    """Where draws are shared. Where they are not, nothing says which trials are missing: the same check finds that."""
    rng = np.random.default_rng(0)
    studies, wrong = 60, {"all": 0, "best": 0}
    for _ in range(studies):
        size = rng.uniform(size=160)  # on which all depends; A and V are the same cell
        parts = []
        for name in ("V", "A"):
            validation = -1.5 * size + rng.normal(0, 0.5, 160)
            scores = [float(score) for score in validation + rng.normal(0, 0.1, 160)]
            kept = [score if name == "V" or each < 0.75 else "failed" for score, each in zip(scores, size, strict=True)]
            parts.append(trials(name, kept, validations=list(validation)))
        tables = analysed(*parts)
        if design == "independent":
            tables = AnalysisTables(replace(tables.results, configuration={"paired": False}))
        for name in wrong:
            wrong[name] += of_set(tables["comparisons"], name).loc["A", "p"] < 0.05
    assert all(count / studies <= at_most for count in wrong.values()), wrong
    assert design == "paired" or all(count / studies > 0.25 for count in wrong.values()), wrong


def test_the_best_tenth_turns_with_the_direction_of_the_score():
    rng = np.random.default_rng(2)
    draws = rng.normal(50, 3, 120)
    parts = trials("V", list(draws)), trials("A", list(draws + rng.normal(2, 0.3, 120)))
    better = of_set(analysed(*parts, direction="maximize")["comparisons"], "best").loc["A"]
    worse = of_set(analysed(*parts)["comparisons"], "best").loc["A"]
    assert (better["verdict"], worse["verdict"]) == ("better", "worse")
    for row in (better, worse):
        assert 0 < row["low"] < row["difference"] < row["high"]


def test_without_the_reference_or_without_others():
    table = trials("A", spread(8.4))
    assert compared(table)["verdict"].item() == "reference missing"
    assert compared(table, reference="A").empty
    assert set(analysed(table)["boxes"]["verdict"]) == {"reference missing"}


def test_equal_scores_throughout_differ_in_nothing():
    row = compared(trials("V", [8.4] * 6), trials("A", [8.4] * 6)).loc["A"]
    assert (row["verdict"], row["p"], row["p_rank"]) == ("no significant difference", 1.0, 1.0)


def test_equivalence_is_shown_and_not_concluded_from_a_missing_difference():
    close, wide = np.linspace(-0.01, 0.02, 8), np.linspace(-3, 3.1, 8)
    draws = np.array(spread(8.4))
    parts = trials("V", list(draws)), trials("close", list(draws + close)), trials("wide", list(draws + wide))
    found = compared(*parts, baseline=50.0, score="nats")
    assert list(found["margin"]) == [0.5, 0.5]  # 1 % of the way from the baseline to no loss at all
    assert found["verdict"].tolist() == ["no significant difference"] * 2
    assert found["equivalent"].to_dict() == {"close": True, "wide": False}
    assert found["p_equivalent"]["close"] < 0.05 < found["p_equivalent"]["wide"]
    assert not compared(*parts)["equivalent"].any()  # without a baseline there is no margin


def test_a_margin_is_of_the_way_to_a_perfect_score():
    assert TaskMetadata("t", score="accuracy", baseline=10.0).room == 90.0
    assert math.isnan(TaskMetadata("t", score="accuracy").room)
    assert math.isnan(TaskMetadata("t", baseline=10.0).room)  # a study of before scores were kept


# Settings trained anew, controls, tasks together


def with_replicates(*parts: pd.DataFrame, replicates: list[pd.DataFrame], **study: Any) -> AnalysisTables:
    return AnalysisTables(replace(analysed(*parts, **study).results, replicates=pd.concat(replicates)))


def again(variant: str, index: int, tests: list[float | str], purpose: str = "confirmation") -> pd.DataFrame:
    """Trainings of one setting, with a replicate number each."""
    table = trials(variant, tests).assign(purpose=purpose, replicate=range(1, len(tests) + 1))
    return table.assign(index=index)


def test_best_settings_trained_anew_are_compared_by_welch():
    search = trials("V", [9.0, 8.0, 8.5]), trials("A", [7.0, 9.5, 9.9])
    new = {"V": list(np.linspace(8.2, 8.4, 10)), "A": list(np.linspace(9.0, 9.4, 5))}
    stale = again("A", 1, [1.0] * 5)  # of a setting that was the best one before the search went on
    tables = with_replicates(
        *search, replicates=[again("V", 1, new["V"]), again("A", 0, new["A"]), stale], baseline=20.0
    )
    (row,) = of_set(tables["comparisons"], "confirmed").to_dict("records")
    assert (row["n"], row["n_reference"], row["design"]) == (5, 10, "independent")
    assert row["p"] == pytest.approx(stats.ttest_ind(new["A"], new["V"], equal_var=False).pvalue)
    assert (row["probability_better"], row["verdict"]) == (0.0, "worse")
    assert 0 <= row["probability_low"] < 1e-6 < row["probability_high"] < 0.5
    lucky = tables["confirmation_trials"].set_index("variant")["search_score"]
    assert set(lucky["A"]) == {7.0} and set(lucky["V"]) == {8.0}


def test_a_setting_that_diverges_when_trained_anew_counts_as_the_baseline():
    tables = with_replicates(
        trials("V", [8.0]),
        trials("A", [7.0]),
        baseline=20.0,
        replicates=[again("V", 0, spread(8.0, 6)), again("A", 0, ["diverged"] * 5)],
    )
    assert of_set(tables["comparisons"], "confirmed").loc["A", "mean"] == 20.0


def controlled(shift: float, n: int = 12) -> AnalysisTables:
    """Two controls: one as the reference, one that a fault has made worse by so much."""
    rng = np.random.default_rng(3)
    draws = rng.normal(9, 1, n)
    other = trials("V", list(draws + rng.normal(0, 0.2, n))).assign(purpose="control", replicate=1)
    faulty = trials("V", list(draws + shift)).assign(purpose="control", replicate=2)
    family = [trials("V", list(draws)), trials("A", list(draws + rng.normal(0, 0.2, n)))]
    return with_replicates(*family, replicates=[other, faulty], baseline=20.0)


def test_controls_are_variants_of_every_table_and_outside_every_family():
    tables = controlled(1.0)
    table = of_set(tables["comparisons"], "all")
    assert table["role"].to_dict() == {"control 1": "control", "control 2": "control", "A": "variant"}
    assert table.loc["A", "p_adjusted"] == table.loc["A", "p"]  # a family of one
    assert table.loc["control 2", "p_adjusted"] == pytest.approx(2 * table.loc["control 2", "p"])  # joined alone
    for name in ("boxes", "summary", "trial_counts", "scored_trials"):
        assert {"control 1", "control 2"} <= set(tables[name]["variant"]), name
    assert "control 1" not in set(tables["best_sets"]["variant"])
    assert "control 1" not in set(tables["paper_comparisons"]["variant"])


def test_verdicts_are_held_against_the_mean_of_the_reference_and_its_controls():
    """V was unlucky: A is nearer to the mean of V and its controls than to V, which are all in this mean."""
    rng = np.random.default_rng(8)
    draws, noise = rng.normal(9, 1, 12), lambda: rng.normal(0, 0.01, 12)
    scores = {"V": draws + 0.3, "A": draws, "B": draws - 1}
    tables = analysed(*(trials(name, list(x + noise())) for name, x in scores.items()))
    controls = [trials("V", list(draws + noise())).assign(purpose="control", replicate=k, reason="") for k in (1, 2)]
    tables = AnalysisTables(replace(tables.results, replicates=pd.concat(controls, ignore_index=True)))
    assert of_set(tables["comparisons"], "all")["verdict"].loc[["A", "B"]].tolist() == ["better", "better"]
    found = tables["steadier_reference"].set_index("variant")
    wide = tables["scored_trials"].pivot_table(index="index", columns="variant", values="score")
    for name in ("A", "B"):
        expected = (wide[name] - wide[["V", "control 1", "control 2"]].mean(axis=1)).mean()
        assert found.loc[name, "difference"] == pytest.approx(expected)
    assert found["n"].tolist() == [12, 12] and found.loc["B", "holds"]
    lucky = replace(tables.results, trials=tables.results.trials.query("variant != 'B'"))
    assert AnalysisTables(replace(lucky, replicates=lucky.replicates.head(0)))["steadier_reference"].empty


def test_the_rate_of_false_calls_and_what_it_excludes():
    rates = controlled(1.0)["control_rates"].set_index("set").loc["all"]
    assert (rates["comparisons"], rates["different"]) == (2, 1)
    none = controlled(0.0)["control_rates"].set_index("set").loc["all"]
    assert (none["different"], none["excluded_above"]) == (0, pytest.approx(1 - 0.05**0.5))


def test_pairs_that_are_equal_in_law_are_controls_where_both_ran():
    rng = np.random.default_rng(4)
    tables = analysed(*(trials(name, list(rng.normal(9, 1, 10))) for name in ("V", "A", "B")))
    variants = [VariantMetadata("V"), VariantMetadata("A"), VariantMetadata("B", equal_to="A")]
    results = replace(tables.results, variants=variants)
    (row,) = AnalysisTables(results)["controls"].to_dict("records")
    assert (row["kind"], row["variant"], row["reference"], row["n"]) == ("equal in law", "B", "A", 10)
    biased = replace(results, configuration={"training": {"forget_bias": 1.0}})
    assert AnalysisTables(biased)["controls"].empty


def test_the_best_set_names_what_cannot_be_told_from_the_best():
    rng = np.random.default_rng(5)
    draws = rng.normal(9, 1, 30)
    means = {"V": 0.0, "A": -0.5, "B": -0.5, "C": 2.0}
    tables = analysed(*(trials(name, list(draws + mean + rng.normal(0, 0.1, 30))) for name, mean in means.items()))
    found = of_set(tables["best_sets"], "all")
    assert set(found.index) == {"A", "B"} and found["best"].nunique() == 1
    assert found.loc[found["best"].iloc[0], "difference"] == 0.0


def test_tasks_together_weigh_alike_whatever_their_units_and_directions():
    rng = np.random.default_rng(6)
    draws, noise = rng.normal(0, 1, 12), rng.normal(0.5, 0.05, 12)
    one = [trials("V", list(9 + draws), "t"), trials("A", list(9 + draws + noise), "t")]
    other = [trials("V", list(900 - 100 * draws), "u"), trials("A", list(900 - 100 * (draws + noise)), "u")]
    results = replace(
        analysed(*one, *other).results,
        tasks=[TaskMetadata("t", baseline=99.0), TaskMetadata("u", direction="maximize", baseline=0.0)],
    )
    (row,) = AnalysisTables(results)["across_tasks"].to_dict("records")
    assert (row["verdict"], row["n"], row["tasks"]) == ("worse", 24, 2)
    assert row["difference"] == pytest.approx(noise.mean() / draws.std(ddof=1))
    assert row["mean_rank"] == 2.0
    assert AnalysisTables(analysed(*one).results)["across_tasks"].empty


def test_the_verdict_on_the_tasks_together_points_where_the_ranks_do():
    rng = np.random.default_rng(3)
    draws = np.append(rng.normal(9, 1, 19), 3.0)
    steps = np.where(np.arange(20) < 19, -0.2 - 0.01 * np.arange(20), 6.0)  # better at all draws but one
    parts = [part for t in "tu" for part in (trials("V", list(draws), t), trials("A", list(draws + steps), t))]
    (row,) = analysed(*parts)["across_tasks"].to_dict("records")
    assert (row["verdict"], row["difference"] > 0) == ("better", True)


def test_friedmans_test_waits_for_ten_tasks():
    for tasks, rows in ((9, 0), (10, 1)):
        names = tuple(f"t{k}" for k in range(tasks))
        tables = AnalysisTables(synthetic_results(names, ("V", "NFG", "SRN"), trials=6))
        assert len(tables["rank_tests"]) == rows
    row = tables["rank_tests"].iloc[0]
    assert (row["tasks"], row["variants"]) == (10, 3)
    assert row["critical_difference"] == pytest.approx(2.343 * math.sqrt(12 / 60), abs=1e-3)  # Demsar 2006, table 5


def test_planning_follows_the_study():
    rng = np.random.default_rng(7)
    draws = rng.normal(9, 2, 40)
    tables = analysed(*(trials(name, list(draws + rng.normal(0, 1, 40))) for name in ("V", "A", "B")))
    table = tables["planning"]
    row = table.iloc[0]
    assert (row["comparisons"], row["n"]) == (2, 40)
    assert row["correlation"] == pytest.approx(4 / 5, abs=0.1)
    assert row["detectable"] == detectable_difference(40, 2, row["correlation"])
    assert list(table["trials"]) == [trials_needed(each, 2, row["correlation"]) for each in (1.0, 0.5, 0.25)]
