"""One trial, trained as Greff et al. (2017, section IV) trained."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch

from ablate.cell.engine import Layer
from ablate.cell.trace import Trace
from ablate.plan.config import Training
from ablate.plan.coordinates import Draws
from ablate.train.batches import batches, by_length
from ablate.train.network import Network
from ablate.train.objective import OBJECTIVES, Objective
from tasks.registry import Dataset, Sequences, Task

# Sequences evaluated at once: enough to fill the products, few enough to stay small in memory.
EVALUATION_BATCH = 64


@dataclass
class Outcome:
    """What a trial leaves behind: its final scores, and a row for each epoch."""

    state: str  # completed or diverged
    parameters: int
    validation: float = math.nan  # at the best epoch; scores of a diverged trial stay empty
    test: float = math.nan
    best_epoch: int | None = None
    epochs: int = 0
    seconds: float = 0.0
    curve: list[tuple[int, float, float]] = field(default_factory=list)  # epoch, train, validation


def run_trial(
    task: Task,
    data: Dataset,
    trace: Trace,
    layer: Layer,
    draws: Draws,
    hyperparameters: dict[str, float | int],
    training: Training,
) -> Outcome:
    """Train one network; stop early on validation; take the test score at the best validation epoch.

    The training score of an epoch is the mean over its updates, with input noise, as the weights change; validation
    and test are without noise. A loss that is not finite ends the trial as diverged.
    """
    started = time.perf_counter()
    network = Network(trace, layer, task.input_size, int(hyperparameters["hidden_size"]), task.output_size)
    network.initialise(draws, training)
    objective = OBJECTIVES[task.outputs]
    optimiser = _optimiser(network, hyperparameters, training)
    outcome = Outcome("completed", parameters=network.parameters.flat.numel())
    best = network.parameters.flat.clone()
    for epoch in range(1, training.epochs + 1):
        train = _train_epoch(
            network, objective, optimiser, data.splits["train"], draws, epoch, hyperparameters["input_noise"], training
        )
        validation = _evaluate(network, objective, data.splits["validation"]) if math.isfinite(train) else math.nan
        outcome.epochs = epoch
        outcome.curve.append((epoch, train, validation))
        if not math.isfinite(validation):
            outcome.state = "diverged"
            break
        if outcome.best_epoch is None or validation < outcome.validation:
            outcome.validation, outcome.best_epoch = validation, epoch
            best.copy_(network.parameters.flat)
        elif epoch - outcome.best_epoch >= training.patience:
            break
    if outcome.state == "completed":
        network.parameters.flat.copy_(best)
        outcome.test = _evaluate(network, objective, data.splits["test"])
    else:
        outcome.validation, outcome.best_epoch = math.nan, None
    outcome.seconds = time.perf_counter() - started
    return outcome


def _train_epoch(
    network: Network,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    data: Sequences,
    draws: Draws,
    epoch: int,
    input_noise: float,
    training: Training,
) -> float:
    """One pass over the training sequences in a new order; the mean loss a frame, NaN as soon as one is not finite."""
    order = draws.generator("order", epoch).permutation(len(data))
    noise = draws.generator("noise", epoch).standard_normal(data.inputs.shape, np.float32)
    noise *= np.float32(input_noise)
    flat, total, frames = network.parameters.flat, 0.0, 0
    assert flat.grad is not None
    for batch in batches(data, order, training.batch_size, noise):
        flat.grad.zero_()
        loss = objective(network(batch.x), batch) / batch.sequences
        loss.backward()
        value = loss.item()
        if not math.isfinite(value):
            return math.nan
        if training.gradient_clipping:
            flat.grad.clamp_(-training.gradient_clipping, training.gradient_clipping)
        optimiser.step()
        total += value * batch.sequences
        frames += batch.frames
    return total / frames


@torch.no_grad()
def _evaluate(network: Network, objective: Objective, data: Sequences) -> float:
    """The mean loss a frame over all frames of a split."""
    total = sum(objective(network(batch.x), batch).item() for batch in batches(data, by_length(data), EVALUATION_BATCH))
    return total / int(data.lengths.sum())


def _optimiser(network: Network, hyperparameters: dict[str, float | int], training: Training) -> torch.optim.Optimizer:
    """The optimiser over all parameters at once.

    Greff et al. multiply the learning rate by (1 - momentum), which makes the two independent. Adam takes the
    momentum as its first decay rate.
    """
    rate, momentum = hyperparameters["learning_rate"], float(hyperparameters["momentum"])
    flat = [network.parameters.flat]
    if training.optimiser == "adam":
        return torch.optim.Adam(flat, lr=rate, betas=(momentum, 0.999))
    # Nesterov's form of no momentum at all is plain descent, which the framework asks for by name.
    return torch.optim.SGD(flat, lr=rate * (1 - momentum), momentum=momentum, nesterov=momentum > 0)
