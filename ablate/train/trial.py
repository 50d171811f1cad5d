"""One trial, trained as Greff et al. (2017, section IV) trained."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from ablate.cell.engine import Layer
from ablate.plan.config import Training
from ablate.plan.coordinates import Draws
from ablate.train.batches import Batch, Frames, by_length
from ablate.train.network import Network
from ablate.train.objective import judge
from ablate.train.optimiser import Optimiser, make_optimiser
from tasks.registry import Dataset, Sequences, Task
from variants import Variant

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
    variant: Variant,
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
    network = Network(variant, layer, task.input_size, int(hyperparameters["hidden_size"]), task.output_size)
    network.initialise(draws, training, int(data.splits["train"].lengths.max()))
    optimiser = make_optimiser(network.parameters, hyperparameters, training)
    outcome = Outcome("completed", parameters=network.parameters.flat.numel())
    best = network.parameters.flat.clone()
    frames = Frames(data.splits["train"])
    for epoch in range(1, training.epochs + 1):
        frames.add_noise(draws.generator("noise", epoch), float(hyperparameters["input_noise"]))
        order = draws.generator("order", epoch).permutation(len(data.splits["train"]))
        train = train_epoch(network, task.outputs, optimiser, frames.batches(order, training.batch_size))
        validation = evaluate(network, task.outputs, data.splits["validation"]) if math.isfinite(train) else math.nan
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
        outcome.test = evaluate(network, task.outputs, data.splits["test"])
    else:
        outcome.validation, outcome.best_epoch = math.nan, None
    outcome.seconds = time.perf_counter() - started
    return outcome


def train_epoch(network: Network, objective: str, optimiser: Optimiser, batches: Iterable[Batch]) -> float:
    """One pass over the training sequences; the mean score of an answer, NaN as soon as a loss is not finite."""
    total, answers = 0.0, 0
    for batch in batches:
        outputs = network.forward(batch.x)
        _, score = judge(objective, outputs, batch, 1 / len(batch.lengths))
        if not math.isfinite(score):
            return math.nan
        network.backward(outputs)
        optimiser.step()
        total += score
        answers += batch.answers
    return total / answers


def evaluate(network: Network, objective: str, data: Sequences) -> float:
    """The mean score of an answer over all answers of a split; NaN where a loss is not finite."""
    batches = Frames(data).batches(by_length(data), EVALUATION_BATCH)
    total = sum(judge(objective, network.forward(batch.x, training=False), batch)[1] for batch in batches)
    return total / len(data.targets)
