"""Where nothing was learned, tables say so, in the place of "no significant difference"."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import TaskMetadata
from tests.made_studies import analysed, of_set, spread, trials

NATS = {"baseline": 10.0, "score": "nats"}  # and so a margin of 0.1


def test_two_variants_that_learn_nothing_are_not_called_equal() -> None:
    parts = trials("V", [10.0] * 8), trials("A", [9.93, 9.95, 9.97, 9.99] * 2), trials("B", ["diverged"] * 8)
    found = of_set(analysed(*parts, **NATS)["comparisons"], "all")
    assert found["verdict"].to_dict() == {"A": "nothing learned", "B": "nothing learned"}
    assert not found["equivalent"].any() and (found["p_equivalent"] < 0.05).all()


def test_what_is_told_to_be_worse_is_worse_even_where_it_learned_nothing() -> None:
    found = of_set(analysed(trials("V", spread(8.0)), trials("A", [10.0] * 8), **NATS)["comparisons"], "all")
    assert found.loc["A", "verdict"] == "worse"


def test_learned_is_counted_beyond_the_margin() -> None:
    parts = trials("V", [9.8, 9.95, 10.0, 12.0, "diverged", "failed"]), trials("A", [9.95] * 6)
    found = of_set(analysed(*parts, **NATS)["learning"], "all")
    assert found[["n", "learned", "nothing_learned"]].to_numpy().tolist() == [[5, 1, False], [6, 0, True]]


def test_where_higher_is_better_learning_is_above_the_baseline() -> None:
    task = {"baseline": 10.0, "score": "accuracy", "direction": "maximize"}  # and so a margin of 0.9
    parts = trials("V", [50.0] * 6), trials("A", [10.5] * 6)
    found = of_set(analysed(*parts, **task)["learning"], "all")
    assert found["learned"].tolist() == [6, 0]


def test_without_a_baseline_nobody_knows() -> None:
    tables = analysed(trials("V", [9.0] * 6), trials("A", [9.0] * 6))
    found = of_set(tables["learning"], "all")
    assert found["learned"].isna().all() and not found["nothing_learned"].any()
    assert of_set(tables["comparisons"], "all").loc["A", "verdict"] == "no significant difference"


@pytest.mark.parametrize(("elsewhere", "verdict"), [(10.0, "nothing learned"), (9.0, "no significant difference")])
def test_the_tasks_together_say_so_where_it_holds_on_each(elsewhere: float, verdict: str) -> None:
    parts = [trials("V", spread(10.0), "t"), trials("A", [10.0] * 8, "t")]
    parts += [trials("V", spread(elsewhere), "u"), trials("A", spread(elsewhere)[::-1], "u")]
    tasks = [TaskMetadata(name, baseline=10.0, score="nats") for name in "tu"]
    results = replace(analysed(*parts).results, tasks=tasks)
    (row,) = AnalysisTables(results)["across_tasks"].to_dict("records")
    assert row["verdict"] == verdict
