"""The task `adding`: the sum of the two numbers of a sequence that are marked."""

from __future__ import annotations

import numpy as np

from ablate.data.generated import checked_setting
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, Settings, Task


def generate(generator: np.random.Generator, count: int, settings: Settings) -> Sequences:
    """Inputs are float32 (frames, 2), a number from 0 to 1 and its mark; targets float32 (count, 1).

    Raises UserError when the length is out of range.
    """
    length = checked_setting(settings, "adding", "length", 2, 10_000)
    inputs = np.zeros((count, length, 2), np.float32)
    inputs[:, :, 0] = generator.random((count, length), np.float32)
    early, late = generator.integers(length // 2, size=count), generator.integers(length // 2, length, size=count)
    sequence = np.arange(count)
    inputs[sequence, early, 1] = inputs[sequence, late, 1] = 1
    sums = inputs[sequence, early, 0] + inputs[sequence, late, 0]
    return Sequences(
        inputs.reshape(-1, 2), sums[:, None], np.full(count, length, np.int64), TargetPosition.SEQUENCE_END
    )


def baseline(dataset: Dataset, settings: Settings) -> float:
    """The mean squared error of always predicting 1: the variance of a sum of two numbers, each with 1/12."""
    return 1 / 6


DESCRIPTION = """\
The sum of two marked numbers among many: what is small and far back has to be kept exactly.

source     generated, no licence; the adding problem of Hochreiter and Schmidhuber (1997, section 5.4) as Arjovsky,
           Shah and Bengio (2016) have it: one length, numbers from 0 to 1, their sum as it is.
own data   none.
shapes     inputs are `length` frames x 2: a number, uniform from 0 to 1, and its mark, which is 1 at one frame of
           either half and 0 elsewhere; one number at the end.
splits     generated for each trial from its coordinates; `train`, `validation` and `test` say how many.
settings   length (50): frames of a sequence, from 2; 100 and more are usual in the literature.
score      squared error, lower is better; always predicting 1, the mean, scores 1/6.
"""

TASKS.add(
    Task(
        name="adding",
        summary="diagnostic: the sum of two marked numbers",
        description=DESCRIPTION,
        loss="squared_error",
        score="squared_error",
        target_position=TargetPosition.SEQUENCE_END,
        generate=generate,
        baseline=baseline,
        settings={"length": 50},
        groups=("diagnostics",),
    )
)
