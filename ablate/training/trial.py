"""One trial, trained as Greff et al. (2017, section IV) trained."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from ablate.cell.layer import Layer
from ablate.definitions.dataset import Dataset
from ablate.definitions.task import Task
from ablate.definitions.variant import Variant
from ablate.plan.random_streams import RandomStreams
from ablate.plan.study_plan import TaskConfig
from ablate.training.batches import Batch, BatchLoader, order_by_length
from ablate.training.losses import MetricSum, loss_and_errors
from ablate.training.network import Network
from ablate.training.noise import Noise
from ablate.training.optimiser import Optimiser, make_optimiser
from ablate.training.text_sampling import sample_text

# What is evaluated at once: enough to fill the products, little enough to stay small in memory.
EVALUATION_SEQUENCES, EVALUATION_FRAMES, EVALUATION_NUMBERS = 64, 1000, 16_000_000


@dataclass
class Outcome:
    """What a trial leaves behind: its final scores, and a row for each epoch."""

    state: str  # completed, or diverged: without any finite validation score
    parameters: int
    stop_reason: str = "epochs"  # or "patience", "not finite"
    validation: float = math.nan  # at the best epoch
    test: float = math.nan  # of the same weights; NaN where it is not finite
    best_epoch: int | None = None
    epochs: int = 0
    seconds: float = 0.0
    curve: list[tuple[int, float, float]] = field(default_factory=list)  # epoch, train, validation
    sample: str = ""  # text that the network wrote, where the task asks for it


def run_trial(
    task_config: TaskConfig,
    data: Dataset,
    variant: Variant,
    layer: Layer,
    streams: RandomStreams,
    hyperparameters: dict[str, float | int],
) -> Outcome:
    """Train one network; stop early on validation; take the test score at the best validation epoch.

    The training score of an epoch is the mean over its updates, with input noise, as the weights change; validation
    and test are without noise. A loss that is not finite ends the trial, which keeps what it has reached: whoever used
    the network would have kept its best weights too. Generated training data are new in each epoch.
    """
    with torch.random.fork_rng(devices=[]):  # which a cell that is a module may draw from, as for dropout
        torch.manual_seed(int(streams.generator("torch").integers(2**62)))
        return _train(task_config, data, variant, layer, streams, hyperparameters)


def _train(
    task_config: TaskConfig,
    data: Dataset,
    variant: Variant,
    layer: Layer,
    streams: RandomStreams,
    hyperparameters: dict[str, float | int],
) -> Outcome:
    started = time.perf_counter()
    task, training = task_config.task, task_config.training
    sign = 1 if task.direction == "minimize" else -1
    network = make_network(task_config, data, variant, layer, hyperparameters)
    network.initialise(streams, training, int(data.splits["train"].lengths.max()))
    optimiser = make_optimiser(network.parameters, hyperparameters, training)
    outcome = Outcome("diverged", parameters=network.parameters.flat.numel())
    best = network.parameters.flat.clone()
    sequences = data.splits["train"]
    for epoch in range(1, training.epochs + 1):
        if task.generate is not None and epoch > 1:
            sequences = task.generate(streams.generator("data", "train", epoch), len(sequences), task_config.settings)
        noise = Noise(streams.key("noise", epoch), float(hyperparameters["input_noise"]))
        order = streams.generator("order", epoch).permutation(len(sequences))
        batches = BatchLoader(sequences, data.input_size).batches(order, training.batch_size, noise)
        train = train_epoch(network, task, optimiser, batches, training.tbptt_steps)
        validation = evaluate(network, task, data, "validation") if math.isfinite(train) else math.nan
        outcome.epochs = epoch
        outcome.curve.append((epoch, train, validation))
        if not math.isfinite(validation):
            outcome.stop_reason = "not finite"
            break
        if outcome.best_epoch is None or sign * validation < sign * outcome.validation:
            outcome.state, outcome.validation, outcome.best_epoch = "completed", validation, epoch
            best.copy_(network.parameters.flat)
        elif epoch - outcome.best_epoch >= training.patience:
            outcome.stop_reason = "patience"
            break
    if outcome.state == "completed":
        network.parameters.flat.copy_(best)
        outcome.test = evaluate(network, task, data, "test")
        if task.samples_text:
            length, temperature = int(task_config.settings["sample"]), float(task_config.settings["temperature"])
            outcome.sample = sample_text(network, data.class_names, streams.generator("sample"), length, temperature)
    outcome.seconds = time.perf_counter() - started
    return outcome


def make_network(
    task_config: TaskConfig, data: Dataset, variant: Variant, layer: Layer, hyperparameters: dict[str, float | int]
) -> Network:
    """The network of a trial, its weights not yet drawn."""
    sizes = data.input_size, int(hyperparameters["hidden_size"]), data.output_size
    return Network(variant, layer, *sizes, task_config.training.layers, task_config.bidirectional)


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


def evaluate(network: Network, task: Task, data: Dataset, split: str) -> float:
    """The mean score over all targets of a split; NaN where a loss is not finite."""
    sequences = data.splits[split]
    whole = network.bidirectional or task.loss == "ctc"
    longest = int(sequences.lengths.max())
    frames = longest if whole else min(longest, EVALUATION_FRAMES)
    numbers = longest * data.input_size + frames * network.numbers_per_frame  # of one sequence
    size = min(max(EVALUATION_NUMBERS // numbers, 1), EVALUATION_SEQUENCES)
    metric_sum = MetricSum()
    for batch in BatchLoader(sequences, data.input_size).batches(order_by_length(sequences), size):
        state = None
        for part in (batch,) if whole else batch.split(EVALUATION_FRAMES):
            outputs = network.forward(part.x, part.lengths, training=False, state=state)
            state = network.last_state()
            metric_sum.add(*loss_and_errors(task.loss, outputs, part), part.n_targets)
    return metric_sum.score(task.score)
