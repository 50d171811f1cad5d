"""The peer: the same protocol as one writes it in PyTorch and Optuna without this project, around nn.LSTM.

As a program, `python -m benchmarks.plain TRIALS EPOCHS THREADS`, it is a whole search: best validation score of each
trial on standard output.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import numpy as np
import optuna
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils.rnn import pad_sequence

from ablate.cache import default_cache_folder
from ablate.data.cache import open_dataset
from ablate.definitions.dataset import Sequences
from ablate.definitions.task import TASKS

Pieces = list[tuple[Tensor, Tensor]]


def load() -> dict[str, Pieces]:
    """The embedded chorales, each piece as inputs and targets (T, 88)."""
    data = open_dataset(TASKS["music"], None, {}, default_cache_folder(), lambda what, done, total: None)
    return {split: _pieces(sequences) for split, sequences in data.splits.items()}


def _pieces(data: Sequences) -> Pieces:
    cuts = np.cumsum(data.lengths)[:-1]
    inputs, targets = (np.split(np.asarray(each, np.float32), cuts) for each in (data.inputs, data.targets))
    return [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in zip(inputs, targets, strict=True)]


class Model(nn.Module):
    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(88, hidden_size)
        self.output = nn.Linear(hidden_size, 88)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.lstm(x)[0])


def make(hidden_size: int, learning_rate: float, momentum: float) -> tuple[Model, torch.optim.Optimizer]:
    model = Model(hidden_size)
    rate = learning_rate * (1 - momentum)
    return model, torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, nesterov=momentum > 0, fused=True)


def train_epoch(model: Model, optimiser: torch.optim.Optimizer, pieces: Pieces, noise: float) -> None:
    for k in torch.randperm(len(pieces)).tolist():
        x, y = pieces[k]
        optimiser.zero_grad()
        outputs = model((x + noise * torch.randn_like(x))[:, None])
        binary_cross_entropy_with_logits(outputs[:, 0], y, reduction="sum").backward()
        optimiser.step()


@torch.no_grad()
def evaluate(model: Model, pieces: Sequence[tuple[Tensor, Tensor]]) -> float:
    x, y = (pad_sequence([piece[side] for piece in pieces]) for side in (0, 1))
    mask = pad_sequence([torch.ones(len(piece[0]), 1) for piece in pieces])
    loss = binary_cross_entropy_with_logits(model(x), y, reduction="none") * mask
    return float(loss.sum() / mask.sum())


def search(trials: int, epochs: int) -> list[float]:
    """Greff's ranges, random search; the best validation score of each trial."""
    data = load()

    def objective(trial: optuna.Trial) -> float:
        hidden_size = trial.suggest_int("hidden_size", 20, 200, log=True)
        learning_rate = trial.suggest_float("learning_rate", 1e-6, 1e-2, log=True)
        momentum = 1 - trial.suggest_float("one_minus_momentum", 0.01, 1.0, log=True)
        noise = trial.suggest_float("input_noise", 0.0, 1.0)
        model, optimiser = make(hidden_size, learning_rate, momentum)
        best = math.inf
        for _ in range(epochs):
            train_epoch(model, optimiser, data["train"], noise)
            best = min(best, evaluate(model, data["validation"]))
        return best

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=trials)
    return [trial.value for trial in study.trials if trial.value is not None]


if __name__ == "__main__":
    count, length, threads = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    print(" ".join(f"{score:.3f}" for score in search(count, length)))
