"""The configuration of a study: defaults, preset, file, command line, in this order; an unknown key is refused."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from ablate.definitions.task import TASKS, Task
from ablate.errors import UserError
from ablate.plan.search_space import GREFF, Range, parse_entry


@dataclass(frozen=True)
class Training:
    """How one trial is trained; the defaults are those of Greff et al. 2017, section IV."""

    epochs: int = 150
    patience: int = 15  # epochs without a better validation score before a trial stops
    optimiser: str = "sgd"  # sgd: Nesterov momentum, learning rate times (1 - momentum)
    batch_size: int = 1  # sequences an update
    init_std: float = 0.1  # standard deviation of the initial weights
    forget_bias: float = 0.0  # added to the initial b_f
    gradient_clipping: float = 0.0  # each component to [-c, c]; 0: none
    layers: int = 1  # recurrent layers, one above the other
    tbptt_steps: int = 0  # frames that are propagated back through, the state being carried on; 0: whole sequences

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "layers"):
            _require(f"training.{name}", getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("init_std", "gradient_clipping", "tbptt_steps"):
            _require(f"training.{name}", getattr(self, name), getattr(self, name) >= 0, "at least 0")
        if self.optimiser not in OPTIMISERS:
            raise UserError(f"training.optimiser is {self.optimiser!r}; known: {', '.join(OPTIMISERS)}")


OPTIMISERS = ("sgd", "adam", "adagrad")


@dataclass(frozen=True)
class Config:
    """All that the command can be told."""

    variants: tuple[str, ...] = ("all",)
    variants_from: tuple[str, ...] = ()  # Python files that register the user's own
    tasks: tuple[str, ...] = ("default",)
    trials: int = 200  # per task and variant, in total
    paired: bool = True  # at one index all variants share their draws
    seed: int = 0
    study: str = ""  # the folder under results/; the preset's name if empty
    jobs: int = 0  # worker processes, one thread each; 0: one a core
    engine: str = "auto"
    tracking_uri: str = ""  # an MLflow server; the SQLite database under results/ if empty
    storage: str = ""  # an Optuna database; the journal file of the study if empty
    results: str = "results"
    data: dict[str, str] = field(default_factory=dict)  # the user's own copies, by task
    preset: str = "default"
    training: Training = field(default_factory=Training)
    search: dict[str, Range | float] = field(default_factory=lambda: dict(GREFF))
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # by task: of its data, or in training's place

    def __post_init__(self) -> None:
        _require("trials", self.trials, self.trials >= 1, "at least 1")
        _require("seed", self.seed, self.seed >= 0, "at least 0")
        _require("jobs", self.jobs, self.jobs >= 0, "at least 0 (0: one a core)")
        if self.engine not in ENGINES:
            raise UserError(f"engine is {self.engine!r}; known: {', '.join(ENGINES)}")
        if self.study != Path(self.study).name or self.study.startswith("."):
            raise UserError(f"study is {self.study!r}; it must be the plain name of a folder under {self.results}/")

    @property
    def study_name(self) -> str:
        return self.study or self.preset

    @property
    def folder(self) -> Path:
        return Path(self.results) / self.study_name

    @property
    def workers(self) -> int:
        return self.jobs or cores()

    def identity(self) -> dict[str, Any]:
        """What the numbers of a trial depend on, flat: two configurations that agree here make one study."""
        return {
            "seed": self.seed,
            "paired": self.paired,
            "engine": self.engine,  # engines agree, but not to the last bit
            **{f"training.{key}": value for key, value in dataclasses.asdict(self.training).items()},
            **{f"search.{key}": entry for key, entry in self.search.items()},
            **{f"settings.{task}.{key}": value for task, own in self.settings.items() for key, value in own.items()},
        }

    def joined(self, other: Config) -> Config:
        """Another configuration of the same study, with what this one asks for besides."""

        def union(key: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys([*getattr(self, key), *getattr(other, key)]))

        lists = {key: union(key) for key in ("variants", "tasks", "variants_from")}
        return dataclasses.replace(other, **lists, data={**self.data, **other.data})

    def to_toml(self) -> dict[str, Any]:
        """The configuration as a table that `--config` reads back."""
        table = dataclasses.asdict(self)
        table["search"] = {key: _plain(entry) for key, entry in self.search.items()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


ENGINES = ("auto", "cpu", "reference")

# Each preset says what it changes of the defaults, which are Greff's protocol but for the draws.
PRESETS: dict[str, dict[str, Any]] = {
    # What 41 cells on three tasks can do in ten minutes: ten trials are the fewest of which the best five are tested.
    # The ranges leave out what so few epochs cannot use, and weights of 0.1 are slow to start with four inputs.
    "default": {
        "trials": 10,
        "training": {"epochs": 4},
        "search": {
            "hidden_size": {"high": 100},
            "learning_rate": {"low": 4e-3, "high": 1e-1},
            "input_noise": {"high": 0.5},
        },
        "settings": {
            "handwriting": {"epochs": 2, "init_std": 0.2, "train": 700, "validation": 100, "test": 200},
        },
    },
    "paper": {"trials": 200, "paired": False},
    "smoke": {
        "trials": 2,
        "training": {"epochs": 1},
        "search": {"hidden_size": 20},
        "settings": {"handwriting": {"train": 100, "validation": 50, "test": 50}, "text": {"sample": 50}},
    },
}


def load_config(file: Path | None, options: dict[str, Any]) -> Config:
    """The effective configuration.

    Args:
        file: a TOML file, or None.
        options: what the command line gave, keys as in Config; `training` and `search` may be nested.

    Raises:
        UserError: an unknown preset or key, or a value of the wrong kind; the message says where it stands.
    """
    from_file = _read(file) if file else {}
    preset = options.get("preset", from_file.get("preset", "default"))
    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}{_near(str(preset), PRESETS)}")
    merged: dict[str, Any] = {"preset": preset}
    for layer, place in ((PRESETS[preset], "preset"), (from_file, str(file)), (options, "command line")):
        _merge(merged, layer, place)
    training = Training(**merged.pop("training", {}))
    search = {**GREFF, **merged.pop("search", {})}
    return Config(**merged, training=training, search=search)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"configuration {file} cannot be read: {reason}") from None


def _merge(into: dict[str, Any], layer: dict[str, Any], place: str) -> None:
    """Lay one source of settings over the others, its keys and values checked."""
    for key, value in layer.items():
        if key in ("training", "search", "settings"):
            if not isinstance(value, dict):
                raise UserError(f"{place}: {key} must be a table, [{key}]")
            section = into.setdefault(key, {})
            for inner, entry in value.items():
                if key == "settings":
                    task = TASKS[inner]
                    section.setdefault(task.name, {}).update(_settings_of(task, entry, place))
                elif key == "search":
                    _known(inner, GREFF, place, "search.")
                    section[inner] = parse_entry(inner, entry, section.get(inner))
                else:
                    section[inner] = _typed(Training, inner, entry, place, "training.")
        else:
            into[key] = _typed(Config, key, value, place, "")


def _settings_of(task: Task, own: Any, place: str) -> dict[str, Any]:
    """The settings of one task, checked: its own, or those of training in its case."""
    if not isinstance(own, dict):
        raise UserError(f"{place}: settings.{task.name} must be a table, [settings.{task.name}]")
    prefix, training = f"settings.{task.name}.", get_type_hints(Training)
    kinds = {**{key: type(value) for key, value in task.choices.items()}, **training}
    for key in own:
        if key in GREFF:
            raise UserError(f"{place}: {prefix}{key}: hyperparameters are drawn for all tasks alike; set search.{key}")
        _known(key, kinds, place, prefix)
    found = {key: _of_kind(kinds[key], value, f"{place}: {prefix}{key}") for key, value in own.items()}
    try:
        Training(**{key: value for key, value in found.items() if key in training})
    except UserError as error:
        raise UserError(f"{place}: {str(error).replace('training.', prefix, 1)}") from None
    return found


def _typed(owner: type, key: str, value: Any, place: str, prefix: str) -> Any:
    """The value of a key as its dataclass declares it; refused if it is of another kind."""
    hints = get_type_hints(owner)
    _known(key, hints, place, prefix)
    return _of_kind(hints[key], value, f"{place}: {prefix}{key}")


def _of_kind(kind: Any, value: Any, name: str) -> Any:
    wrong = UserError(f"{name} is {value!r}; it must be {_WORDS[str(kind)]}")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind == tuple[str, ...] and isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    if kind == tuple[str, ...] and isinstance(value, list | tuple):
        if not all(isinstance(word, str) for word in value):
            raise wrong
        return tuple(value)
    if kind == dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(path, str) for path in value.values()):
            raise wrong
        return dict(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise wrong
    if isinstance(value, float) and not math.isfinite(value):
        raise wrong
    return value


_WORDS = {
    str(int): "a whole number",
    str(float): "a number",
    str(str): "a text",
    str(bool): "true or false",
    str(tuple[str, ...]): "a list of names",
    str(dict[str, str]): "a table of task = path",
}


def _known(key: str, known: Any, place: str, prefix: str) -> None:
    if key not in known:
        raise UserError(f"{place}: unknown key {prefix + key!r}{_near(key, known)}")


def _near(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f": did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}"


def _plain(entry: Range | float) -> Any:
    if isinstance(entry, Range):
        return {"low": entry.low, "high": entry.high, "scale": entry.scale}
    return entry


def _require(key: str, value: Any, holds: bool, words: str) -> None:
    if not holds:
        raise UserError(f"{key} is {value}; it must be {words}")
