"""What every tracker keeps to: it holds what the tables hold, whatever had happened to it before.

Call `check_tracker` from a test of your own:

    def test_my_tracker(tmp_path):
        check_tracker(lambda: open_my_tracker(tmp_path), lambda: read_my_store(tmp_path))

A tracker that leaves replicates out says so, by `holds_replicates=False`, and must then leave out every one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from ablate.plan.random_streams import TrialId
from ablate.storage.tables import REPLICATE_COLUMNS, Curve, trial_id
from ablate.trackers.tracker import Row, Tracker

Held = dict[TrialId, tuple[str, float | None]]  # by trial its state and validation score, None where it has none

TASK = "music"


def check_tracker(
    open_tracker: Callable[[], Tracker], read: Callable[[], Held], *, holds_replicates: bool = True
) -> None:
    """Run the whole suite in one store.

    Args:
        open_tracker: opens the tracker of one study, whose only task is `music`, over the same store at each call.
        read: what the store holds of that study, read without the tracker.
        holds_replicates: whether the tracker shows replicates; else the store must hold none.

    Raises:
        AssertionError: the tracker breaks its contract; the message says where.
    """
    trials = example_trials()

    def same(trials: list[tuple[Row, Curve]], when: str) -> None:
        wanted = {
            trial_id(row): (row["state"], row["validation"])
            for row, _ in trials
            if holds_replicates or not row["replicate"]
        }
        held = read()
        assert held == wanted, f"{when} the tracker holds {held}, and the tables {wanted}"

    tracker = open_tracker()
    tracker.repair([])
    for row, curve in trials:
        tracker.add(row, curve)
        tracker.add(row, curve)
    tracker.close(None)
    same(trials, "after each trial was added twice")

    tracker = open_tracker()
    tracker.repair(trials)
    tracker.close(None)
    same(trials, "after a second start that found all there")

    for failed in [k for k, (row, _) in enumerate(trials) if row["state"] == "failed"]:
        row = {**trials[failed][0], "state": "completed", "validation": 7.5, "test": 7.25, "reason": None}
        trials[failed] = again = row, [] if row["replicate"] else [(1, 8.0, 7.5)]
        tracker = open_tracker()
        tracker.repair(trials[:failed] + trials[failed + 1 :])
        tracker.add(*again)
        tracker.close(None)
        same(trials, f"after {trial_id(row)}, which had failed, was run again")

    more = [*trials, (_row("NP", 0, "completed", 9.0), [(1, 9.5, 9.0)])]
    tracker = open_tracker()
    tracker.repair(more)
    tracker.close(None)
    same(more, "after a repair had to add a trial of a new variant")

    fewer = trials[1:]
    tracker = open_tracker()
    tracker.repair(fewer)
    tracker.close(None)
    same(fewer, "after a repair had to drop trials that the tables hold no longer")


def example_trials() -> list[tuple[Row, Curve]]:
    """Trials and replicates in every state, with scores that are missing and curves that are not finite."""
    return [
        (_row("V", 0, "completed", 8.5), [(1, 9.0, 9.25), (2, 8.75, 8.5)]),
        (_row("V", 1, "diverged", None), [(1, 9.0, math.nan)]),
        ({**_row("V", 2, "completed", 9.25), "stop_reason": "not finite"}, [(1, 9.0, 9.25), (2, math.nan, math.nan)]),
        ({**_row("V", 3, "completed", 9.5), "test": None}, [(1, 9.0, 9.5)]),
        (_row("SRN", 0, "failed", None), []),
        (_row("SRN", 1, "completed", 1e-300), [(1, 1e300, 1e-300)]),
        ({**_row("V", 0, "completed", 8.25), "purpose": "control", "replicate": 1}, []),
        ({**_row("V", 0, "failed", None), "purpose": "control", "replicate": 2}, []),
        ({**_row("V", 7, "diverged", None), "purpose": "control", "replicate": 1}, []),  # its trial has not ended yet
        ({**_row("SRN", 1, "completed", 1.5), "purpose": "confirmation", "replicate": 1}, []),
        ({**_row("SRN", 1, "completed", 1.25), "purpose": "confirmation", "replicate": 2}, []),
    ]


def _row(variant: str, index: int, state: str, validation: float | None) -> Row:
    row: Row = dict.fromkeys(column.name for column in REPLICATE_COLUMNS)
    row |= dataclasses.asdict(TrialId(TASK, variant, index)) | {"state": state, "backend": "cpu"}
    row |= {"hidden_size": 20, "learning_rate": 1e-4, "momentum": 0.9, "input_noise": 0.5, "seconds": 1.5}
    if state == "failed":
        return row | {"reason": "ValueError: a reason"}
    row |= {"epochs": 2, "parameters": 1234, "stop_reason": "not finite" if state == "diverged" else "epochs"}
    if state == "completed":
        row |= {"validation": validation, "test": 8.0, "best_epoch": 1}
    return row
