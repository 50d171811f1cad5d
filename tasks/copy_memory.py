"""The task `copy-memory`: symbols are shown, and have to be repeated after a long blank stretch."""

from __future__ import annotations

import math

import numpy as np

from ablate.data.generated import checked_setting
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, Settings, Task

SYMBOLS = 8
BLANK, DELIMITER = SYMBOLS, SYMBOLS + 1


def generate(generator: np.random.Generator, count: int, settings: Settings) -> Sequences:
    """Inputs are uint8 (frames, 10), one-hot: eight symbols, blank, delimiter; targets uint8 (frames, 1).

    Raises UserError when a setting is out of range.
    """
    recall = checked_setting(settings, "copy-memory", "recall", 1, 1_000)
    blank = checked_setting(settings, "copy-memory", "blank", 1, 10_000)
    shown = generator.integers(SYMBOLS, size=(count, recall), dtype=np.uint8)
    length = blank + 2 * recall
    inputs, targets = np.full((2, count, length), BLANK, np.uint8)
    inputs[:, :recall] = targets[:, -recall:] = shown
    inputs[:, -recall - 1] = DELIMITER
    one_hot = np.eye(SYMBOLS + 2, dtype=np.uint8)[inputs.reshape(-1)]
    return Sequences(one_hot, targets.reshape(-1, 1), np.full(count, length, np.int64))


def baseline(dataset: Dataset, settings: Settings) -> float:
    """Nats per frame of a net without memory: certain of the blanks, a guess among the eight where it has to recall.

    The literature's baseline, and not quite a constant: it knows from the delimiter on when to recall.
    """
    return settings["recall"] * math.log(SYMBOLS) / (settings["blank"] + 2 * settings["recall"])


DESCRIPTION = """\
Symbols to be repeated after a blank stretch: how much is kept, and for how long.

source     generated, no licence; the copying memory problem as Arjovsky, Shah and Bengio (2016) have it, after
           Hochreiter and Schmidhuber (1997).
own data   none.
shapes     inputs are blank + 2 recall frames x 10, one-hot: `recall` symbols of eight, blanks, the delimiter and
           `recall` blanks; `blank` is T, and the delimiter the last of its frames. At every frame one class of nine:
           blank until the delimiter and with it, then the symbols in their order.
splits     generated for each trial from its coordinates; `train`, `validation` and `test` say how many.
settings   blank (30): T, from 1, 100 to 1,000 in the literature; recall (10): symbols to be kept, from 1.
score      nats per frame, lower is better; without memory 10 ln 8 / (T + 20), 0.416 at the defaults: the blanks are
           certain, the symbols a guess.
"""

TASKS.add(
    Task(
        name="copy-memory",
        summary="diagnostic: symbols to be repeated after a blank stretch",
        description=DESCRIPTION,
        loss="cross_entropy",
        score="nats",
        target_position=TargetPosition.EVERY_FRAME,
        unit="nats per frame",
        generate=generate,
        baseline=baseline,
        n_classes=SYMBOLS + 1,
        settings={"blank": 30, "recall": 10},
        groups=("diagnostics",),
    )
)
