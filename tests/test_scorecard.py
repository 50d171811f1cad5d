"""The scorecard: what supports a claim, what contradicts it, and what of it cannot be told."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablate.analysis import AnalysisTables
from ablate.analysis.claims import CLAIMS, GREFF
from ablate.analysis.scorecard import scorecard
from ablate.definitions.study_results import StudyResults, TaskMetadata
from ablate.definitions.variant import VARIANTS
from ablate.statistics.ranks import rank_correlation
from tests.made_studies import NOTHING, trials

STEPS = np.linspace(-0.01, 0.01, 8)  # far within the margin of 0.2


def study(means: dict[str, float], spread: float = 1.0, task: str = "music") -> StudyResults:
    """Best settings trained anew eight times with these means, V and its eight at 8.0 where nothing else is said."""
    means = {**dict.fromkeys(("V", *GREFF.variants), 8.0), **means}
    again = [
        trials(name, list(mean + spread * np.roll(STEPS, k)), task).assign(
            purpose="confirmation", replicate=range(1, 9), index=0
        )
        for k, (name, mean) in enumerate(means.items())
    ]
    search = pd.concat([trials(name, [mean] * 6, task) for name, mean in means.items()], ignore_index=True)
    metadata = TaskMetadata(task, score="nats", metric="nats", baseline=20.0, source="some data")
    replicates = pd.concat(again, ignore_index=True)
    return StudyResults("s", search, NOTHING, NOTHING, [metadata], [], 6, replicates=replicates)


def said(results: StudyResults, claim: str, task: str = "music") -> tuple[str, str]:
    table = AnalysisTables(results)["scorecard"]
    (row,) = table[table["claim"].str.startswith(claim) & table["task"].eq(task)].to_dict("records")
    return row["verdict"], row["reason"]


def test_a_claimed_loss_is_supported_by_a_significant_one_and_contradicted_by_equality():
    assert said(study({"NFG": 9.0}), "Without its forget gate V is worse") == ("supports", "worse")
    assert said(study({"NFG": 7.0}), "Without its forget gate V is worse") == ("contradicts", "better")
    assert said(study({}), "Without its forget gate V is worse") == ("contradicts", "within the margin")
    wide = study({"NFG": 8.5}, spread=300)
    assert said(wide, "Without its forget gate V is worse") == ("cannot tell", "no significant difference")


def test_that_nothing_differs_is_supported_by_equivalence_and_never_by_a_test_that_found_nothing():
    claim = "Without its input gate V does not differ"
    assert said(study({}), claim) == ("supports", "within the margin")
    assert said(study({}, spread=300), claim) == ("cannot tell", "no significant difference")
    assert said(study({"NIG": 9.0}), claim) == ("contradicts", "worse")


def test_that_something_does_not_hurt_takes_no_more_than_being_worse_by_less_than_the_margin():
    claim = "Coupling input and forget gate does not hurt"
    assert said(study({"CIFG": 7.0}), claim)[0] == "supports"
    assert said(study({}), claim)[0] == "supports"
    assert said(study({}, spread=300), claim)[0] == "cannot tell"
    assert said(study({"CIFG": 9.0}), claim)[0] == "contradicts"


def test_that_none_is_better_falls_with_one_that_is():
    claim = "No variant is significantly better"
    assert said(study({"NFG": 9.0}), claim)[0] == "supports"
    assert said(study({"NFG": 9.0, "NP": 7.0}), claim) == ("contradicts", "better: NP")
    assert said(study({}, spread=300), claim)[0] == "cannot tell"
    results = study({})
    fewer = results.replicates[results.replicates["variant"].ne("FGR")]
    assert said(replace(results, replicates=fewer), claim)[0] == "cannot tell"  # of FGR nothing is known


def test_the_most_critical_parts_are_worse_to_lose_than_every_other():
    claim = "The forget gate and the output activation"
    assert said(study({"NFG": 9.0, "NOAF": 9.5}), claim)[0] == "supports"
    assert said(study({"NFG": 9.0, "NOAF": 9.5, "FGR": 9.3}), claim) == ("contradicts", "FGR is worse than NFG")
    assert said(study({"NFG": 9.0, "NOAF": 9.5, "FGR": 9.0}), claim)[0] == "cannot tell"


def test_settings_drawn_at_random_do_not_speak_of_tuned_cells():
    results = replace(study({"NFG": 12.0}), replicates=NOTHING)
    verdict, reason = said(results, "Without its forget gate V is worse")
    assert verdict == "cannot tell" and "best settings trained anew (--confirm 5)" in reason


def test_what_the_study_lacks_is_named():
    results = study({})
    table = AnalysisTables(results)["scorecard"]
    assert set(table.loc[table["task"].eq("text"), "reason"]) == {"the study has no task text"}
    fewer = {"trials": results.trials, "replicates": results.replicates}
    results = replace(results, **{name: table[table["variant"].ne("NFG")] for name, table in fewer.items()})
    assert said(results, "Without its forget gate V is worse") == ("cannot tell", "no trials of NFG")


@pytest.mark.parametrize(("slope", "verdict"), [(-0.02, "supports"), (0.02, "contradicts"), (0.0, "cannot tell")])
def test_larger_networks_are_better_where_the_loss_falls_with_size(slope: float, verdict: str):
    rng = np.random.default_rng(0)
    sizes = rng.uniform(20, 200, 30)
    parts = [
        trials(name, list(9 + slope * sizes + rng.normal(0, 0.3, 30))).assign(hidden_size=sizes, task="music")
        for name in ("V", "NFG")
    ]
    results = replace(study({}), trials=pd.concat(parts, ignore_index=True))
    assert said(results, "Larger networks are better")[0] == verdict


def test_the_interval_of_a_rank_correlation_covers_it():
    rng, rho = np.random.default_rng(1), 0.6
    true = 6 / np.pi * np.arcsin(rho / 2)  # of the ranks, under a normal law
    covered = 0
    for _ in range(400):
        x, y = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 40).T
        found = rank_correlation(x, y)
        assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
        covered += found.low <= true <= found.high
    assert 0.92 <= covered / 400 <= 0.98
    assert np.isnan(rank_correlation([1, 2, 3, 4], [5, 5, 5, 5]).value)


@pytest.mark.parametrize(
    ("claim", "main", "pair", "verdict"),
    [
        ("The learning rate is the most important", {"learning_rate": 0.5, "momentum": 0.1}, 0.0, "supports"),
        ("The learning rate is the most important", {"learning_rate": 0.1, "momentum": 0.5}, 0.0, "contradicts"),
        ("The learning rate is the most important", {"learning_rate": 0.3, "momentum": 0.32}, 0.0, "cannot tell"),
        ("The learning rate explains over", {"learning_rate": 0.8}, 0.0, "supports"),
        ("The learning rate explains over", {"learning_rate": 0.68}, 0.0, "cannot tell"),  # known to 0.05
        ("The learning rate explains over", {"learning_rate": 0.5}, 0.0, "contradicts"),
        ("Momentum explains less", {"momentum": 0.2}, 0.0, "contradicts"),
        ("All interactions explain", {"learning_rate": 0.8, "momentum": 0.07}, 0.1, "supports"),
        ("All interactions explain", {"learning_rate": 0.5, "momentum": 0.1}, 0.4, "contradicts"),
        ("Learning rate and size hardly", {"learning_rate": 0.5, "hidden_size": 0.2}, 0.3, "contradicts"),
    ],
)
def test_shares_of_the_variance_are_known_to_a_twentieth(claim, main, pair, verdict):
    results = study({})
    key = {"task": "music", "variant": "all variants", "response": "score", "region": "whole", "claimed": True}
    key |= {"r2": 0.96, "points": 200}
    rows = [{**key, "term": "main", "axis": axis, "other": None, "share": share} for axis, share in main.items()]
    rows.append({**key, "term": "pair", "axis": "hidden_size", "other": "learning_rate", "share": pair})
    table = scorecard(results, ChainMap({"importance": pd.DataFrame(rows)}, AnalysisTables(results)))
    (row,) = table[table["claim"].str.startswith(claim) & table["task"].eq("music")].to_dict("records")
    assert row["verdict"] == verdict


def test_claims_name_variants_and_tasks_that_there_are():
    from ablate.definitions.task import TASKS

    for claim in CLAIMS:
        assert all(name in VARIANTS for name in (claim.paper.reference, *claim.paper.variants)), claim.text
        assert all(task in TASKS for task in claim.tasks), claim.text
        assert getattr(claim.measure, "variant", GREFF.variants[0]) in (*claim.paper.variants,), claim.text


def test_where_surrogates_predict_less_their_shares_decide_less():
    results = study({})
    key = {"task": "music", "variant": "all variants", "response": "score", "region": "whole", "claimed": True}
    key |= {"points": 200, "term": "main", "axis": "learning_rate", "other": None, "share": 0.8}
    for r2, verdict in ((0.95, "supports"), (0.6, "cannot tell")):
        importance = pd.DataFrame([key | {"r2": r2}])
        table = scorecard(results, ChainMap({"importance": importance}, AnalysisTables(results)))
        table = table[table["claim"].str.startswith("The learning rate explains over") & table["task"].eq("music")]
        (row,) = table.to_dict("records")
        assert row["verdict"] == verdict
