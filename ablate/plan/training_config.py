"""How one trial is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ablate.errors import UserError

OPTIMISERS = ("sgd", "adam", "adagrad")
PAPER, NATIVE, SEARCHED = INITIALISATIONS = ("paper", "native", "searched")


@dataclass(frozen=True)
class TrainingConfig:
    """How one trial is trained; the defaults are those of Greff et al. 2017, section IV."""

    epochs: int = 150  # at most
    patience: int = 15  # epochs without a better validation score before a trial stops
    optimiser: str = "sgd"  # Nesterov momentum, learning rate times (1 - momentum); or "adam", "adagrad"
    batch_size: int = 1  # sequences an update
    initialisation: str = PAPER  # Greff's; "native", by each cell's own paper; "searched", init_std, forget_bias drawn
    init_std: float = 0.1  # standard deviation of the initial weights
    forget_bias: float = 0.0  # added to the initial b_f
    gradient_clipping: float = 0.0  # each component to [-c, c]; 0: none
    gradient_norm: float = 0.0  # the whole gradient is scaled down to this norm; 0: not
    layers: int = 1  # recurrent layers, one above the other
    tbptt_steps: int = 0  # frames that are propagated back through, the state being carried on; 0: whole sequences

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "layers"):
            require(f"training.{name}", getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("init_std", "gradient_clipping", "gradient_norm", "tbptt_steps"):
            require(f"training.{name}", getattr(self, name), getattr(self, name) >= 0, "at least 0")
        if self.optimiser not in OPTIMISERS:
            raise UserError(f"training.optimiser is {self.optimiser!r}; known: {', '.join(OPTIMISERS)}")
        if self.initialisation not in INITIALISATIONS:
            raise UserError(f"training.initialisation is {self.initialisation!r}; known: {', '.join(INITIALISATIONS)}")

    def with_drawn(self, hyperparameters: Mapping[str, Any]) -> TrainingConfig:
        """With the keys that the search has drawn for a trial."""
        drawn = {each.name for each in fields(self)} & hyperparameters.keys()
        return replace(self, **{name: hyperparameters[name] for name in drawn})


def require(key: str, value: Any, holds: bool, words: str) -> None:
    """Refuse a value that does not hold, by its key and what it must be."""
    if not holds:
        raise UserError(f"{key} is {value}; it must be {words}")
