"""One trial, trained as Greff et al. (2017, section IV) trained."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

import torch

from ablate.cell.layer import Layer
from ablate.definitions.dataset import Dataset
from ablate.definitions.variant import Variant
from ablate.plan.random_streams import RandomStreams
from ablate.plan.search_space import Value
from ablate.plan.study_plan import TaskConfig
from ablate.training.network import Network
from ablate.training.noise import Noise
from ablate.training.optimiser import make_optimiser
from ablate.training.text_sampling import sample_text
from ablate.training.trainer import make_trainer


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
    hyperparameters: dict[str, Value],
) -> Outcome:
    """Train one network; stop early on validation; take the test score at the best validation epoch.

    The training score of an epoch is the mean over its updates, with input noise, as the weights change; validation
    and test are without noise. A loss that is not finite ends the trial, which keeps what it has reached: whoever used
    the network would have kept its best weights too. Generated training data are new in each epoch.
    """
    training = task_config.training.with_drawn(hyperparameters)
    task_config = replace(task_config, training=training)
    with torch.random.fork_rng(devices=[]):  # which a cell that is a module may draw from, as for dropout
        torch.manual_seed(int(streams.generator("torch").integers(2**62)))
        return _train(task_config, data, variant, layer, streams, hyperparameters)


def _train(
    task_config: TaskConfig,
    data: Dataset,
    variant: Variant,
    layer: Layer,
    streams: RandomStreams,
    hyperparameters: dict[str, Value],
) -> Outcome:
    started = time.perf_counter()
    task, training = task_config.task, task_config.training
    sign = 1 if task.direction == "minimize" else -1
    network = make_network(task_config, data, variant, layer, hyperparameters)
    longest = int(data.splits["train"].lengths.max())
    network.initialise(streams, training, longest)
    optimiser = make_optimiser(network.parameters, hyperparameters, training, network.bounds(training, longest))
    trainer = make_trainer(network, task, optimiser, training)
    outcome = Outcome("diverged", parameters=network.parameters.flat.numel())
    best = network.parameters.flat.clone()
    sequences = data.splits["train"]
    for epoch in range(1, training.epochs + 1):
        if task.generate is not None and epoch > 1:
            sequences = task.generate(streams.generator("data", "train", epoch), len(sequences), task_config.settings)
        noise = Noise(streams.key("noise", epoch), float(hyperparameters["input_noise"]))
        order = streams.generator("order", epoch).permutation(len(sequences))
        train = trainer.train(sequences, order, noise)
        validation = trainer.evaluate(data.splits["validation"]) if math.isfinite(train) else math.nan
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
        outcome.test = trainer.evaluate(data.splits["test"])
        if task.samples_text:
            length, temperature = int(task_config.settings["sample"]), float(task_config.settings["temperature"])
            outcome.sample = sample_text(network, data.class_names, streams.generator("sample"), length, temperature)
    outcome.seconds = time.perf_counter() - started
    return outcome


def make_network(
    task_config: TaskConfig, data: Dataset, variant: Variant, layer: Layer, hyperparameters: dict[str, Value]
) -> Network:
    """The network of a trial, its weights not yet drawn."""
    sizes = data.input_size, int(hyperparameters["hidden_size"]), data.output_size
    return Network(variant, layer, *sizes, task_config.training.layers, task_config.bidirectional)
