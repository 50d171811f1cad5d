"""Strings of real pen digits: traces of single digits, written one beside the other.

The traces are those of the UCI data set "Pen-Based Recognition of Handwritten Digits" (Alimoglu and Alpaydin 1996),
see tasks/data/README.md: 10,992 digits of 44 writers, each scaled to a box of 100 x 100 and resampled to 8 points at
equal distances along the pen's way. Who wrote which digit is lost in the carried form, so a writer may stand in more
than one split; a trace never does, and no trace is used twice.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ablate.definitions.dataset import SPLITS
from ablate.definitions.task import Settings
from ablate.errors import UserError
from tasks.sources.ink import Line, frames_of
from tasks.sources.preparation import split_by_fifths

FILE = Path(__file__).parent.parent / "data" / "pen_digits.npz"
SHORTEST, LONGEST = 3, 6  # digits of a string
PITCH = 140  # from the left edge of a digit's box to that of the next, the boxes being 100 wide


def read_digits(settings: Settings) -> dict[str, list[Line]]:
    """As many strings for each split as the settings say; a smaller number gives the first of the same strings.

    Time is counted in points, since the resampled points have lost theirs. Raises UserError when the traces of a
    split do not suffice.
    """
    with np.load(FILE) as arrays:
        points, digits = arrays["points"].astype(np.float64), arrays["digits"]
    # (traces, 8, 3): x, y and the number of the point
    strokes = np.concatenate([points, np.broadcast_to(np.arange(points.shape[1])[:, None], (*points.shape[:2], 1))], 2)
    return {
        split: [
            Line(
                frames_of([strokes[trace] + (place * PITCH, 0, 0) for place, trace in enumerate(string)]),
                "".join(str(digit) for digit in digits[string]),
            )
            for string in strings
        ]
        for split, strings in draw_strings(len(digits), settings).items()
    }


def draw_strings(traces: int, settings: Settings) -> dict[str, list[npt.NDArray[np.int64]]]:
    """The numbers of the traces that make each string of each split; none occurs twice. Raises UserError."""
    order = np.random.default_rng(0).permutation(traces)
    split_of = np.array([split_by_fifths(place) for place in range(traces)])
    strings = {}
    for number, split in enumerate(SPLITS):
        own, count = order[split_of == split], int(settings[split])
        lengths = np.random.default_rng([0, number]).integers(SHORTEST, LONGEST + 1, len(own) // SHORTEST)
        ends = np.cumsum(lengths)
        most = int(np.searchsorted(ends, len(own), side="right"))
        if not 1 <= count <= most:
            raise UserError(f"the task handwriting: {split} = {count}; its pen digits make 1 to {most} strings")
        strings[split] = np.split(own, ends[:count])[:count]
    return strings
