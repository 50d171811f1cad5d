"""Defaults, preset, file, command line, in this order, make the configuration; an unknown key is refused."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

from ablate.definitions.loading import load_tasks
from ablate.definitions.task import TASKS, TASKS_FROM_DATA, Task, TaskFromData
from ablate.errors import UserError
from ablate.plan.config import Config
from ablate.plan.presets import PRESETS
from ablate.plan.search_space import (
    GREFF_SEARCH_SPACE,
    HYPERPARAMETERS,
    SEARCHED_INITIALISATION,
    TRAINING_AXES,
    parse_distribution,
)
from ablate.plan.training_config import SEARCHED, TrainingConfig

# Keys that had another name before; their order in a file does not matter.
RENAMED_KEYS = {"engine": "backend", "weight_spread": "init_std", "chunk": "tbptt_steps", "executor": "launcher"}


def load_config(file: Path | None, options: dict[str, Any], place: str = "command line") -> Config:
    """The effective configuration.

    Args:
        file: a TOML file, or None.
        options: what goes over the file, keys as in Config; `training`, `search` and `settings` are nested.
        place: where the options are from, for messages.

    Raises:
        UserError: an unknown preset or key, or a value of the wrong kind; the message says where it stands.
    """
    return _config_of(_read(file) if file else {}, str(file), options, place)


def load_study_config(file: Path) -> Config:
    """The configuration that a study was made with; keys that had another name then are read under today's.

    Settings of tasks were checked when it was made: a report asks for no file of tasks that may be gone since.

    Raises:
        UserError: the file cannot be read, or is damaged.
    """
    table = _with_new_keys(_read(file))
    settings = table.pop("settings", {})
    return replace(_config_of(table, str(file), {}, "", load=False), settings=settings)


def _config_of(
    from_file: dict[str, Any],
    place_of_file: str,
    options: dict[str, Any],
    place_of_options: str,
    *,
    load: bool = True,
) -> Config:
    preset = options.get("preset", from_file.get("preset", "default"))
    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}{_near(str(preset), PRESETS)}")
    merged: dict[str, Any] = {"preset": preset}
    layers = ((PRESETS[preset], "preset"), (from_file, place_of_file), (options, place_of_options))
    for layer, place in layers if load else ():
        for file in _typed(Config, "tasks_from", layer.get("tasks_from", ()), place, ""):
            load_tasks(file)  # before the settings of its tasks are looked at
    for layer, place in layers:
        _merge(merged, layer, place)
    if "tasks" not in merged and (own := [name for name in merged.get("data", {}) if name in TASKS_FROM_DATA]):
        merged["tasks"] = tuple(own)  # who brings data of a task of their own means that task
    if merged.get("hours") and not any("trials" in layer for layer in (from_file, options)):
        merged["trials"] = 0  # a preset's number is no limit
    training = TrainingConfig(**merged.pop("training", {}))
    searched = SEARCHED_INITIALISATION if training.initialisation == SEARCHED else ()
    search = {**GREFF_SEARCH_SPACE, **{name: TRAINING_AXES[name] for name in searched}, **merged.pop("search", {})}
    return Config(**merged, training=training, search=search)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.expanduser().read_text(encoding="utf-8-sig"))  # editors may put a mark first
    except (OSError, RuntimeError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"configuration {file} cannot be read: {reason}") from None


def _with_new_keys(table: dict[str, Any]) -> dict[str, Any]:
    return {
        RENAMED_KEYS.get(key, key): _with_new_keys(value) if isinstance(value, dict) else value
        for key, value in table.items()
    }


def _merge(into: dict[str, Any], layer: dict[str, Any], place: str) -> None:
    """Lay one source of settings over the others, its keys and values checked."""
    for key, value in layer.items():
        if key in ("training", "search", "settings"):
            if not isinstance(value, dict):
                raise UserError(f"{place}: {key} must be a table, [{key}]")
            section = into.setdefault(key, {})
            for inner, entry in value.items():
                if key == "settings":
                    task = TASKS_FROM_DATA[inner] if inner not in TASKS and inner in TASKS_FROM_DATA else TASKS[inner]
                    section.setdefault(task.name, {}).update(_settings_of(task, entry, place))
                elif key == "search":
                    _known(inner, HYPERPARAMETERS, place, "search.")
                    section[inner] = parse_distribution(inner, entry, section.get(inner))
                else:
                    section[inner] = _typed(TrainingConfig, inner, entry, place, "training.")
        else:
            into[key] = _typed(Config, key, value, place, "")


def _settings_of(task: Task | TaskFromData, own: Any, place: str) -> dict[str, Any]:
    """The settings of one task, checked: its own, or those of training in its case."""
    if not isinstance(own, dict):
        raise UserError(f"{place}: settings.{task.name} must be a table, [settings.{task.name}]")
    prefix, training = f"settings.{task.name}.", get_type_hints(TrainingConfig)
    kinds = {**{key: type(value) for key, value in task.default_settings.items()}, **training}
    for key in own:
        if key in GREFF_SEARCH_SPACE:
            raise UserError(f"{place}: {prefix}{key}: hyperparameters are drawn for all tasks alike; set search.{key}")
        _known(key, kinds, place, prefix)
    found = {key: _of_kind(kinds[key], value, f"{place}: {prefix}{key}") for key, value in own.items()}
    try:
        TrainingConfig(**{key: value for key, value in found.items() if key in training})
    except UserError as error:
        raise UserError(f"{place}: {str(error).replace('training.', prefix, 1)}") from None
    if found.get("initialisation") == SEARCHED:
        raise UserError(f"{place}: {prefix}initialisation: what is drawn is drawn for all tasks; set it in [training]")
    return found


def split_names(names: str | Sequence[str]) -> list[str]:
    """Names in a text with commas, or in a list already."""
    return [word.strip() for word in names.split(",") if word.strip()] if isinstance(names, str) else list(names)


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
        value = split_names(value)
    if kind == tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
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
    if key in known:
        return
    if RENAMED_KEYS.get(key) in known:
        raise UserError(f"{place}: {prefix + key!r} is now called {prefix + RENAMED_KEYS[key]!r}; rename it")
    raise UserError(f"{place}: unknown key {prefix + key!r}{_where_known(key) or _near(key, known)}")


def _where_known(key: str) -> str:
    """Where a key belongs that stands in the wrong place."""
    if key in get_type_hints(Config):
        return f": it belongs at the top level, before the first [section], as {key}"
    for section, known in (("training", get_type_hints(TrainingConfig)), ("search", GREFF_SEARCH_SPACE)):
        if key in known:
            return f": it belongs in [{section}], as {section}.{key}"
    tasks = [task.name for task in (*TASKS, *TASKS_FROM_DATA) if key in task.default_settings]
    if tasks:
        whose = tasks[0] if len(tasks) == 1 else "TASK"
        of = "" if len(tasks) == 1 else f", where TASK is {', '.join(tasks[:-1])} or {tasks[-1]}"
        return f": it belongs in [settings.{whose}], as settings.{whose}.{key}{of}"
    return ""


def _near(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f": did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}"
