"""Ink: from strokes of the pen to frames, and from lines of ink with their text to a data set with labels.

A frame is a point of the pen with four numbers, after Graves et al. (2009) and Greff et al. (2017): dx and dy from the
point before it, also where the pen was lifted in between; the time since its stroke began; 1 if the pen is lifted
after it, else 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition
from ablate.errors import UserError
from tasks.sources.preparation import mean_and_std

Stroke = npt.NDArray[np.float64]  # (points, 3): x, y, time
Frames = npt.NDArray[np.float64]  # (frames, 4): dx, dy, time, pen-up

SIZE = 4
MOST_CLASSES = 255  # the targets are bytes, and the blank is one class more


class Line(NamedTuple):
    """A line of handwriting and what it says."""

    frames: Frames
    text: str

    @property
    def too_short(self) -> bool:
        """Whether no alignment exists: CTC needs a frame a character, and a blank between two that are equal."""
        return len(self.frames) < len(self.text) + sum(a == b for a, b in pairwise(self.text))


def frames_of(strokes: Sequence[Stroke]) -> Frames:
    """The frames of a line's strokes, each of at least one point; the first frame has dx = dy = 0."""
    frames = np.zeros((sum(map(len, strokes)), SIZE))
    points = np.concatenate(strokes)
    frames[1:, :2] = np.diff(points[:, :2], axis=0)
    frames[:, 2] = np.concatenate([stroke[:, 2] - stroke[0, 2] for stroke in strokes])
    frames[np.cumsum([len(stroke) for stroke in strokes]) - 1, 3] = 1
    return frames


def dataset_of(lines: dict[str, list[Line]], source: str, notes: Sequence[str] = ()) -> Dataset:
    """The data set of the lines of each split: float32 inputs (frames, 4), uint8 labels, the blank as the last class.

    Each input has mean 0 and standard deviation 1 over the training frames. The classes are the characters of
    the training lines in order, then those that only the other splits have: no one can learn these, but their lines
    stay what they are. Lines too short for their label are kept, and both are counted in the notes. Raises UserError
    where there are more characters than a byte can number.
    """
    counts = {split: Counter("".join(line.text for line in lines[split])) for split in SPLITS}
    known = sorted(counts["train"])
    unknown = sorted((counts["validation"] + counts["test"]).keys() - counts["train"].keys())
    classes = (*known, *unknown)
    if len(classes) > MOST_CLASSES:
        raise UserError(f"{source}: {len(classes)} different characters; at most {MOST_CLASSES} are possible")
    number = {character: place for place, character in enumerate(classes)}

    mean, std = mean_and_std(np.concatenate([line.frames for line in lines["train"]]))
    splits, found = {}, list(notes)
    for split in SPLITS:
        inputs = (np.concatenate([line.frames for line in lines[split]]) - mean) / std
        label = [number[character] for line in lines[split] for character in line.text]
        splits[split] = Sequences(
            inputs=inputs.astype(np.float32),
            targets=np.array(label, np.uint8)[:, None],
            lengths=np.array([len(line.frames) for line in lines[split]], np.int64),
            target_position=TargetPosition.UNALIGNED_LABEL,
            target_lengths=np.array([len(line.text) for line in lines[split]], np.int64),
        )
        name = "training" if split == "train" else split
        if short := sum(line.too_short for line in lines[split]):
            fate = (
                "they are not trained on, and count in the scores" if split == "train" else "they count in the scores"
            )
            found.append(f"{short:,} of {len(lines[split]):,} {name} lines are too short for their label: {fate}")
        if others := sum(counts[split][character] for character in unknown):
            found.append(f"{others:,} {name} characters are of kinds that no training line has ({''.join(unknown)})")
    return Dataset(splits, source, SIZE, len(classes) + 1, classes, tuple(found))
