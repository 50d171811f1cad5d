"""What trains and evaluates a network, epoch by epoch."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ablate.cell.cpu.layer import CompiledBoundLayer
from ablate.definitions.dataset import Sequences
from ablate.definitions.task import Task
from ablate.plan.training_config import TrainingConfig
from ablate.training.compiled_trainer import CompiledTrainer
from ablate.training.framework_trainer import FrameworkTrainer
from ablate.training.network import Network
from ablate.training.noise import Noise
from ablate.training.optimiser import Optimiser


class Trainer(Protocol):
    """Trains and evaluates one network."""

    def train(self, sequences: Sequences, order: npt.NDArray[np.int64], noise: Noise | None = None) -> float:
        """As `FrameworkTrainer.train`."""
        ...

    def evaluate(self, sequences: Sequences) -> float:
        """As `FrameworkTrainer.evaluate`."""
        ...


def make_trainer(network: Network, task: Task, optimiser: Optimiser, training: TrainingConfig) -> Trainer:
    """Compiled passes where every layer has a kernel, the framework's otherwise."""
    layers = [layer for cells in network.cells for _, _, layer in cells]
    compiled = all(isinstance(layer, CompiledBoundLayer) for layer in layers)
    made = CompiledTrainer if compiled else FrameworkTrainer
    return made(network, task, optimiser, training.batch_size, training.tbptt_steps)
