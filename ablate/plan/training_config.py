"""How one trial is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ablate.errors import UserError

OPTIMISERS = ("sgd", "adam", "adagrad")


@dataclass(frozen=True)
class TrainingConfig:
    """How one trial is trained; the defaults are those of Greff et al. 2017, section IV."""

    epochs: int = 150  # at most
    patience: int = 15  # epochs without a better validation score before a trial stops
    optimiser: str = "sgd"  # Nesterov momentum, learning rate times (1 - momentum); or "adam", "adagrad"
    batch_size: int = 1  # sequences an update
    init_std: float = 0.1  # standard deviation of the initial weights
    forget_bias: float = 0.0  # added to the initial b_f
    gradient_clipping: float = 0.0  # each component to [-c, c]; 0: none
    layers: int = 1  # recurrent layers, one above the other
    tbptt_steps: int = 0  # frames that are propagated back through, the state being carried on; 0: whole sequences

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "layers"):
            require(f"training.{name}", getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("init_std", "gradient_clipping", "tbptt_steps"):
            require(f"training.{name}", getattr(self, name), getattr(self, name) >= 0, "at least 0")
        if self.optimiser not in OPTIMISERS:
            raise UserError(f"training.optimiser is {self.optimiser!r}; known: {', '.join(OPTIMISERS)}")


def require(key: str, value: Any, holds: bool, words: str) -> None:
    """Refuse a value that does not hold, by its key and what it must be."""
    if not holds:
        raise UserError(f"{key} is {value}; it must be {words}")
