"""The losses that networks are trained on, and the scores that tasks report, each with its direction.

A new score is one entry of SCORES; training, progress, tables and figures follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

Direction = Literal["minimize", "maximize"]  # as Optuna says it

# The output layer and its loss; the loss of a target is summed over its K columns.
Loss = Literal[
    "binary_cross_entropy",  # K independent sigmoid units; nats
    "cross_entropy",  # a softmax over K classes; nats
    "squared_error",  # K numbers
    "ctc",  # K - 1 classes and the blank at every frame, for a label without alignment (Graves et al. 2006); nats
]
LOSSES: tuple[Loss, ...] = get_args(Loss)
LOSSES_OF_CLASSES = ("cross_entropy", "ctc")  # their targets are class numbers
LIKELIHOODS = ("binary_cross_entropy", "cross_entropy", "ctc")


@dataclass(frozen=True)
class Score:
    """What a task reports for a split, made from the means over all targets of the split."""

    name: str  # by which a task names it
    direction: Direction  # "minimize" or "maximize"
    unit: str  # as figures print it; a task may say it more closely, such as "nats per frame"
    losses: tuple[str, ...]  # the losses that it can be made from
    value: Callable[[float, float], float]  # of the mean loss and the mean number of errors

    @property
    def perfect(self) -> float:
        """The score of a network that makes no error; that of a likelihood is of a certain prediction."""
        return self.value(0.0, 0.0)

    @property
    def better(self) -> str:
        """Which scores are better, in a word: `lower` or `higher`."""
        return "lower" if self.direction == "minimize" else "higher"


# An error is a wrong class, or, with `ctc`, an edit from the best path's label to the right one.
SCORES = {
    score.name: score
    for score in (
        Score("nats", "minimize", "nats", LIKELIHOODS, lambda loss, errors: loss),
        Score("bits", "minimize", "bits", LIKELIHOODS, lambda loss, errors: loss / math.log(2)),
        Score("squared_error", "minimize", "squared error", ("squared_error",), lambda loss, errors: loss),
        Score("error_rate", "minimize", "% error", ("cross_entropy",), lambda loss, errors: 100 * errors),
        Score("accuracy", "maximize", "% right", ("cross_entropy",), lambda loss, errors: 100 * (1 - errors)),
        Score("label_error_rate", "minimize", "% label error", ("ctc",), lambda loss, errors: 100 * errors),
    )
}
