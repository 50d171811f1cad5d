"""What the generated tasks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ablate.definitions.dataset import SPLITS, Dataset
from ablate.definitions.task import Settings, Task
from ablate.errors import UserError

# How many sequences each split has: settings of every generated task.
COUNTS = {"train": 1000, "validation": 300, "test": 1000}
MOST = 100_000  # sequences of a split

N = TypeVar("N", int, float)


def generate(task: Task, stream: Callable[[str], np.random.Generator], settings: Settings) -> Dataset:
    """The data set of a generated task; `stream` gives the random numbers of a split.

    Raises UserError for settings out of range.
    """
    assert task.generate is not None
    counts = {split: checked_setting(settings, task.name, split, 1, MOST) for split in SPLITS}
    try:
        splits = {split: task.generate(stream(split), count, settings) for split, count in counts.items()}
    except MemoryError:
        raise UserError(f"settings.{task.name}: so many and so long sequences do not fit into memory") from None
    inputs, targets = splits["train"].inputs, splits["train"].targets
    return Dataset(splits, "generated", inputs.shape[1], task.classes or targets.shape[1])


def checked_setting(settings: Settings, task: str, key: str, least: N, most: N) -> N:
    """The setting `key` of a task, of the type of its limits; raises UserError when it lies outside of them."""
    value = settings[key]
    if not least <= value <= most or value != type(least)(value):
        raise UserError(f"settings.{task}.{key} is {value}; it must be from {least} to {most}")
    return type(least)(value)


def entropy(chances: npt.ArrayLike) -> float:
    """Nats that answers of yes or no cost, each predicted by how likely its yes is; summed over the `chances`."""
    yes = np.asarray(chances, np.float64)
    return float(-(yes * np.log(yes) + (1 - yes) * np.log1p(-yes)).sum())
