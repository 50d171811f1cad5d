"""Spoken digits: a folder of recordings `{digit}_{speaker}_{index}.wav`, one digit in each.

So the Free Spoken Digit Dataset (Jackson et al., CC BY-SA 4.0) is laid out: 3,000 recordings of 6 speakers at 8 kHz.
Its indices 0 to 4 of each speaker and digit are its test set.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ablate.definitions.dataset import Dataset
from ablate.definitions.task import ProgressCallback
from ablate.errors import UserError
from tasks.sources.features import FEATURES, Features, FrameClasses, entries, features_of, read_recording, read_splits

DIGITS = tuple("0123456789")
NAME = re.compile(r"([0-9])_(.+)_([0-9]{1,9})\.wav", re.IGNORECASE)
INDICES = {"train": "10 and on", "validation": "5 to 9", "test": "0 to 4"}
PUBLISHED = 3000


class Recording(NamedTuple):
    """A file by what its name says."""

    digit: int
    speaker: str
    take: int
    path: Path


def find_recordings(path: Path) -> dict[str, list[Recording]] | None:
    """The recordings of each split, by digit, speaker and index; None when no file is named like one.

    They lie in the folder itself, or in `recordings` in it. Raises UserError when a split has none.
    """
    files = entries(path)
    inner = [file for file in files if file.name.lower() == "recordings"]
    matches = [(NAME.fullmatch(file.name), file) for file in (entries(inner[0]) if inner else files)]
    recordings = sorted(Recording(int(match[1]), match[2], int(match[3]), file) for match, file in matches if match)
    if not recordings:
        return None
    found: dict[str, list[Recording]] = {split: [] for split in INDICES}
    for each in recordings:
        found["test" if each.take < 5 else "validation" if each.take < 10 else "train"].append(each)
    for split, indices in INDICES.items():
        if not found[split]:
            raise UserError(
                f"{path}: the {split} split is empty, it takes the recordings with index {indices}; "
                "expected {digit}_{speaker}_{index}.wav with indices from 0 on"
            )
    return found


def load(path: Path, found: dict[str, list[Recording]], progress: ProgressCallback) -> Dataset:
    """Inputs are float32 (frames, 39), targets uint8 (frames, 1): the recording's digit at every frame.

    Raises UserError when a file is damaged, or sampled at another rate than the first one.
    """
    first = found["train"][0].path
    expected = read_recording(first)[1]

    def read(recording: Recording) -> tuple[Features, FrameClasses]:
        samples, rate = read_recording(recording.path)
        if rate != expected:
            raise UserError(f"{recording.path}: sampled at {rate} Hz, but {first.name} at {expected} Hz; resample it")
        frames = features_of(samples, rate)
        return frames, np.full(len(frames), recording.digit, np.uint8)

    splits = read_splits(found, read, "reading recordings", progress)
    every = [recording for recordings in found.values() for recording in recordings]
    notes = ["spoken digits: at every frame the digit of the recording, not a phone"]
    if len(every) != PUBLISHED:
        speakers = len({recording.speaker for recording in every})
        notes.append(
            f"{len(every)} recordings of {speakers} speakers; the Free Spoken Digit Dataset has {PUBLISHED} of 6"
        )
    ignored = sum(file.suffix.lower() == ".wav" for file in entries(every[0].path.parent)) - len(every)
    if ignored:
        notes.append(f"{ignored} .wav files were left out, their names are not of the form digit_speaker_index.wav")
    return Dataset(splits, str(path), FEATURES, len(DIGITS), DIGITS, tuple(notes))
