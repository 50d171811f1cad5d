"""The task `parity`: whether the number of ones is odd."""

from __future__ import annotations

import numpy as np

from ablate.data.generated import checked_setting
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, Settings, Task


def generate(generator: np.random.Generator, count: int, settings: Settings) -> Sequences:
    """Inputs are uint8 (frames, 1), 0 or 1; targets uint8 (count, 1), or (frames, 1) if running, 1 for odd.

    Raises UserError when the length is out of range.
    """
    length = checked_setting(settings, "parity", "length", 2, 10_000)
    bits = generator.integers(2, size=(count, length), dtype=np.uint8)
    odd = np.bitwise_xor.accumulate(bits, axis=1)
    targets = odd if settings["running"] else odd[:, -1]
    lengths = np.full(count, length, np.int64)
    return Sequences(bits.reshape(-1, 1), targets.reshape(-1, 1), lengths, target_position(settings))


def target_position(settings: Settings) -> TargetPosition:
    """At every frame if `running`, else at the end."""
    return TargetPosition.EVERY_FRAME if settings["running"] else TargetPosition.SEQUENCE_END


def baseline(dataset: Dataset, settings: Settings) -> float:
    """The error, in per cent, of any constant prediction, and of any that overlooks a single bit."""
    return 50.0


DESCRIPTION = """\
Whether the ones among random bits are odd in number: every bit counts, and none of them tells anything by itself.

source     generated, no licence; a test of recurrent networks since Bengio, Simard and Frasconi (1994).
own data   none.
shapes     inputs are `length` frames x 1, 0 or 1, each with even odds; one class of two, even or odd, at the end or,
           when `running`, at every frame for the bits so far.
splits     generated for each trial from its coordinates; `train`, `validation` and `test` say how many.
settings   length (20): bits of a sequence, from 2; running (true): whether every frame has a target. Without it,
           a network that starts with small weights hardly learns at all: the first targets need few bits and lead to
           the rest.
score      classification error in per cent, lower is better; any constant prediction scores 50.
"""

TASKS.add(
    Task(
        name="parity",
        summary="diagnostic: whether the ones are odd in number",
        description=DESCRIPTION,
        loss="cross_entropy",
        score="error_rate",
        target_position=target_position,
        generate=generate,
        baseline=baseline,
        n_classes=2,
        settings={"length": 20, "running": True},
        groups=("diagnostics",),
    )
)
