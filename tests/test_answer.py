"""The answer at the top of the page: its words follow from the verdicts, with grammar for one and for many."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import StudyResults, TaskMetadata, VariantMetadata
from ablate.report.answer import answer
from ablate.report.sections.findings import findings
from ablate.testing.synthetic import unusual_results
from tests.made_studies import NOTHING, spread, trials

SUMMARIES = {
    "V": "vanilla",
    "NFG": "no forget gate: f = 1",
    "NIG": "no input gate: i = 1",
    "NP": "no peepholes",
    "CIFG": "coupled input and forget gate: f = 1 - i",
    "GRU": "gated recurrent unit",
}
GOOD, EQUAL, BAD = 7.0, 8.0, 9.0


def study(means: dict[str, dict[str, float]], **changed: Any) -> StudyResults:
    """A study of eight paired trials with these mean scores by task and variant, V at 8."""
    parts = []
    for task, by_variant in means.items():
        for name, mean in {"V": EQUAL, **by_variant}.items():
            # What equals V does so draw by draw.
            parts.append(trials(name, spread(mean) if name == "V" or mean == EQUAL else spread(mean)[::-1], task))
    names = dict.fromkeys(["V", *(name for each in means.values() for name in each)])
    variants = [VariantMetadata(name, SUMMARIES[name], parent=None if name in ("V", "GRU") else "V") for name in names]
    tasks = [TaskMetadata(task, score="nats", metric="nats", baseline=20.0) for task in means]
    return replace(
        StudyResults("s", pd.concat(parts, ignore_index=True), NOTHING, NOTHING, tasks, variants, 8), **changed
    )


def said(results: StudyResults) -> dict[str, str]:
    return {line.lead: line.text for line in answer(results, AnalysisTables(results))}


def test_a_part_without_which_the_score_is_worse_matters():
    (lead, text), *_ = said(study({"music": {"NFG": BAD}})).items()
    assert lead == "The forget gate matters on music"
    assert text.startswith("without it (NFG) the score is worse by 1.00 [0.8") and text.endswith("].")


def test_several_parts_are_said_together_in_the_plural_the_largest_first():
    found = said(study({"music": {"NIG": BAD, "NFG": 10.0}, "speech": {"NIG": BAD, "NFG": 10.0}}))
    text = found["The forget gate and the input gate matter on both tasks"]
    assert text.startswith("without them the score is worse: NFG by 2.00 [") and "; NIG by 1.00 [" in text
    assert text.count(" on music") == text.count(" on speech") == 2


def test_what_depends_on_the_task_is_said_so():
    found = said(study({"music": {"NFG": BAD}, "speech": {"NFG": GOOD}}))
    text = found["The forget gate depends on the task"]
    assert "worse by 1.00" in text and "] on music and better by 1.00" in text and text.endswith("] on speech.")


def test_equality_is_said_only_where_it_is_shown():
    results = study({"music": {"NP": EQUAL, "NIG": EQUAL}})
    wide = trials("NIG", [8 + step for step in (-3, 3, -2, 2, -1, 1, -3.1, 3.2)], "music")
    rest = results.trials[results.trials["variant"].ne("NIG")]
    found = said(replace(results, trials=pd.concat([rest, wide], ignore_index=True)))
    assert found["Peepholes do not matter"] == "NP is shown to be within the margin on music."
    assert found["Not told, neither different nor equal"] == "no input gate (NIG)."


def test_where_higher_is_better_worse_is_still_a_positive_number():
    results = study({"music": {"NFG": GOOD}})
    task = TaskMetadata("music", score="accuracy", direction="maximize", baseline=0.0)
    assert said(replace(results, tasks=[task]))["The forget gate matters on music"].startswith(
        "without it (NFG) the score is worse by 1.00 [0.8"
    )


def test_a_verdict_that_tuning_turns_is_told_as_such():
    """CIFG fails more often and is better where it does not; NP and NFG are worse and equal throughout."""
    generator = np.random.default_rng(3)
    draws = np.sort(generator.normal(8.0, 1.0, 120))
    scores = {
        "V": draws,
        "CIFG": draws + np.where(draws < np.quantile(draws, 0.2), -0.5, 1.5) + generator.normal(0, 0.01, 120),
        "NFG": draws + 1.0 + generator.normal(0, 0.01, 120),
        "NP": draws + generator.normal(0, 0.01, 120),
    }
    few = study({"music": dict.fromkeys(("CIFG", "NFG", "NP"), BAD)})
    table = pd.concat([trials(name, list(values), "music") for name, values in scores.items()], ignore_index=True)
    results = replace(few, trials=table, expected_trials=120)
    assert said(results)["Turned by tuning"] == "CIFG on music is worse at random settings, and better once tuned."
    assert "Turned by tuning" not in said(few)


def test_other_changes_and_other_cells_are_named_by_what_they_are():
    found = said(study({"music": {"CIFG": GOOD, "GRU": BAD}}))
    assert found["Coupled input and forget gate (CIFG) is better on music"].startswith("by 1.00 [")
    assert found["Other cells on music"].startswith("worse: GRU (+1.00")


def test_a_verdict_on_tasks_together_against_the_mean_is_told_as_one_of_ranks():
    """A cell that is a little better at all draws but one, and far worse there, is better by ranks."""
    draws = np.append(np.linspace(7, 10, 19), 3.0)
    steps = np.where(np.arange(20) < 19, -0.2 - 0.01 * np.arange(20), 6.0)
    parts = [part for t in "ab" for part in (trials("V", list(draws), t), trials("GRU", list(draws + steps), t))]
    results = study({"a": {"GRU": BAD}, "b": {"GRU": BAD}}, trials=pd.concat(parts, ignore_index=True))
    found = said(replace(results, expected_trials=20))
    (text,) = [text for lead, text in found.items() if "2 tasks together" in lead]
    assert re.fullmatch(r"better: GRU \(\+\d\.\d+†?, by ranks\)\.", text), text


def test_a_task_on_which_nothing_was_learned_is_told_instead_of_compared():
    results = study({"music": {"NFG": EQUAL}, "speech": {"NFG": BAD}})
    results = replace(results, tasks=[replace(results.tasks[0], baseline=7.0), results.tasks[1]])
    found = said(results)
    assert found["On music nothing was learned"] == "not one of 16 trials beats the constant predictor."
    details = dict(findings(results, AnalysisTables(results)))
    assert details["music"] == ["Nothing was learned: not one of 16 trials beats the constant predictor."]
    assert any("significantly worse than V: NFG" in sentence for sentence in details["speech"])


def test_divergence_and_learning_nothing_are_told_by_variant_and_task():
    results = study({"music": {"NFG": BAD}})
    lost = trials("NP", ["diverged"] * 8, "music")
    results = replace(results, trials=pd.concat([results.trials, lost], ignore_index=True), expected_trials=8)
    found = said(results)
    assert found["Diverged"] == "NP in 8 of 8 trials (music 8)."
    assert found["Nothing was learned in any trial"] == "by NP on music."


@pytest.mark.parametrize("state", list(unusual_results()))
def test_there_is_an_answer_in_every_state_of_a_study_and_it_is_short(state):
    results = unusual_results()[state]
    lines = answer(results, AnalysisTables(results))
    assert len(lines) <= 16 and all(line.lead and line.text.endswith(".") for line in lines)
    assert "nan" not in " ".join(f"{line.lead} {line.text}" for line in lines).lower().split()
