"""A user's own data as they were read, whatever their file: sequences, splits, and columns of numbers or text.

Frames are numbered in the order of their sequences; `place` says where one stands in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ablate.definitions.dataset import SPLITS
from ablate.errors import UserError
from tasks.sources.preparation import split_by_fifths

Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Column:
    """A column of targets; NaN where there is none."""

    name: str
    values: Numbers  # (frames,) or (sequences,); of text, the numbers of its labels
    labels: tuple[str, ...] = ()  # of text, sorted
    whole: bool = False  # whether they are whole numbers by their type, and not 1.0


@dataclass(frozen=True)
class OwnData:
    """What a file holds."""

    path: Path
    lengths: Whole  # (sequences,)
    split: Whole | None  # (sequences,), the place in SPLITS; None where the file has no splits
    inputs: Mapping[str, Callable[[], Numbers]]  # by name: read one, once: (frames,), NaN where a value is missing
    targets: list[Column]
    place: Callable[[int, str], str]  # of a frame and a column, in words
    place_of_target: Callable[[int, str], str]  # likewise of a row of the targets
    time: Callable[[], Numbers] | None = None  # seconds, or in the unit of the file
    notes: tuple[str, ...] = ()
    # Whether a target that stays the same in each sequence is one a sequence: in tables, which know no other way.
    repeats_mean_one: bool = False

    @property
    def one_a_sequence(self) -> bool:
        """Whether the file itself gives one row of targets a sequence."""
        return len(self.targets[0].values) == len(self.lengths) != int(self.lengths.sum())

    @property
    def ends(self) -> Whole:
        """The last frame of each sequence."""
        return np.cumsum(self.lengths) - 1


def split_number(value: Any) -> int | None:
    """The place in SPLITS of what a file calls a split: its name, or 0, 1, 2; None for anything else."""
    word = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    word = word.strip().lower()
    if word in SPLITS:
        return SPLITS.index(word)
    return {"0": 0, "1": 1, "2": 2, "0.0": 0, "1.0": 1, "2.0": 2}.get(word)


NO_SPLIT = "give train, validation or test, or 0, 1 or 2"


def splits_of(data: OwnData) -> tuple[Whole, list[str]]:
    """The split of each sequence, as the file says or by its number, and what is to be told of it.

    Raises:
        UserError: a split has no sequence.
    """
    count = len(data.lengths)
    if data.split is None:
        split = np.array([SPLITS.index(split_by_fifths(number)) for number in range(count)], np.int64)
        notes = ["no column or array `split`: of each five sequences the fourth validates and the fifth tests"]
        advice = f"{count} sequences without a split are split by fifths; give at least 5, or a split"
    else:
        split, notes, advice = data.split, [], "every split needs at least one sequence"
    for number, name in enumerate(SPLITS):
        if not (split == number).any():
            raise UserError(f"{data.path}: no sequence is in the split {name!r}; {advice}")
    return split, notes
