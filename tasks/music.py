"""The task `music`: which keys of the piano sound in the next quarter note.

The convention is that of the literature on JSB Chorales, down to Bai, Kolter and Koltun (2018), whose LSTM scores
8.45: frame t+1 is predicted from frames 1..t, so a piece of T frames has T-1 predictions and its first frame is
given. The score is the negative log-likelihood in nats, summed over the 88 keys and averaged over all predicted
frames of a split (not over the means of its pieces). Predicting the first frame too, from a state of zeros, would be
another figure: on the original JSB Chorales the constant predictor of `baseline` scores 11.09 without and 11.06 with
the first frames, which cost it 9.25 each; a network at 8.45 that did as well on them would read 8.46.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, ProgressCallback, Settings, Task
from ablate.errors import UserError
from ablate.files import file_fingerprint
from tasks.sources.chorales import read_chorales
from tasks.sources.pianoroll import KEYS, Roll, read_rolls, roll_of
from tasks.sources.preparation import split_by_fifths


def load(path: Path | None, settings: Settings, progress: ProgressCallback) -> Dataset:
    """The user's file (see sources/pianoroll.py), or the chorales of music21's corpus (see sources/chorales.py).

    Inputs and targets are uint8 (frames, 88); target frame t is input frame t+1. Raises UserError.
    """
    if path is None:
        source = f"Bach chorales of {_music21()}"
        rolls: dict[str, list[Roll]] = {split: [] for split in SPLITS}
        for chorale in read_chorales(progress):
            # By the BWV number, so that all movements of a work stand in one split.
            rolls[split_by_fifths(chorale.bwv)].append(roll_of(chorale.frames))
    else:
        progress(f"reading {path.name}", 0, 1)
        rolls = read_rolls(path)
        source = str(path)
        progress(f"reading {path.name}", 1, 1)
    splits = {split: next_frames(rolls[split]) for split in SPLITS}
    return Dataset(splits, source, KEYS, KEYS)


def next_frames(rolls: list[Roll]) -> Sequences:
    """Rolls as sequences to predict: the frames but the last as inputs, the frames but the first as targets."""
    return Sequences(
        inputs=np.concatenate([roll[:-1] for roll in rolls]),
        targets=np.concatenate([roll[1:] for roll in rolls]),
        lengths=np.array([len(roll) - 1 for roll in rolls], np.int64),
    )


def baseline(dataset: Dataset, settings: Settings) -> float:
    """Test nats per frame when every frame is predicted by how often each key sounds in the training targets.

    Half a count is added to either side (Krichevsky and Trofimov), so that a key unseen in training costs
    something, but not everything.
    """
    train, test = dataset.splits["train"].targets, dataset.splits["test"].targets
    sounds = (train.sum(axis=0, dtype=np.int64) + 0.5) / (len(train) + 1)
    share = test.mean(axis=0, dtype=np.float64)
    return float(-(share * np.log(sounds) + (1 - share) * np.log1p(-sounds)).sum())


def fingerprint(path: Path | None) -> str:
    """The package with its version, or the SHA-256 of the user's file."""
    return _music21() if path is None else file_fingerprint(path)


def _music21() -> str:
    try:
        return f"music21 {version('music21')}"  # does not import the package
    except PackageNotFoundError:
        raise UserError(
            "the package music21 is not installed: run `pip install music21`, "
            "or give your own file with --data music=PATH"
        ) from None


DESCRIPTION = """\
Which of the piano's 88 keys sound in the next quarter note, from all quarter notes before.

source     The four-part chorales of J. S. Bach in the corpus of the package music21, read from the installed package;
           its licence is per encoding, and none of it is carried here. One frame a quarter note, repeats as written,
           transposed to C major or C minor.
own data   --data music=PATH: JSB Chorales (the original of the literature), Nottingham, Piano-midi.de or MuseData,
           as .mat, .json or .pkl. About 350 of the embedded pieces are also in JSB Chorales: never train on the one
           and test on the other.
shapes     inputs and targets are frames x 88, 0 or 1; key 0 is MIDI 21; the targets are the inputs one frame later.
splits     by BWV number modulo 5: 3 validation, 4 test, the rest training, so all movements of a work stay together;
           of pieces with the same harmonisation only the first is kept.
score      nats per frame, lower is better: the negative log-likelihood summed over the keys, averaged over all
           predicted frames of the split; a piece's first frame is given, not predicted.
"""

TASKS.add(
    Task(
        name="music",
        summary="polyphonic music: the next quarter note of Bach's chorales",
        description=DESCRIPTION,
        loss="binary_cross_entropy",
        score="nats",
        target_position=TargetPosition.EVERY_FRAME,
        unit="nats per frame",
        load=load,
        baseline=baseline,
        groups=("default",),
        fingerprint=fingerprint,
    )
)
