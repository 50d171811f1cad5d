"""Every executor that there is keeps to the contract; a broken one is found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from ablate.execution.executor import Executor, TrialResult, executor_names, make_executor, never
from ablate.execution.executors.serial import SerialExecutor
from ablate.plan.random_streams import TrialId
from ablate.testing.executors import check_executor


@pytest.mark.parametrize("name", executor_names())
def test_every_executor_keeps_to_the_contract(name: str) -> None:
    if name == "ray":
        pytest.importorskip("ray", reason="needs Ray, the extra `ray`")
    check_executor(lambda plan: make_executor(name, plan))


class Forgetful(SerialExecutor):
    """Loses the last trial."""

    def run(self, trials: Sequence[TrialId], enough: Callable[[], bool] = never) -> Iterator[TrialResult]:
        return super().run(trials[:-1], enough)


class Repeating(SerialExecutor):
    """Gives the first result twice."""

    def run(self, trials: Sequence[TrialId], enough: Callable[[], bool] = never) -> Iterator[TrialResult]:
        results = list(super().run(trials, enough))
        yield from results[:1] + results


class Rounding(SerialExecutor):
    """Changes the last bit of a score, as another precision would."""

    def run(self, trials: Sequence[TrialId], enough: Callable[[], bool] = never) -> Iterator[TrialResult]:
        for result in super().run(trials, enough):
            row: dict[str, Any] = result.row
            if row["test"] is not None:
                row["test"] *= 1 + 2**-52
            yield result


class Insatiable(SerialExecutor):
    """Never has enough."""

    def run(self, trials: Sequence[TrialId], enough: Callable[[], bool] = never) -> Iterator[TrialResult]:
        return super().run(trials)


class OneAhead(SerialExecutor):
    """Asks whether it is enough when a trial has been begun already."""

    def run(self, trials: Sequence[TrialId], enough: Callable[[], bool] = never) -> Iterator[TrialResult]:
        for result in super().run(trials):
            yield result
            if enough():
                return


@pytest.mark.parametrize("broken", [Forgetful, Repeating, Rounding, Insatiable, OneAhead])
def test_a_broken_executor_is_found_out(broken: type[Executor]) -> None:
    with pytest.raises(AssertionError):
        check_executor(broken)
