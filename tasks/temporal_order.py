"""The task `temporal-order`: in which order two symbols came, among many that do not matter."""

from __future__ import annotations

import numpy as np

from ablate.data.generated import checked_setting
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, Settings, Task

SYMBOLS = "abcdXYEB"  # four distractors, the two that matter, begin (E) and end (B) as the paper calls them
DISTRACTORS, X, BEGIN, END = 4, SYMBOLS.index("X"), SYMBOLS.index("E"), SYMBOLS.index("B")
CLASSES = 4  # XX, XY, YX, YY


def generate(generator: np.random.Generator, count: int, settings: Settings) -> Sequences:
    """Inputs are uint8 (frames, 8), one-hot in the order of SYMBOLS; targets uint8 (count, 1).

    Raises UserError when the length is out of range.
    """
    length = checked_setting(settings, "temporal-order", "length", 10, 10_000)
    lengths = generator.integers(length, length + length // 10, size=count, endpoint=True)
    symbols = generator.integers(DISTRACTORS, size=(count, length + length // 10), dtype=np.uint8)
    sequence = np.arange(count)
    first, second = generator.integers(2, size=(2, count), dtype=np.uint8)
    symbols[sequence, generator.integers(length // 10, length // 5, size=count, endpoint=True)] = X + first
    symbols[sequence, generator.integers(length // 2, 3 * length // 5, size=count, endpoint=True)] = X + second
    symbols[:, 0] = BEGIN
    symbols[sequence, lengths - 1] = END
    inside = np.arange(symbols.shape[1]) < lengths[:, None]
    one_hot = np.eye(len(SYMBOLS), dtype=np.uint8)[symbols[inside]]
    return Sequences(one_hot, (2 * first + second)[:, None], lengths, TargetPosition.SEQUENCE_END)


def baseline(dataset: Dataset, settings: Settings) -> float:
    """The per cent that any constant prediction gets right: the four classes are equally frequent."""
    return 100 / CLASSES


DESCRIPTION = """\
In which order two symbols came, far apart and among others that do not matter: XX, XY, YX or YY.

source     generated, no licence; experiment 6a of Hochreiter and Schmidhuber (1997, section 5.6), whose lengths are
           those of length = 100.
own data   none.
shapes     inputs are `length` to 1.1 `length` frames x 8, one-hot: E, distractors of a, b, c and d, and B at the end;
           an X or a Y stands at 0.1 to 0.2 and at 0.5 to 0.6 of `length`, counted from E as 0. One class of four.
splits     generated for each trial from its coordinates; `train`, `validation` and `test` say how many.
settings   length (50): frames of the shortest sequence, from 10.
score      right classes in per cent, higher is better; any constant prediction scores 25.
"""

TASKS.add(
    Task(
        name="temporal-order",
        summary="diagnostic: the order of two symbols that are far apart",
        description=DESCRIPTION,
        loss="cross_entropy",
        score="accuracy",
        target_position=TargetPosition.SEQUENCE_END,
        generate=generate,
        baseline=baseline,
        n_classes=CLASSES,
        settings={"length": 50},
        groups=("diagnostics",),
    )
)
