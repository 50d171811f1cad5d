"""Data sets that are generated for each trial, and their settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from ablate.data.user_code import call
from ablate.data.validation import validate
from ablate.definitions.dataset import SPLITS, Dataset, Sequences
from ablate.definitions.task import Settings, Task
from ablate.errors import UserError

MOST_SEQUENCES = 100_000  # of a split

N = TypeVar("N", int, float)


def generate_dataset(task: Task, generator: Callable[[str], np.random.Generator], settings: Settings) -> Dataset:
    """The data set of a generated task; `generator` gives the random numbers of a split.

    Raises:
        UserError: settings out of range, or data that are not what the task declares.
    """
    assert task.generate is not None
    counts = {split: checked_setting(settings, task.name, split, 1, MOST_SEQUENCES) for split in SPLITS}
    try:
        splits = {
            split: call(task, task.generate, Sequences, generator(split), count, settings)
            for split, count in counts.items()
        }
    except MemoryError:
        raise UserError(f"settings.{task.name}: so many and so long sequences do not fit into memory") from None
    train = splits["train"]
    output_size = task.n_classes + (task.loss == "ctc") if task.n_classes else train.targets.shape[1]
    dataset = Dataset(splits, "generated", train.inputs.shape[1], output_size)
    validate(task, settings, dataset)
    return dataset


def checked_setting(settings: Settings, task: str, key: str, least: N, most: N) -> N:
    """The setting `key` of a task, of the type of its limits; raises UserError when it lies outside of them."""
    value = settings[key]
    if not least <= value <= most or value != type(least)(value):
        raise UserError(f"settings.{task}.{key} is {value}; it must be from {least} to {most}")
    return type(least)(value)
