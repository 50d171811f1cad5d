"""Results of slow computations: kept whole, found again by what they were computed from, and never in the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ablate import kept
from ablate.execution.spread import in_processes
from ablate.importance.measure import measure
from ablate.kept import Kept

CALLS: list[float] = []


def mean(values, scale=1.0):
    CALLS.append(scale)
    return {"mean": float(values.mean()) * scale}


def here(function, inputs):
    return ((place, function(**each)) for place, each in reversed(list(enumerate(inputs))))


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


INPUTS = [{"values": np.arange(3.0)}, {"values": np.arange(5.0), "scale": 2.0}]
RESULTS = [{"mean": 1.0}, {"mean": 4.0}]


def test_results_stand_in_the_order_of_their_inputs_and_are_computed_once(tmp_path):
    assert Kept(tmp_path, here).map(mean, INPUTS) == RESULTS
    assert Kept(tmp_path, here).map(mean, INPUTS[::-1]) == RESULTS[::-1]
    assert len(CALLS) == 2


def test_nothing_is_computed_unless_it_may_be(tmp_path):
    assert Kept(tmp_path).map(mean, INPUTS) == [None, None]
    Kept(tmp_path, here).map(mean, INPUTS[:1])
    assert Kept(tmp_path).map(mean, INPUTS) == [RESULTS[0], None]
    assert len(CALLS) == 1


def test_without_a_folder_they_are_kept_in_memory():
    memory = Kept(compute=here)
    assert memory.map(mean, INPUTS) == memory.map(mean, INPUTS) == RESULTS
    assert len(CALLS) == 2


@pytest.mark.parametrize("other", [{"values": np.arange(3)}, {"values": np.arange(3.0), "scale": 1.0}])
def test_other_inputs_have_results_of_their_own(tmp_path, other):
    Kept(tmp_path, here).map(mean, INPUTS[:1])
    assert Kept(tmp_path).map(mean, [other]) == [None]


def test_other_code_has_results_of_its_own(tmp_path, monkeypatch):
    Kept(tmp_path, here).map(mean, INPUTS)
    monkeypatch.setattr(kept, "_code", lambda function: "changed")
    assert Kept(tmp_path).map(mean, INPUTS) == [None, None]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"sha256": "0", "result": 3}', '{"result": 1}', "\udcff"])
def test_a_broken_file_is_made_again(tmp_path, content):
    Kept(tmp_path, here).map(mean, INPUTS)
    for file in tmp_path.rglob("*.json"):
        file.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert Kept(tmp_path).map(mean, INPUTS) == [None, None]
    assert Kept(tmp_path, here).map(mean, INPUTS) == Kept(tmp_path).map(mean, INPUTS) == RESULTS


def test_what_was_computed_before_an_interruption_is_kept(tmp_path):
    def interrupted(function, inputs):
        yield 0, function(**inputs[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Kept(tmp_path, interrupted).map(mean, INPUTS)
    assert Kept(tmp_path).map(mean, INPUTS) == [RESULTS[0], None]


def test_results_of_rows_that_have_changed_are_dropped(tmp_path):
    Kept(tmp_path, here).map(mean, INPUTS)
    Kept(tmp_path, here).map(mean, [{"values": np.arange(7.0)}])
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_worker_processes_compute_the_same(tmp_path: Path):
    rng = np.random.default_rng(0)
    inputs = [{"u": u, "y": u[:, 0] + 0.1 * rng.normal(size=50)} for u in rng.random((3, 50, 2))]
    told: list[tuple[str, int, int]] = []
    spread = Kept(None, in_processes(2, lambda *step: told.append(step))).map(measure, inputs)
    assert spread == [measure(**each) for each in inputs]
    assert [done for _, done, _ in told] == [0, 1, 2, 3]
