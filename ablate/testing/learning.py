"""A task small enough that every cell learns it in a tenth of a second: rising scales of a piano."""

from __future__ import annotations

import numpy as np

from ablate.cell.backend import make_layer
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.task import Task
from ablate.definitions.variant import Variant
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.study_plan import TaskConfig
from ablate.plan.training_config import TrainingConfig
from ablate.training.trial import run_trial

KEYS = 88


def scales(count: int, seed: int) -> Sequences:
    """Rising scales from random keys as rolls, uint8 (frames, 88): the next frame follows from the last one."""
    generator = np.random.default_rng(seed)
    rolls = []
    for _ in range(count):
        roll = np.zeros((int(generator.integers(5, 12)), KEYS), np.uint8)
        roll[np.arange(len(roll)), int(generator.integers(30, 40)) + np.arange(len(roll))] = 1
        rolls.append(roll)
    return Sequences(
        np.concatenate([roll[:-1] for roll in rolls]),
        np.concatenate([roll[1:] for roll in rolls]),
        np.array([len(roll) - 1 for roll in rolls]),
    )


SCALES = Dataset({"train": scales(20, 0), "validation": scales(6, 1), "test": scales(6, 2)}, "scales", KEYS, KEYS)
SCALES_TASK = Task(
    name="scales",
    summary="rising scales",
    description="",
    loss="binary_cross_entropy",
    score="nats",
    target_position=TargetPosition.EVERY_FRAME,
    unit="nats per frame",
    baseline=lambda dataset, settings: 10.0,
    load=lambda path, settings, progress: SCALES,
)


def check_learns(variant: Variant, backend: str) -> None:
    """A small network predicts the next frame of a scale at 8 nats, from 61 before it has learnt anything.

    Raises:
        AssertionError: it does not.
    """
    outcome = run_trial(
        TaskConfig(SCALES_TASK, TrainingConfig(epochs=15), {}, False),
        SCALES,
        variant,
        make_layer(variant.equations, variant.trace, variant.name, backend),
        RandomStreams(0, TrialId("music", variant.name, 0)),
        {"hidden_size": 12, "learning_rate": 0.02, "momentum": 0.5, "input_noise": 0.0},
    )
    first, last = outcome.curve[0][1], outcome.curve[-1][1]
    if outcome.state != "completed" or not outcome.test < 8 < first or not last < first:
        raise AssertionError(
            f"{variant.name}: its training {outcome.state}, from {first:.3g} to {last:.3g} nats, {outcome.test:.3g} in "
            "the test; expected less than 8"
        )
