"""What every executor keeps to: each trial comes back once, with the numbers that it has in any other place.

Call `check_executor` from a test of your own:

    def test_my_executor():
        check_executor(lambda plan: MyExecutor(plan))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ablate.execution.executor import Executor, TrialResult
from ablate.execution.trial_runner import TrialRunner
from ablate.plan.config_file import load_config
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan, make_plan


def check_executor(make_executor: Callable[[StudyPlan], Executor]) -> None:
    """Run the whole suite on a small study, which needs no data.

    Raises:
        AssertionError: the executor breaks its contract; the message says where.
    """
    plan = example_plan()
    trials = [*plan.trials(), TrialId("adding", "SRN", 2, "confirmation", 1)]
    expected = {trial: _numbers(result) for trial, result in _here(plan, trials).items()}

    executor = make_executor(plan)
    found = _collect(executor, trials)
    assert found == expected, "the executor's results are not those of the same trials run in this process"

    executor.stop()
    assert _collect(make_executor(plan), []) == {}, "no trials, but results"

    executor, some = make_executor(plan), trials[1::2]
    for part in (some, trials[::2]):
        assert _collect(executor, part) == {trial: expected[trial] for trial in part}, (
            "some of a study's trials give other results than all of them, or a second call other ones than the first"
        )

    _check_enough(make_executor(plan), trials, expected)

    broken = dataclasses.replace(plan, backends={**plan.backends, "SRN": "no such backend"})
    results = {result.trial: result for result in make_executor(broken).run(trials)}
    for trial in trials:
        state = results[trial].row["state"]
        if trial.variant == "SRN":
            assert state == "failed", f"{trial} cannot be run, but is {state}"
            assert results[trial].row["reason"] and "Traceback" in results[trial].traceback, (
                "a failure needs its reason"
            )
        else:
            assert _numbers(results[trial]) == expected[trial], "one trial's failure changed another trial"

    executor = make_executor(plan)
    results_before_stop = executor.run(trials)
    next(iter(results_before_stop))
    assert executor.workers() >= 1, "trials run, but no worker is alive"
    executor.stop()
    executor.stop()  # twice is as good as once


def _check_enough(executor: Executor, trials: list[TrialId], expected: dict[TrialId, Any]) -> None:
    """What has been given out when it is enough comes back, nothing else does, and the executor can run again."""
    allowed, asked = 2, 0

    def enough() -> bool:
        nonlocal asked
        asked += 1
        return asked > allowed

    assert not list(executor.run(trials, lambda: True)), "it was enough from the start, but trials were given out"
    found = {result.trial: _numbers(result) for result in executor.run(trials, enough)}
    assert asked > allowed, f"of {len(trials)} trials, was asked {asked} times whether it is enough"
    assert len(found) <= allowed, f"{len(found)} trials were given out, {allowed} of them before it was enough"
    assert found == {trial: expected[trial] for trial in trials[: len(found)]}, (
        "trials that ran when it was enough give other results, or others than the first were begun"
    )
    rest = trials[len(found) :]
    assert _collect(executor, rest) == {trial: expected[trial] for trial in rest}, (
        "after it was enough, another call gives other results"
    )


def example_plan(jobs: int = 2) -> StudyPlan:
    """Two variants on a generated task, three trials each, with a control of V beside each of its own."""
    options: dict[str, Any] = {
        "variants": "V,SRN",
        "tasks": "adding",
        "trials": 3,
        "controls": 1,
        "jobs": jobs,
        "backend": "reference",
        "training": {"epochs": 2, "batch_size": 10},
        "search": {"hidden_size": 3, "learning_rate": 1e-3},
        "settings": {"adding": {"length": 4, "train": 20, "validation": 10, "test": 10}},
    }
    plan = make_plan(load_config(None, options))
    return dataclasses.replace(plan, backends={variant.name: "reference" for variant in plan.variants})


def _here(plan: StudyPlan, trials: list[TrialId]) -> dict[TrialId, TrialResult]:
    from ablate.execution.processes import torch_configured

    runner = TrialRunner(plan)
    with torch_configured():
        return {trial: runner.run(trial) for trial in trials}


def _collect(executor: Executor, trials: list[TrialId]) -> dict[TrialId, tuple[dict[str, Any], list[Any]]]:
    found: dict[TrialId, tuple[dict[str, Any], list[Any]]] = {}
    for result in executor.run(trials):
        assert result.trial not in found, f"{result.trial} came back twice"
        assert result.row["state"] != "failed", f"{result.trial} failed: {result.traceback}"
        found[result.trial] = _numbers(result)
    assert set(found) == set(trials), f"asked for {len(trials)} trials, got {len(found)}"
    return found


def _numbers(result: TrialResult) -> tuple[dict[str, Any], list[Any]]:
    """All that must not depend on where a trial is run."""
    return {key: value for key, value in result.row.items() if key != "seconds"}, result.curve
