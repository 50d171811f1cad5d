"""The task `anbn`: which symbols may come next in a string of n a's and n b's."""

from __future__ import annotations

import numpy as np

from ablate.data.generated import checked_setting
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, Settings, Task
from tasks.baselines import binary_entropy


def generate(generator: np.random.Generator, count: int, settings: Settings) -> Sequences:
    """Inputs are uint8 (frames, 3), one-hot: S, a, b; targets uint8 (frames, 3), 1 where a, b, T are legal next.

    Raises UserError when a setting is out of range.
    """
    longest = checked_setting(settings, "anbn", "longest", 2, 5_000)
    n = generator.integers(1, longest, size=(count, 1), endpoint=True)
    place = np.arange(2 * longest + 1)  # 0 is S, then the a's, from n + 1 on the b's
    inputs = np.stack(np.broadcast_arrays(place == 0, (place > 0) & (place <= n), place > n), axis=-1)
    targets = np.stack(np.broadcast_arrays(place <= n, (place > 0) & (place < 2 * n), place == 2 * n), axis=-1)
    inside = place <= 2 * n
    return Sequences(inputs[inside].astype(np.uint8), targets[inside].astype(np.uint8), 2 * n[:, 0] + 1)


def baseline(dataset: Dataset, settings: Settings) -> float:
    """Nats per frame when each symbol is predicted, at every frame, by how often it is legal.

    Of the 2n + 1 frames of a string, a is legal at n + 1, b at 2n - 1 and T at one.
    """
    n = (settings["longest"] + 1) / 2  # the mean
    return binary_entropy(np.array([n + 1, 2 * n - 1, 1]) / (2 * n + 1))


def without_counting(settings: Settings) -> float:
    """Nats per frame of a net that knows what it reads, but not how often: after a b it guesses between b and T."""
    n = (settings["longest"] + 1) / 2
    return n * 2 * binary_entropy(1 / n) / (2 * n + 1)


DESCRIPTION = """\
Which symbols may come next in a string of n a's and n b's: the end can only be known by counting.

source     generated, no licence; the context-free language a^n b^n as Gers and Schmidhuber (2001) have it, which
           tests on longer strings than it trains on; here all splits are alike.
own data   none.
shapes     inputs are 2n + 1 frames x 3, one-hot: S, a, b, where S comes once, at the start, and n is uniform from 1
           to `longest`; targets are frames x 3, 1 where a, b, T may come next, T being the end: a after S, a or b after
           an a, b after a b, T after the last b.
splits     generated for each trial from its coordinates; `train`, `validation` and `test` say how many.
settings   longest (20): the largest n, from 2.
score      nats per frame, lower is better: the negative log-likelihood summed over the symbols, averaged over all
           frames. The best constant predictor scores 1.182; who does not count, but guesses after each b, scores
           0.300, so that counting shows only below that.
"""

TASKS.add(
    Task(
        name="anbn",
        summary="diagnostic: counting, the symbols that may come next in a^n b^n",
        description=DESCRIPTION,
        loss="binary_cross_entropy",
        score="nats",
        target_position=TargetPosition.EVERY_FRAME,
        unit="nats per frame",
        generate=generate,
        baseline=baseline,
        settings={"longest": 20},
        groups=("diagnostics",),
    )
)
