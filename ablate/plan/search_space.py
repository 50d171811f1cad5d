"""The search space: for each hyperparameter, the distribution that random search draws it from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ablate.errors import UserError
from ablate.plan.random_streams import RandomStreams
from ablate.plan.training_config import OPTIMISERS

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


@dataclass(frozen=True)
class Choice:
    """One of a few values, each as likely as the others."""

    values: tuple[str, ...] | tuple[int, ...]

    def value_at(self, quantile: float) -> str | int:
        """The value at a quantile in [0, 1)."""
        return self.values[int(quantile * len(self.values))]

    def __str__(self) -> str:
        return f"one of {', '.join(map(str, self.values))}"


Entry = Range | Choice | float  # of a search space: what is drawn, or one value for all trials
Value = float | int | str  # of a hyperparameter

# Greff et al. 2017, section IV-C.
GREFF_SEARCH_SPACE: dict[str, Range] = {
    "hidden_size": Range(20, 200, "log", integer=True),
    "learning_rate": Range(1e-6, 1e-2, "log"),
    "momentum": Range(0.01, 1.0, "one-minus-log"),
    "input_noise": Range(0.0, 1.0),
}
# Keys of `[training]` that `[search]` may draw instead, with what a table of them leaves out.
TRAINING_AXES: dict[str, Range | Choice] = {
    "init_std": Range(0.01, 1.0, "log"),
    "forget_bias": Range(0.0, 2.0),
    "gradient_clipping": Range(0.01, 10.0, "log"),
    "gradient_norm": Range(0.1, 100.0, "log"),
    "layers": Choice((1, 2)),
    "optimiser": Choice(OPTIMISERS),
}
SEARCHED_INITIALISATION = ("init_std", "forget_bias")  # what `initialisation = "searched"` draws
_STANDARD: dict[str, Range | Choice] = {**GREFF_SEARCH_SPACE, **TRAINING_AXES}
HYPERPARAMETERS = tuple(_STANDARD)

# What a value must obey to be trained with: lower bound, upper bound, and in words.
_VALID = {
    "hidden_size": (1, math.inf, "at least 1"),
    "learning_rate": (0.0, math.inf, "positive"),
    "momentum": (0.0, 1.0, "at least 0 and below 1"),
    "input_noise": (0.0, math.inf, "at least 0"),
    "init_std": (0.0, math.inf, "at least 0"),
    "forget_bias": (-math.inf, math.inf, "a number"),
    "gradient_clipping": (0.0, math.inf, "at least 0"),
    "gradient_norm": (0.0, math.inf, "at least 0"),
    "layers": (1, math.inf, "at least 1"),
}


def sample_hyperparameters(
    space: Mapping[str, Entry], streams: RandomStreams, draws: str = "random"
) -> dict[str, Value]:
    """The hyperparameters of a trial.

    Args:
        draws: "random", each by a stream of its own, so that fixing one leaves the others alone; or "sobol", the
            trial's point of a scrambled Sobol sequence of the study's task, which fills the space evenly.
    """
    drawn = [name for name, entry in space.items() if not isinstance(entry, float | int)]
    if draws == "sobol":
        quantiles = dict(zip(drawn, streams.sobol_point(len(drawn)), strict=True))
    else:
        quantiles = {name: streams.generator("hyperparameter", name).random() for name in drawn}
    return {
        name: entry if isinstance(entry, float | int) else entry.value_at(quantiles[name])
        for name, entry in space.items()
    }


def parse_distribution(name: str, value: Any, default: Entry | None = None) -> Entry:
    """One entry of the configuration's `[search]`.

    A number fixes it, a table gives low, high and scale, a list gives the values of a hyperparameter that has few.
    What a table leaves out stays as in `default`, or as in Greff's ranges.

    Raises:
        UserError: the entry is not of that form, or leads out of what can be trained.
    """
    standard = default if isinstance(default, Range | Choice) else _STANDARD[name]
    if isinstance(value, Range | Choice):
        return value
    if isinstance(standard, Choice):
        return _choice(name, value, standard)
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
    if name in TRAINING_AXES:
        raise UserError(f"search.{name} is {number:g}, one value for all trials; set training.{name} instead")
    _check(name, number)
    return round(number) if standard.integer else number


def _choice(name: str, value: Any, standard: Choice) -> Choice:
    """The values of a hyperparameter that has few."""
    values = value.get("values") if isinstance(value, dict) else value
    kind = type(standard.values[0])
    wrong = UserError(f"search.{name} is {value!r}; it must be a list, such as {list(standard.values)}")
    if not isinstance(values, list | tuple) or not values or not all(type(each) is kind for each in values):
        raise wrong
    if len(set(values)) != len(values):
        raise UserError(f"search.{name} is {value!r}; each value once")
    for each in values:
        if kind is int:
            _check(name, each)
        elif each not in standard.values:
            raise UserError(f"search.{name} has {each!r}; known: {', '.join(map(str, standard.values))}")
    return Choice(tuple(values))


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{key} is {value!r}; it must be a number, or a table of low, high and scale")
    return value


def _check(name: str, value: float) -> None:
    low, high, words = _VALID[name]
    open_below, open_above = name == "learning_rate", name == "momentum"
    if not (low <= value <= high) or (open_below and value <= low) or (open_above and value >= high):
        raise UserError(f"search.{name} allows {value:g}; a {name.replace('_', ' ')} must be {words}")
    standard = _STANDARD[name]
    if isinstance(standard, Range) and standard.integer and value != round(value):
        raise UserError(f"search.{name} is {value:g}; it must be a whole number")
