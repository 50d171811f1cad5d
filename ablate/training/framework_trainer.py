"""Trains and evaluates a network batch by batch, by the framework's operations."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ablate.definitions.dataset import Sequences
from ablate.definitions.task import Task
from ablate.training.batches import Batch, BatchLoader, evaluation_batches, order_by_length
from ablate.training.losses import MetricSum, loss_and_errors
from ablate.training.network import Network
from ablate.training.noise import Noise
from ablate.training.optimiser import Optimiser


class FrameworkTrainer:
    """Trains and evaluates a network of any layers.

    Args:
        task: whose loss and score count.
        optimiser: of the network's parameters.
        batch_size: sequences to an update.
        tbptt_steps: frames after which an update is made and the gradient is cut; the state goes on. 0: no cut.
    """

    def __init__(
        self, network: Network, task: Task, optimiser: Optimiser, batch_size: int = 1, tbptt_steps: int = 0
    ) -> None:
        self._network, self._task, self._optimiser = network, task, optimiser
        self._batch_size, self._tbptt_steps = batch_size, tbptt_steps

    def train(self, sequences: Sequences, order: npt.NDArray[np.int64], noise: Noise | None = None) -> float:
        """One pass over the training sequences; the mean score, NaN as soon as a loss is not finite."""
        batches = BatchLoader(sequences, self._network.M).batches(order, self._batch_size, noise)
        return train_epoch(self._network, self._task, self._optimiser, batches, self._tbptt_steps)

    def evaluate(self, sequences: Sequences) -> float:
        """The mean score over all targets of a split; NaN where a loss is not finite."""
        network, metric_sum = self._network, MetricSum()
        size, frames = evaluation_batches(network, self._task, sequences)
        for batch in BatchLoader(sequences, network.M).batches(order_by_length(sequences), size):
            state = None
            for part in batch.split(frames) if frames else (batch,):
                outputs = network.forward(part.x, part.lengths, training=False, state=state)
                state = network.last_state()
                metric_sum.add(*loss_and_errors(self._task.loss, outputs, part), part.n_targets)
        return metric_sum.score(self._task.score)


def train_epoch(
    network: Network, task: Task, optimiser: Optimiser, batches: Iterable[Batch], tbptt_steps: int = 0
) -> float:
    """One pass over the training sequences; the mean score, NaN as soon as a loss is not finite.

    Args:
        tbptt_steps: frames after which an update is made and the gradient is cut; the state goes on. 0: no cut.
    """
    metric_sum = MetricSum()
    for batch in batches:
        state = None
        for part in batch.split(tbptt_steps) if tbptt_steps else (batch,):
            outputs = network.forward(part.x, part.lengths, state=state)
            if tbptt_steps:
                state = network.last_state()
            if not part.n_targets:
                continue
            loss, errors = loss_and_errors(task.loss, outputs, part, 1 / len(part.lengths))
            metric_sum.add(loss, errors, part.n_targets)
            if not math.isfinite(loss):
                return math.nan
            network.backward(outputs)
            optimiser.step()
    return metric_sum.score(task.score)
