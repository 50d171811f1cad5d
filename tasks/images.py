"""The tasks `digits` and `digits-permuted`: which digit an image shows, read pixel by pixel.

After the pixel-by-pixel images of Le, Jaitly and Hinton (2015), at the size that fits on every machine: the 8 x 8
digits that scientific Python ships. The permuted form reads the pixels in one fixed random order, which takes the
neighbours of a pixel apart and so asks for memory over the whole sequence.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np

from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, ProgressCallback, Settings, Task
from ablate.errors import UserError
from tasks.baselines import most_frequent_class
from tasks.sources.preparation import split_by_fifths

PIXELS, CLASSES = 64, 10
BRIGHTEST = 16  # the pixels are counts from 0 to 16


def load(path: Path | None, permuted: bool) -> Dataset:
    """Inputs are float32 (frames, 1) from 0 to 1, targets uint8 (images, 1). Raises UserError if a path is given."""
    if path is not None:
        raise UserError(f"the digits are part of scikit-learn; they cannot be read from {path}")
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = (np.asarray(pixels) / BRIGHTEST).astype(np.float32)  # (1797, 64)
    classes = np.asarray(labels).astype(np.uint8)[:, None]
    if permuted:
        images = images[:, np.random.default_rng(0).permutation(PIXELS)]
    split_of = np.array([split_by_fifths(place) for place in range(len(images))])
    splits = {}
    for split in SPLITS:
        chosen = images[split_of == split]
        splits[split] = Sequences(
            inputs=chosen.reshape(-1, 1),
            targets=classes[split_of == split],
            lengths=np.full(len(chosen), PIXELS, np.int64),
            target_position=TargetPosition.SEQUENCE_END,
        )
    return Dataset(splits, f"digits of {_sklearn()}", 1, CLASSES)


def _sklearn() -> str:
    return f"scikit-learn {version('scikit-learn')}"


DESCRIPTION = """\
Which digit an image of 8 x 8 pixels shows, read pixel by pixel{order}, told at the end.

source     the 1,797 handwritten digits that scikit-learn ships, from the test set of the UCI data set "Optical
           Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998, CC BY 4.0).
own data   none.
shapes     inputs are 64 frames x 1, the brightness from 0 to 1; one class of ten at the end.
splits     by the image's place modulo 5: 3 validation (359), 4 test (359), the rest training (1,079).
score      classification error in per cent, lower is better.
"""

for name, order, permuted in (("digits", "", False), ("digits-permuted", " in one fixed random order", True)):

    def load_one(
        path: Path | None, settings: Settings, progress: ProgressCallback, permuted: bool = permuted
    ) -> Dataset:
        return load(path, permuted)

    TASKS.add(
        Task(
            name=name,
            summary=f"images as sequences: which digit 64 pixels show{order}",
            description=DESCRIPTION.format(order=order),
            loss="cross_entropy",
            score="error_rate",
            target_position=TargetPosition.SEQUENCE_END,
            load=load_one,
            baseline=most_frequent_class,
            groups=("images",),
            fingerprint=lambda path: _sklearn() if path is None else str(path),
        )
    )
