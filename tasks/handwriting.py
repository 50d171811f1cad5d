"""The task `handwriting`: what was written, from the movements of the pen.

The layout of Greff et al. (2017): a frame is a point of the pen, the label is the text without an alignment, learnt
by connectionist temporal classification (CTC, Graves et al. 2006).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablate.definitions.dataset import Dataset, TargetPosition
from ablate.definitions.task import TASKS, ProgressCallback, Settings, Task
from ablate.files import file_fingerprint
from tasks.sources.iam import fingerprint as iam_fingerprint
from tasks.sources.iam import read_iam
from tasks.sources.ink import dataset_of
from tasks.sources.pendigits import FILE, read_digits


def load(path: Path | None, settings: Settings, progress: ProgressCallback) -> Dataset:
    """The user's IAM-OnDB (see tasks/sources/iam.py), or strings of pen digits (see tasks/sources/pendigits.py).

    Inputs are float32 (frames, 4), labels uint8 (characters, 1). The settings are those of the pen digits. Raises
    UserError.
    """
    if path is None:
        return dataset_of(read_digits(settings), "strings of pen digits (UCI)")
    lines, notes = read_iam(path, progress)
    return dataset_of(lines, str(path), notes)


def baseline(dataset: Dataset, settings: Settings) -> float:
    """Test character error in per cent of the best constant prediction that repeats one character, or none at all.

    The character and its number are those that do best in training. An empty one scores 100. One of n times
    the character c is at an edit distance of max(n, L) - min(n, m) from a label of L characters, m of which are c:
    as many as can be match, all else is replaced, inserted or deleted.
    """
    lengths, matches = {}, {}  # of each split: (labels,) and (classes, labels)
    for split in ("train", "test"):
        sequences = dataset.splits[split]
        assert sequences.target_lengths is not None
        lengths[split] = np.asarray(sequences.target_lengths)
        matches[split] = np.zeros((dataset.output_size - 1, len(sequences)), np.int64)
        label = np.repeat(np.arange(len(sequences)), lengths[split])
        np.add.at(matches[split], (sequences.targets[:, 0].astype(np.int64), label), 1)

    def error(split: str, character: int, count: int) -> float:
        distances = np.maximum(count, lengths[split]) - np.minimum(count, matches[split][character])
        return float(100 * distances.sum() / lengths[split].sum())

    most = int(matches["train"].max())  # more of the same never match
    predictions = [(character, count) for character in range(dataset.output_size - 1) for count in range(most + 1)]
    return error("test", *min(predictions, key=lambda prediction: error("train", *prediction)))


def fingerprint(path: Path | None) -> str:
    """The SHA-256 of the embedded file, or what identifies the user's folder."""
    return file_fingerprint(FILE) if path is None else iam_fingerprint(path)


DESCRIPTION = """\
What was written, from the movements of the pen: a label of characters, learnt without an alignment (CTC).

source     10,992 pen traces of single digits by 44 writers, from the UCI data set "Pen-Based Recognition of
           Handwritten Digits" (Alpaydin and Alimoglu 1996, CC BY 4.0), carried here. Real pen digits, but assembled
           lines: 3 to 6 digits stand beside each other, drawn with a fixed seed. Each digit has 8 points, equally far
           apart on the pen's way, so time is counted in points.
own data   --data handwriting=PATH: IAM-OnDB (registration, non-commercial research), the data set of the literature:
           the folder that holds ascii, lineStrokes and the four lists of the task IAM-OnDB-t1. Every second point of
           a stroke and its last are kept, time is in seconds; 81 characters. The numbers of lines and characters are
           checked and reported with the results.
shapes     inputs are frames x 4: dx, dy, time since the stroke began, and whether the pen is lifted after the point;
           each has mean 0 and standard deviation 1 in training. The label is one class a character; the blank is the
           last class. A line too short for its label is kept, counted and reported; so is a character that no
           training line has.
splits     pen digits: by the trace's place in a fixed random order modulo 5: 3 validation, 4 test, the rest training,
           no trace in two strings; 1,000 / 200 / 400 strings unless the preset or the settings `train`, `validation`
           and `test` say otherwise, at most 1,449 / 483 / 494. Who wrote a trace is lost, so a writer may be in more
           than one split. These settings are of the pen digits; IAM-OnDB is read whole.
           IAM-OnDB: trainset, testset_v with testset_t, testset_f: 5,355 / 2,956 / 3,859 lines without the board
           a08-551z.
score      character error in per cent, lower is better: the edit distance of the best path's label, summed over the
           split, over the number of its characters; it can exceed 100.
"""

TASKS.add(
    Task(
        name="handwriting",
        summary="online handwriting: the text from the movements of the pen",
        description=DESCRIPTION,
        loss="ctc",
        score="label_error_rate",
        target_position=TargetPosition.UNALIGNED_LABEL,
        unit="% character error",
        load=load,
        baseline=baseline,
        settings={"train": 1000, "validation": 200, "test": 400},
        allows_bidirectional=True,
        groups=("default",),
        fingerprint=fingerprint,
    )
)
