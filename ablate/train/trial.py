"""One trial, trained as Greff et al. (2017, section IV) trained."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from ablate.cell.engine import Layer
from ablate.plan.coordinates import Draws
from ablate.plan.study import Lesson
from ablate.train.batches import Batch, Frames, Noise, by_length
from ablate.train.network import Network
from ablate.train.objective import Tally, judge
from ablate.train.optimiser import Optimiser, make_optimiser
from ablate.train.writing import write
from tasks.registry import Dataset, Task
from variants import Variant

# What is evaluated at once: enough to fill the products, little enough to stay small in memory.
EVALUATION_SEQUENCES, EVALUATION_FRAMES, EVALUATION_NUMBERS = 64, 1000, 16_000_000


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
    sample: str = ""  # what the network writes, where it can


def run_trial(
    lesson: Lesson,
    data: Dataset,
    variant: Variant,
    layer: Layer,
    draws: Draws,
    hyperparameters: dict[str, float | int],
) -> Outcome:
    """Train one network; stop early on validation; take the test score at the best validation epoch.

    The training score of an epoch is the mean over its updates, with input noise, as the weights change; validation
    and test are without noise. A loss that is not finite ends the trial as diverged. Generated training data are new
    in each epoch.
    """
    started = time.perf_counter()
    task, training = lesson.task, lesson.training
    sign = 1 if task.direction == "minimize" else -1
    network = make_network(lesson, data, variant, layer, hyperparameters)
    network.initialise(draws, training, int(data.splits["train"].lengths.max()))
    optimiser = make_optimiser(network.parameters, hyperparameters, training)
    outcome = Outcome("completed", parameters=network.parameters.flat.numel())
    best = network.parameters.flat.clone()
    sequences = data.splits["train"]
    for epoch in range(1, training.epochs + 1):
        if task.generate is not None and epoch > 1:
            sequences = task.generate(draws.generator("data", "train", epoch), len(sequences), lesson.settings)
        noise = Noise(draws.generator("noise", epoch), float(hyperparameters["input_noise"]))
        order = draws.generator("order", epoch).permutation(len(sequences))
        batches = Frames(sequences, data.input_size).batches(order, training.batch_size, noise)
        train = train_epoch(network, task, optimiser, batches, training.chunk)
        validation = evaluate(network, task, data, "validation") if math.isfinite(train) else math.nan
        outcome.epochs = epoch
        outcome.curve.append((epoch, train, validation))
        if not math.isfinite(validation):
            outcome.state = "diverged"
            break
        if outcome.best_epoch is None or sign * validation < sign * outcome.validation:
            outcome.validation, outcome.best_epoch = validation, epoch
            best.copy_(network.parameters.flat)
        elif epoch - outcome.best_epoch >= training.patience:
            break
    if outcome.state == "completed":
        network.parameters.flat.copy_(best)
        outcome.test = evaluate(network, task, data, "test")
        if task.generative:
            length, temperature = int(lesson.settings["sample"]), float(lesson.settings["temperature"])
            outcome.sample = write(network, data.classes, draws.generator("sample"), length, temperature)
    else:
        outcome.validation, outcome.best_epoch = math.nan, None
    outcome.seconds = time.perf_counter() - started
    return outcome


def make_network(
    lesson: Lesson, data: Dataset, variant: Variant, layer: Layer, hyperparameters: dict[str, float | int]
) -> Network:
    """The network of a trial, its weights not yet drawn."""
    sizes = data.input_size, int(hyperparameters["hidden_size"]), data.output_size
    return Network(variant, layer, *sizes, lesson.training.layers, lesson.bidirectional)


def train_epoch(network: Network, task: Task, optimiser: Optimiser, batches: Iterable[Batch], chunk: int = 0) -> float:
    """One pass over the training sequences; the mean score, NaN as soon as a loss is not finite.

    Args:
        chunk: frames after which an update is made and the gradient is cut; the state goes on. 0: whole sequences.
    """
    tally = Tally()
    for batch in batches:
        state = None
        for piece in batch.chunks(chunk) if chunk else (batch,):
            outputs = network.forward(piece.x, piece.lengths, state=state)
            if chunk:
                state = network.last_state()
            if not piece.answers:
                continue
            loss, mistakes = judge(task.outputs, outputs, piece, 1 / len(piece.lengths))
            tally.add(loss, mistakes, piece.answers)
            if not math.isfinite(loss):
                return math.nan
            network.backward(outputs)
            optimiser.step()
    return tally.score(task.score)


def evaluate(network: Network, task: Task, data: Dataset, split: str) -> float:
    """The mean score over all answers of a split; NaN where a loss is not finite."""
    sequences = data.splits[split]
    whole = network.bidirectional or task.outputs == "ctc"
    longest = int(sequences.lengths.max())
    kept = longest * data.input_size + (longest if whole else min(longest, EVALUATION_FRAMES)) * network.kept
    size = min(max(EVALUATION_NUMBERS // kept, 1), EVALUATION_SEQUENCES)
    tally = Tally()
    for batch in Frames(sequences, data.input_size).batches(by_length(sequences), size):
        state = None
        for piece in (batch,) if whole else batch.chunks(EVALUATION_FRAMES):
            outputs = network.forward(piece.x, piece.lengths, training=False, state=state)
            state = network.last_state()
            tally.add(*judge(task.outputs, outputs, piece), piece.answers)
    return tally.score(task.score)
