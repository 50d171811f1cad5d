"""Figures and sections in every state of a study: unfinished, failed, without scores, read the other way round."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ablate.definitions.study_results import VariantMetadata
from ablate.report import FIGURES, SECTIONS
from ablate.testing.analyses import check_figure, check_section
from ablate.testing.synthetic import synthetic_results, unusual_results, without_scores
from tests.test_report import Page, page_of


@pytest.mark.parametrize("name", [entry.name for entry in FIGURES])
def test_contract_of_figures(name):
    check_figure(name)


@pytest.mark.parametrize("name", [entry.name for entry in SECTIONS])
def test_contract_of_sections(name):
    check_section(name)


def test_the_page_stands_in_every_state_of_a_study():
    said = {
        "no trial": "No trial has ended yet; 36 are planned",
        "no column": "No trial has ended yet; 36 are planned",
        "nothing planned": "Nothing is planned",
        "one variant": "only one variant has a score, so there is nothing to compare",
        "one trial": "nothing to compare",
        "only diverged trials": "36 diverged",
        "only failed trials": "36 failed",
        "constant scores": "no significant difference from V: NFG, SRN",
        "reference missing": "the reference V has no score",
        "higher is better": "higher is better",
    }
    for state, results in unusual_results().items():
        text = page_of(results)
        Page(text)
        assert said.get(state, "") in text, state
        assert "nan" not in text.lower().split(), state


def test_failures_are_told_with_their_reasons():
    text = page_of(without_scores(synthetic_results(trials=2), "failed"))
    assert "Boom &lt;b&gt;: bad" in text and "Failed trials (22)" in text


def test_an_unfinished_study_says_so():
    results = synthetic_results(variants=("V", "NFG"), trials=5)
    text = page_of(replace(results, variants=[*results.variants, VariantMetadata("NP")], expected_trials=9))
    ended = results.trials["state"].isin(["completed", "diverged", "failed"]).sum()
    assert f"{27 - ended} are missing: all that follows may still change" in text


def test_tasks_and_variants_that_the_study_does_not_announce_are_shown():
    results = synthetic_results(("jsb", "iam"), ("V", "XYZ"), trials=6)
    rows = Page(page_of(replace(results, tasks=results.tasks[:1], variants=results.variants[:1])))
    shown = [row[:2] for row in rows.rows("task", "variant", "planned")]
    assert shown == [["jsb", "V"], ["jsb", "XYZ"], ["iam", "V"], ["iam", "XYZ"]]


def test_where_higher_is_better_the_verdicts_turn_around():
    results = synthetic_results(variants=("V", "NFG"), trials=60)
    trials = results.trials.assign(validation=-results.trials["validation"], test=-results.trials["test"])
    tasks = [replace(results.tasks[0], direction="maximize", baseline=-11.9)]
    assert "significantly worse than V: NFG (−0." in page_of(replace(results, trials=trials, tasks=tasks))
