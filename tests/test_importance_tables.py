"""Importance from a study's trials to its page: known answers, and nothing claimed that the numbers do not carry."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

import ablate
from ablate.analysis import AnalysisTables
from ablate.analysis.axes import places, values
from ablate.analysis.responses import MOST_POINTS, POOLED, responses
from ablate.cli.main import main
from ablate.definitions.study_results import StudyResults, TaskMetadata
from ablate.kept import Kept
from ablate.plan.search_space import SCALES
from ablate.report import FIGURES, SECTIONS
from ablate.report.page import render_section
from ablate.report.tuning import first_to_tune, tuning_advice
from ablate.testing.analyses import unclosed_elements

SEARCH = {
    "hidden_size": {"low": 20, "high": 200, "scale": "log"},
    "learning_rate": {"low": 1e-6, "high": 1e-2, "scale": "log"},
    "input_noise": {"low": 0.0, "high": 1.0, "scale": "linear"},
    "momentum": 0.9,
}
TABLES = ("importance", "importance_marginals", "importance_surfaces")


def here(function, inputs):
    return ((place, function(**each)) for place, each in enumerate(inputs))


def never(function, inputs):
    raise AssertionError("computed without need")


def made_study(
    variants=("V",), n: int = 60, paired=True, sign: float = 1.0, seed: int = 0, noise: float = 0.0, kept=None
) -> StudyResults:
    """Scores 3 lr + 2 size on places between 0 and 1, the variants 10 apart, and seconds 2 size^2."""
    rng = np.random.default_rng(seed)
    parts = []
    draws = rng.random((n, 3))
    for k, variant in enumerate(variants):
        size, rate, inputs = (draws if paired or k == 0 else rng.random((n, 3))).T
        score = 3 * rate + 2 * size + 10 * k + noise * rng.normal(size=n)
        rows = {"index": range(n), "hidden_size": 20 * 10**size, "learning_rate": 1e-6 * 1e4**rate, "momentum": 0.9}
        rows |= {"input_noise": inputs, "validation": sign * score, "test": sign * score, "seconds": 2 * 100**size}
        parts.append(pd.DataFrame({"task": "t", "variant": variant, "state": "completed", **rows}))
    nothing = pd.DataFrame()
    direction = "minimize" if sign > 0 else "maximize"
    tasks = [TaskMetadata("t", metric="points", direction=direction, baseline=sign * 100.0)]
    table = pd.concat(parts, ignore_index=True)
    known = {"configuration": {"search": SEARCH}, "kept": kept or Kept(None, here)}
    return StudyResults("s", table, nothing, nothing, tasks, [], n, **known)


@pytest.fixture(scope="module")
def tables() -> AnalysisTables:
    """Of two variants, with what was measured of them."""
    return AnalysisTables(made_study(("V", "NFG")))


def shares(table: pd.DataFrame, **of: str) -> dict[str, float]:
    of = {"variant": "V", "response": "score", "region": "whole"} | of
    rows = table[table["speaks"] & table["term"].eq("main")]
    for column, value in of.items():
        rows = rows[rows[column].eq(value)]
    return dict(zip(rows["axis"], rows["share"], strict=True))


@pytest.mark.parametrize("variant", ["V", "NFG", POOLED])
def test_shares_on_logarithmic_axes_are_known(tables, variant):
    found = shares(tables["importance"], variant=variant)
    assert found == pytest.approx({"hidden_size": 4 / 13, "learning_rate": 9 / 13, "input_noise": 0}, abs=0.03)
    times = shares(tables["importance"], variant=variant, response="seconds")
    assert times == pytest.approx({"hidden_size": 1, "learning_rate": 0, "input_noise": 0}, abs=0.02)


def test_both_surrogates_stand_beside_one_another_and_one_speaks(tables):
    table = tables["importance"].drop_duplicates(["variant", "response", "region", "surrogate"])
    for _, rows in table.groupby(["variant", "response", "region"]):
        assert set(rows["surrogate"]) == {"forest", "gaussian process"}
        assert list(rows["speaks"]) == [True, False] and rows["r2"].is_monotonic_decreasing


def test_terms_make_one(tables):
    table = tables["importance"]
    sums = table.groupby(["variant", "response", "region", "surrogate"])["share"].sum()
    assert sums.to_numpy() == pytest.approx(1, abs=0.02)


def test_marginals_are_in_the_units_of_values_scores_and_seconds(tables):
    table = tables["importance_marginals"]
    whole = table[table["region"].eq("whole") & table["variant"].eq("V")]
    rate = whole[whole["axis"].eq("learning_rate") & whole["response"].eq("score")]
    assert rate["value"].iloc[[0, -1]].to_numpy() == pytest.approx([1e-6, 1e-2])
    assert rate["mean"].iloc[[0, -1]].to_numpy() == pytest.approx([1.0, 4.0], abs=0.05)  # size alone gives 1 on average
    time = whole[whole["axis"].eq("hidden_size") & whole["response"].eq("seconds")]
    assert time["mean"].iloc[[0, -1]].to_numpy() == pytest.approx([2, 200], rel=0.05)
    assert (table["low"] <= table["mean"]).all() and (table["mean"] <= table["high"]).all()
    pooled = table[table["variant"].eq(POOLED) & table["axis"].eq("learning_rate") & table["response"].eq("score")]
    assert pooled["mean"].iloc[0] == pytest.approx(1.0 + 5.0, abs=0.1)  # the variants' means lie 10 apart


def test_a_surface_is_the_marginals_where_nothing_interacts(tables):
    table = tables["importance_surfaces"]
    rows = table[table["variant"].eq("V") & table["other"].eq("learning_rate")]
    size, rate = (
        places(rows.rename(columns={column: name}), name, SEARCH[name])
        for column, name in (("value", "hidden_size"), ("other_value", "learning_rate"))
    )
    assert rows["mean"].to_numpy() == pytest.approx(3 * rate + 2 * size, abs=0.05)
    assert rows["interaction"].abs().max() < 0.02


def test_where_higher_is_better_shares_stay_and_marginals_turn_around():
    tables = AnalysisTables(made_study(n=200, sign=-1.0))
    assert shares(tables["importance"]) == pytest.approx(
        {"hidden_size": 4 / 13, "learning_rate": 9 / 13, "input_noise": 0}, abs=0.03
    )
    rows = tables["importance_marginals"].query("axis == 'learning_rate' and response == 'score' and region == 'whole'")
    assert rows["mean"].iloc[[0, -1]].to_numpy() == pytest.approx([-1.0, -4.0], abs=0.05)
    good = tables["importance_marginals"].query("axis == 'learning_rate' and region == 'good'")
    assert good["value"].max() < 1e-3  # the good trials are those of small losses


def test_pooled_trials_at_one_draw_are_one_point_and_few_are_chosen_of_many():
    points = {}
    for paired in (True, False):
        results = made_study(("V", "NFG", "NP"), n=150, paired=paired)
        found = responses(results, AnalysisTables(results))
        points[paired] = [len(each.y) for each in found if each.variant == POOLED]
    assert points == {True: [150, 150], False: [MOST_POINTS, MOST_POINTS]}


def test_few_trials_are_never_fitted():
    tables = AnalysisTables(made_study(n=49, kept=Kept(None, never)))
    assert list(tables["importance"]["reason"]) == ["too few trials"] * 2
    assert not tables["importance"]["claimed"].any() and tables["importance"]["share"].isna().all()
    assert tables["importance_marginals"].empty and tables["importance_surfaces"].empty


def test_of_noise_nothing_is_claimed():
    results = made_study(noise=20.0)
    tables = AnalysisTables(results)
    found = tables["importance"].query("response == 'score'")
    assert not found["claimed"].any() and set(found.query("region == 'whole'")["reason"]) == {"poorly predicted"}
    assert set(tables["importance_marginals"]["response"]) == {"seconds"}
    assert tuning_advice(results, tables) == ["On t nothing can be claimed of any variant: R² below 0.5."]


def test_controls_are_left_out_and_diverged_trials_count_as_the_baseline():
    results = made_study()
    controls = results.trials.assign(purpose="control", replicate=1)
    diverged = results.trials.assign(state=["diverged"] * 5 + ["completed"] * 55)
    results = replace(results, trials=diverged, replicates=controls)
    found = responses(results, AnalysisTables(results))
    assert {each.variant for each in found} == {"V"}
    score = next(each for each in found if each.response == "score")
    assert len(score.y) == 60 and sorted(score.y)[-5:] == [100.0] * 5


def test_the_order_of_the_trials_shows_nowhere(tables):
    results = made_study(("V", "NFG"))
    shuffled = AnalysisTables(replace(results, trials=results.trials.sample(frac=1, random_state=0)))
    for name in TABLES:
        pd.testing.assert_frame_equal(shuffled[name], tables[name], check_exact=True)


def test_what_is_kept_is_shown_and_what_is_not_says_so(tmp_path):
    results = made_study(kept=Kept(tmp_path))
    before = AnalysisTables(results)
    assert set(before["importance"]["reason"]) == {"not computed"}
    assert "--report-only --full" in " ".join(tuning_advice(results, before))
    computed = AnalysisTables(replace(results, kept=Kept(tmp_path, here)))
    assert computed["importance"]["claimed"].any()
    after = AnalysisTables(replace(results, kept=Kept(tmp_path)))
    for name in TABLES:
        pd.testing.assert_frame_equal(after[name], computed[name], check_exact=True)
    more = replace(made_study(n=61), kept=Kept(tmp_path))
    assert set(AnalysisTables(more)["importance"]["reason"]) == {"not computed"}


def test_a_study_without_ranges_has_no_importance():
    results = replace(made_study(), configuration={"search": {"learning_rate": 1e-3}})
    tables = AnalysisTables(results)
    assert all(tables[name].empty for name in TABLES) and tuning_advice(results, tables) == []


def test_one_axis_is_enough():
    results = replace(made_study(n=150), configuration={"search": {"learning_rate": SEARCH["learning_rate"]}})
    tables = AnalysisTables(results)
    assert shares(tables["importance"]) == pytest.approx({"learning_rate": 1.0})
    assert len(said := tuning_advice(results, tables)) == 1 and "tune learning rate first" in said[0]
    for name in ("shares", "marginals", "times", "surfaces"):
        FIGURES[f"importance_{name}"](tables).draw_without_rendering()


def test_the_advice_is_what_the_table_says(tables):
    said = tuning_advice(tables.results, tables)
    assert said[0].startswith("On t, tune learning rate first: by itself it explains 69 % of what can be predicted")
    assert "60 draws" in said[0] and "hidden size 31 %" in said[0]
    assert "Interactions on t are small" in said[1]
    assert said[2] == "One by one on t, learning rate comes first for V, NFG."


def test_the_answer_has_what_to_tune_first_in_one_sentence(tables):
    (said,) = first_to_tune(tables.results, tables)
    assert said.startswith("To tune first: learning rate (69 %) on t. ")
    assert first_to_tune(tables.results, {"importance": tables["importance"].assign(claimed=False)}) == []


def test_shares_that_are_near_one_another_are_not_ranked(tables):
    table = tables["importance"]
    even = table.assign(share=table["share"].where(table["term"].ne("main"), 0.33))
    said = tuning_advice(tables.results, {"importance": even})
    assert "are not told apart" in said[0]
    assert "tune hidden size (33 %), learning rate (33 %) and input noise (33 %) first" in said[0]


def test_strong_interactions_are_named(tables):
    table = tables["importance"]
    pair = table["axis"].eq("hidden_size") & table["other"].eq("learning_rate")
    strong = table.assign(share=table["share"].mul(0.5).where(~pair, 0.5))
    assert (
        "hidden size with learning rate (50 %), which is better tuned together"
        in tuning_advice(tables.results, {"importance": strong})[1]
    )


@pytest.mark.parametrize("name", ["shares", "marginals", "times", "surfaces"])
def test_figures_show_what_is_claimed(tables, name):
    picture = FIGURES[f"importance_{name}"](tables)
    picture.draw_without_rendering()
    assert picture.axes and picture.get_size_inches()[0] <= 7.21


@pytest.mark.parametrize("name", ["shares", "marginals", "times", "surfaces"])
@pytest.mark.parametrize(("tasks", "variants"), [(8, 2), (2, 40)])
def test_figures_of_large_studies_fit_a_page_and_show_every_task(tables, name, tasks, variants):
    def large(table):
        """What was found of one variant, of so many and of all together, on so many tasks."""
        one = table[table["variant"].eq("V")]
        copies = [one.assign(variant=each) for each in (POOLED, "V", *(f"X{k}" for k in range(variants - 1)))]
        return pd.concat([pd.concat(copies).assign(task=f"task{k}") for k in range(tasks)], ignore_index=True)

    known = pd.concat([tables["tasks"].assign(task=f"task{k}") for k in range(tasks)])
    every = {each: large(tables[each]) for each in TABLES} | {"tasks": known, "variants": tables["variants"]}
    picture = FIGURES[f"importance_{name}"](every)
    picture.draw_without_rendering()
    assert picture.get_size_inches()[0] <= 7.21
    shown = " ".join(text.get_text() for text in picture.findobj(Text))
    assert all(f"task{k}" in shown for k in range(tasks))


def test_bars_are_the_shares_of_the_table(tables):
    ax = FIGURES["importance_shares"](tables).axes[0]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [POOLED, "V", "NFG"]
    for place, variant in enumerate(labels):
        widths = [bar.get_width() for bar in ax.patches if abs(bar.get_y() + bar.get_height() / 2 - place) < 1e-9]
        assert sum(widths) == pytest.approx(1, abs=0.02)
        assert max(widths) == pytest.approx(shares(tables["importance"], variant=variant)["learning_rate"])


def test_sections_are_whole_and_the_page_has_both_surrogates(tables):
    for name in ("importance", "importance_shares", "importance_marginals", "importance_times", "importance_surfaces"):
        section = SECTIONS[name]
        html = render_section(section, tables.results, {each: tables[each] for each in section.tables}, {name: "f.svg"})
        assert html is not None and not unclosed_elements(html) and "nan" not in html.lower().split()
        if name == "importance":
            assert html.count("<td>0.69</td>") >= 2 and "gaussian process" in html and "forest" in html


@pytest.mark.parametrize("scale", SCALES)
def test_values_are_places_turned_round(scale):
    axis = {"low": 0.01, "high": 0.9, "scale": scale}
    at = np.linspace(0, 1, 11)
    assert places(pd.DataFrame({"a": values(at, axis)}), "a", axis) == pytest.approx(at)


@pytest.fixture
def longer_study(study: Path, tmp_path: Path) -> Path:
    """A copy of a study, with the trials that a longer search might have given."""
    folder = tmp_path / "results" / "s"
    shutil.copytree(study / "results" / "s", folder)
    trials = pd.read_csv(folder / "trials.csv").query("variant == 'V'").head(1)
    made = made_study(noise=0.1).trials
    trials = pd.concat([trials] * len(made), ignore_index=True).assign(
        **made[["index", "learning_rate", "input_noise", "validation", "test", "seconds"]],
        hidden_size=np.random.default_rng(0).integers(2, 7, len(made)),
    )
    trials["learning_rate"] = 1e-3 * 10 ** np.random.default_rng(1).uniform(0, 2, len(made))
    trials["test"] = trials["validation"] = np.log(trials["learning_rate"])
    trials.to_csv(folder / "trials.csv", index=False)
    (folder / "curves.csv").unlink()  # of other trials
    return folder


def test_the_command_computes_importance_when_it_is_asked_to(longer_study, capsys):
    where = ["--report-only", "--study", "s", "--results", str(longer_study.parent), "--jobs", "1"]
    assert main(where) == 0
    table = longer_study / "report" / "tables" / "importance.csv"
    assert set(pd.read_csv(table)["reason"]) == {"not computed"}
    assert main([*where, "--full"]) == 0
    assert "fitting for importance: 2/2" in capsys.readouterr().out
    computed = table.read_bytes()
    assert shares(pd.read_csv(table))["learning_rate"] > 0.95
    assert "tune learning rate first" in (longer_study / "report" / "index.html").read_text(encoding="utf-8")
    assert main(where) == 0
    assert table.read_bytes() == computed and "fitting" not in capsys.readouterr().out


def test_a_notebook_reads_what_is_kept_and_may_compute_it(longer_study):
    study = ablate.load(longer_study)
    assert set(study.table("importance")["reason"]) == {"not computed"}
    study.report(full=True)
    assert study.table("importance")["claimed"].any()
    assert ablate.load(longer_study).table("importance").equals(study.table("importance"))
