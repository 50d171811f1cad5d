"""The search space: for each hyperparameter, the distribution that random search draws it from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ablate.errors import UserError
from ablate.plan.random_streams import RandomStreams

SCALES = ("log", "linear", "one-minus-log")


@dataclass(frozen=True)
class Range:
    """The distribution of one hyperparameter, uniform on its scale.

    `one-minus-log` is for a momentum: 1 - value is log-uniform, so that `low` and `high` bound 1 - value.
    """

    low: float  # the lower end
    high: float  # the upper end
    scale: str = "linear"  # linear, log or one-minus-log
    integer: bool = False  # whether whole numbers are drawn

    def value_at(self, quantile: float) -> float | int:
        """The value at a quantile in [0, 1)."""
        if self.scale == "linear":
            value = self.low + quantile * (self.high - self.low)
        else:
            value = math.exp(math.log(self.low) + quantile * (math.log(self.high) - math.log(self.low)))
            value = 1 - value if self.scale == "one-minus-log" else value
        return round(value) if self.integer else value

    def __str__(self) -> str:
        bounds = f"[{self.low:g}, {self.high:g}]"
        words = {"log": "log-uniform", "linear": "uniform", "one-minus-log": "1 - log-uniform"}
        return f"{words[self.scale]} {bounds}{', whole' if self.integer else ''}"


# Greff et al. 2017, section IV-C.
GREFF_SEARCH_SPACE: dict[str, Range] = {
    "hidden_size": Range(20, 200, "log", integer=True),
    "learning_rate": Range(1e-6, 1e-2, "log"),
    "momentum": Range(0.01, 1.0, "one-minus-log"),
    "input_noise": Range(0.0, 1.0),
}
HYPERPARAMETERS = tuple(GREFF_SEARCH_SPACE)

# What a value must obey to be trained with: lower bound, upper bound, and in words.
_VALID = {
    "hidden_size": (1, math.inf, "at least 1"),
    "learning_rate": (0.0, math.inf, "positive"),
    "momentum": (0.0, 1.0, "at least 0 and below 1"),
    "input_noise": (0.0, math.inf, "at least 0"),
}


def sample_hyperparameters(space: dict[str, Range | float], streams: RandomStreams) -> dict[str, float | int]:
    """The hyperparameters of a trial; each has a stream of its own, so that fixing one leaves the others alone."""
    return {
        name: entry.value_at(streams.generator("hyperparameter", name).random()) if isinstance(entry, Range) else entry
        for name, entry in space.items()
    }


def parse_distribution(name: str, value: Any, default: Range | float | None = None) -> Range | float:
    """One entry of the configuration's `[search]`: a number fixes it, a table gives low, high and scale.

    What a table leaves out stays as in `default`, or as in Greff's ranges.

    Raises:
        UserError: the entry is not of that form, or leads out of what can be trained.
    """
    standard = default if isinstance(default, Range) else GREFF_SEARCH_SPACE[name]
    if isinstance(value, Range):
        return value
    if isinstance(value, dict):
        unknown = sorted(set(value) - {"low", "high", "scale"})
        if unknown:
            raise UserError(f"search.{name}: unknown key {unknown[0]!r}; known: low, high, scale")
        low, high = (_number(f"search.{name}.{end}", value.get(end, getattr(standard, end))) for end in ("low", "high"))
        scale = value.get("scale", standard.scale)
        if scale not in SCALES:
            raise UserError(f"search.{name}.scale is {scale!r}; it must be one of {', '.join(SCALES)}")
        if low > high:
            raise UserError(f"search.{name}: low is {low:g}, above high, {high:g}")
        if scale != "linear" and low <= 0:
            raise UserError(f"search.{name}.low is {low:g}; on the scale {scale!r} it must be positive")
        entry = Range(low, high, scale, standard.integer)
        _check(name, entry.value_at(0.0))
        _check(name, entry.value_at(math.nextafter(1.0, 0.0)))
        return entry
    number = _number(f"search.{name}", value)
    _check(name, number)
    return round(number) if standard.integer else number


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{key} is {value!r}; it must be a number, or a table of low, high and scale")
    return value


def _check(name: str, value: float) -> None:
    low, high, words = _VALID[name]
    open_below, open_above = name == "learning_rate", name == "momentum"
    if not (low <= value <= high) or (open_below and value <= low) or (open_above and value >= high):
        raise UserError(f"search.{name} allows {value:g}; a {name.replace('_', ' ')} must be {words}")
    if GREFF_SEARCH_SPACE[name].integer and value != round(value):
        raise UserError(f"search.{name} is {value:g}; it must be a whole number")
