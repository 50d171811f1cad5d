"""Replicates: which trials they are, what they share with the search, and what they draw anew."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ablate.data.load import trial_data
from ablate.errors import UserError
from ablate.execution.estimate import total_seconds
from ablate.execution.processes import torch_configured
from ablate.execution.trial_runner import TrialRunner
from ablate.plan.config_file import load_config
from ablate.plan.confirmation import best_setting, confirmation_trials, most_confirmation_trials
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.study_plan import StudyPlan, make_plan
from ablate.testing.executors import example_plan

# Every kind of stream that a trial draws from, other than its hyperparameters.
STREAMS: tuple[tuple[str | int, ...], ...] = (
    *(("torch",), ("sample",), ("noise", 1), ("noise", 2), ("order", 1), ("weight", "W_z"), ("weight", "2.b_f")),
    *(("data", "train"), ("data", "test"), ("data", "train", 3)),
)


def plan_of(**options: Any) -> StudyPlan:
    given = {"preset": "paper", "variants": "V,NP,GRU", "tasks": "music,adding", "trials": 3, "paired": True}
    return make_plan(load_config(None, {**given, **options}))


def first(plan: StudyPlan, trial: TrialId, stream: tuple[Any, ...]) -> float:
    return plan.streams(trial).generator(*stream).random()


@pytest.mark.parametrize("paired", [True, False])
def test_the_searchs_streams_have_the_names_that_they_had(paired: bool) -> None:
    """Published numbers rest on them: the parts of a name in this order, cut by zeros, hashed."""
    generator = np.random.default_rng(0)
    for stream in STREAMS:
        seed, index = int(generator.integers(1000)), int(generator.integers(200))
        name = ("music", *(() if paired else ("NP",)), index, *stream)
        digest = hashlib.sha256("\0".join(map(str, name)).encode()).digest()
        key = [int.from_bytes(digest[k : k + 4], "little") for k in range(0, 16, 4)]
        expected = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))).random()
        assert RandomStreams(seed, TrialId("music", "NP", index), paired).generator(*stream).random() == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("paired", [True, False])
def test_a_replicate_has_the_hyperparameters_of_its_trial_and_draws_all_else_anew(paired: bool) -> None:
    plan = plan_of(paired=paired, seed=int(np.random.default_rng().integers(1000)))
    searched = [TrialId("music", variant, 2) for variant in ("V", "NP")]
    replicates = [
        replace(trial, purpose=purpose, replicate=k)
        for trial in searched
        for purpose in ("control", "confirmation")
        for k in (1, 2)
    ]
    for trial in replicates:
        assert plan.hyperparameters(trial) == plan.hyperparameters(trial.searched)
    for stream in STREAMS:
        drawn = [first(plan, trial, stream) for trial in (*searched, *replicates)]
        # In a paired design two variants of the search share a stream; no replicate ever does.
        assert len(set(drawn)) == len(replicates) + (1 if paired else 2)
        others = [first(plan, replace(trial, index=1), stream) for trial in replicates]
        assert not set(others) & set(drawn)


def test_replicates_of_two_variants_are_independent() -> None:
    """Uncorrelated over many indices, where the searched trials of a paired design are the same."""
    plan = plan_of()

    def draws(variant: str, **purpose: Any) -> list[float]:
        return [first(plan, TrialId("music", variant, k, **purpose), ("weight", "W_z")) for k in range(400)]

    assert draws("V") == draws("NP")
    control = {"purpose": "control", "replicate": 1}
    columns = [draws("V"), draws("V", **control), draws("NP", **control), draws("V", **{**control, "replicate": 2})]
    assert np.abs(np.corrcoef(columns) - np.eye(4)).max() < 0.2


def test_a_replicate_is_trained_anew_on_data_of_its_own() -> None:
    plan = example_plan()
    trials = [TrialId("adding", "V", 1), *(TrialId("adding", "V", 1, "control", k) for k in (1, 2))]
    assert len({trial_data(plan, plan.tasks[0], trial).hash for trial in trials}) == 3
    with torch_configured():
        results = [TrialRunner(plan).run(trial) for trial in (*trials, trials[1])]
    numbers = [(result.row["validation"], result.row["test"]) for result in results]
    assert len(set(numbers)) == 3 and numbers[1] == numbers[3]
    assert [len(result.curve) for result in results] == [2, 0, 0, 0]


def test_trials_are_told_apart_by_name() -> None:
    assert str(TrialId("music", "V", 3)) == "music/V/3"
    assert str(TrialId("music", "V", 3, "control", 1)) == "music/V/3/control-1"
    assert TrialId("music", "V", 3, "control", 1).searched == TrialId("music", "V", 3)


def test_controls_stand_after_the_variants_of_their_task() -> None:
    names = [str(trial) for trial in plan_of(controls=2, reference="np").trials()]
    assert len(names) == 3 * 2 * (3 + 2)
    assert names[:6] == [
        *("music/V/0", "music/NP/0", "music/GRU/0", "music/NP/0/control-1", "music/NP/0/control-2", "adding/V/0")
    ]


def test_without_the_reference_there_are_no_controls() -> None:
    plan = plan_of(controls=2, confirm=2, reference="SRN")
    assert not plan.has_reference and not any(trial.replicate for trial in plan.trials())
    assert {trial.variant for trial in most_confirmation_trials(plan)} == {"V", "NP", "GRU"}


@pytest.mark.parametrize("option", [{"reference": "VV"}, {"confirm_variants": "VV"}, {"controls": -1}, {"confirm": -1}])
def test_bad_options_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"unknown variant 'VV'|is -1; it must be at least 0") as refused:
        plan_of(**option)
    assert "\n" not in str(refused.value)


# --- The confirmation.


def searched_rows(plan: StudyPlan, generator: np.random.Generator, trials: int = 3) -> list[dict[str, Any]]:
    """Ended trials in a random order, with ties, and all states."""
    rows = []
    for task in plan.tasks:
        for variant in plan.variants:
            for index in range(trials):
                state = str(generator.choice(["completed", "completed", "diverged", "failed"]))
                score = float(generator.integers(3)) if state == "completed" else None
                row = {"task": task.name, "variant": variant.name, "index": index, "state": state}
                rows.append({**row, "validation": score, "test": float(generator.normal())})
    return [rows[k] for k in generator.permutation(len(rows))]


@pytest.mark.parametrize("score", ["error_rate", "accuracy"])
def test_the_best_settings_are_confirmed_and_nothing_else(score: str) -> None:
    """By validation, in the task's direction, the first of equal ones; the reference twice as often."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        plan = plan_of(tasks="parity,temporal-order", confirm=2, confirm_variants="gru,NP", reference="V")
        plan = replace(plan, tasks=[replace(task, score=score) for task in plan.tasks])
        rows = searched_rows(plan, generator)
        wanted = set()
        for task in plan.tasks:
            for variant, count in {"V": 4, "NP": 2, "GRU": 2}.items():
                place = [row for row in rows if (row["task"], row["variant"]) == (task.name, variant)]
                scores = {row["index"]: row["validation"] for row in place if row["state"] == "completed"}
                if scores:
                    best = (max if score == "accuracy" else min)(scores.values())
                    index = min(index for index, value in scores.items() if value == best)
                    names = (TrialId(task.name, variant, index, "confirmation", k + 1) for k in range(count))
                    wanted |= {*names}
        found = confirmation_trials(plan, rows)
        assert set(found) == wanted and len(found) == len(wanted) <= len(most_confirmation_trials(plan)) == 16
        assert [trial.replicate for trial in found] == sorted(trial.replicate for trial in found)


def test_only_what_is_asked_for_is_confirmed() -> None:
    rows = searched_rows(plan_of(), np.random.default_rng(1))
    assert confirmation_trials(plan_of(), rows) == []
    only = confirmation_trials(plan_of(confirm=1, confirm_variants="GRU"), rows)
    assert {trial.variant for trial in only} <= {"V", "GRU"}


def test_a_task_is_confirmed_once_its_search_has_ended() -> None:
    plan = plan_of(confirm=1)
    rows = [{**row, "state": "completed", "validation": 1.0} for row in searched_rows(plan, np.random.default_rng(2))]
    last = next(row for row in rows if row["task"] == "adding")
    assert {trial.task for trial in confirmation_trials(plan, rows)} == {"music", "adding"}
    assert {trial.task for trial in confirmation_trials(plan, [row for row in rows if row is not last])} == {"music"}


def test_the_time_of_replicates_is_counted() -> None:
    """At a cost that no size changes, a study's time is its number of trials, the confirmation's at most among them."""
    sizes, costs = {"music": 88, "adding": 2}, {task: [(20, 2.0), (200, 2.0)] for task in ("music", "adding")}
    plan = plan_of(variants="V")
    assert total_seconds(plan, sizes, costs) == pytest.approx(2 * 6)
    assert total_seconds(plan_of(variants="V", controls=2), sizes, costs) == pytest.approx(2 * (6 + 12))
    assert total_seconds(plan_of(variants="V", confirm=5), sizes, costs) == pytest.approx(2 * (6 + 20))


def test_what_is_no_number_is_never_the_best() -> None:
    rows = [
        {"index": 0, "state": "completed", "validation": float("nan")},
        {"index": 1, "state": "completed", "validation": None},
        {"index": 2, "state": "failed", "validation": 1.0},
    ]
    assert best_setting(rows, "minimize") is None
    assert best_setting([*rows, {"index": 3, "state": "completed", "validation": 9.0}], "minimize") is not None
