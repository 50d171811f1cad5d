"""Piano rolls, and the files that JSB Chorales, Nottingham, Piano-midi.de and MuseData come in.

A roll is a uint8 array (frames, 88): 1 where a key sounds, key 0 being MIDI 21. The three formats of
Boulanger-Lewandowski, Bengio and Vincent (2012), as they are passed around:

- .mat: `traindata`, `validdata`, `testdata`, each a cell array of 0/1 rolls, frames x 88;
- .json: `train`, `valid`, `test`, each a list of sequences, a sequence a list of frames, a frame a list of MIDI keys;
- .pkl, .pickle: the same as a Python pickle, often one of Python 2, with NumPy integers for keys.

Whatever else a path may lead to ends in a UserError of one line.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ablate.definitions.dataset import SPLITS
from ablate.errors import UserError
from ablate.files import read_file
from tasks.sources.number_pickle import NumberPickleError, load_numbers

Roll = npt.NDArray[np.uint8]  # (frames, 88)

KEYS = 88
LOWEST = 21  # the MIDI number of key 0
HIGHEST = LOWEST + KEYS - 1

EXPECTED = "expected a .mat, .json or .pkl file in the layout of JSB Chorales (train, valid and test sequences)"
NAMES = {
    "train": ("train", "traindata"),
    "validation": ("valid", "validdata", "validation"),
    "test": ("test", "testdata"),
}


def roll_of(frames: Sequence[Sequence[int]]) -> Roll:
    """The roll (frames, 88) of frames that list their MIDI keys, each within 21..108."""
    roll = np.zeros((len(frames), KEYS), np.uint8)
    for time, keys in enumerate(frames):
        roll[time, [key - LOWEST for key in keys]] = 1
    return roll


def read_rolls(path: Path) -> dict[str, list[Roll]]:
    """The rolls of a user's file by split, in the file's order.

    Raises UserError when the file cannot be read, is none of the three formats, lacks a split or has an empty one,
    has a key outside 21..108, a roll that is not frames x 88, or a sequence of fewer than two frames.
    """
    data = read_file(path)
    try:
        found, convert = _parse(path, data)
        return {split: _rolls_of(split, found, convert, len(data)) for split in SPLITS}
    except _UnfitError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from None
    except Exception as error:
        # A damaged or foreign file makes the parsers raise nearly anything, from zlib's errors to MemoryError.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{path}: damaged or not what its name says ({reason:.120}); {EXPECTED}") from error


class _UnfitError(Exception):
    """What is wrong with the contents of a file that could be parsed; the message lacks only the file's name."""


_Converter = Callable[[Any, str], Roll]


def _parse(path: Path, data: bytes) -> tuple[Any, _Converter]:
    """What a file holds, and how to convert its sequences; contents count before the name."""
    suffix = path.suffix.lower()
    if data.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise _UnfitError("a MATLAB 7.3 (HDF5) file, which is not read; save it again in MATLAB with the option -v7")
    if data.startswith(b"MATLAB"):
        return _load_mat(data), _roll_from_matrix
    opens_like_json = data.lstrip().startswith(b"{")
    if data.startswith(b"\x80") or (suffix in (".pkl", ".pickle") and not opens_like_json):
        try:
            return load_numbers(data), _roll_from_keys
        except NumberPickleError as error:
            raise _UnfitError(f"{error}; {EXPECTED}") from None
    if opens_like_json or suffix == ".json":
        return json.loads(data), _roll_from_keys
    raise _UnfitError(f"not a format that is known here; {EXPECTED}")


def _rolls_of(split: str, found: Any, convert: _Converter, size: int) -> list[Roll]:
    if not isinstance(found, dict):
        raise _UnfitError(f"holds a {type(found).__name__} instead of the three splits; {EXPECTED}")
    name = next((name for name in NAMES[split] if name in found), None)
    if name is None:
        raise _UnfitError(f"has no {split} split ({' or '.join(NAMES[split])}); {EXPECTED}")
    sequences = found[name]
    if not isinstance(sequences, (list, tuple)):
        raise _UnfitError(f"{name!r} is a {type(sequences).__name__} instead of a list of sequences; {EXPECTED}")
    if not len(sequences):
        raise _UnfitError(f"{name!r} has no sequences; each split needs at least one")
    # A frame takes a byte at least, unless a pickle names one sequence many times over, to become gigabytes.
    frames = sum(len(sequence) for sequence in sequences if isinstance(sequence, (list, tuple)))
    if frames > size:
        raise _UnfitError(
            f"{name!r} has {frames:,} frames, more than a file of {size:,} bytes has room for; {EXPECTED}"
        )
    rolls: list[Roll] = []
    for number, sequence in enumerate(sequences, start=1):
        roll = convert(sequence, f"sequence {number} of {name!r}")
        if len(roll) < 2:
            raise _UnfitError(
                f"sequence {number} of {name!r} has {len(roll)} frame(s); the next frame needs at least 2"
            )
        rolls.append(roll)
    return rolls


def _roll_from_keys(sequence: Any, where: str) -> Roll:
    if not isinstance(sequence, (list, tuple)) or not all(isinstance(frame, (list, tuple)) for frame in sequence):
        raise _UnfitError(f"{where} is not a list of frames, each a list of MIDI keys")
    for time, frame in enumerate(sequence, start=1):
        if len(frame) > KEYS:
            raise _UnfitError(f"frame {time} of {where} has {len(frame):,} keys; there are {KEYS}")
        for key in frame:
            if type(key) is not int or not LOWEST <= key <= HIGHEST:
                shown = f"the key {key}" if isinstance(key, (int, float)) else f"a {type(key).__name__} for a key"
                raise _UnfitError(f"frame {time} of {where} has {shown}; keys are whole numbers {LOWEST} to {HIGHEST}")
    return roll_of(sequence)


def _roll_from_matrix(matrix: Any, where: str) -> Roll:
    if matrix.ndim != 2 or matrix.shape[1] != KEYS:
        raise _UnfitError(f"{where} has the shape {matrix.shape} instead of frames x {KEYS}")
    if matrix.dtype.kind not in "buif" or not np.isin(matrix, (0, 1)).all():
        raise _UnfitError(f"{where} has values other than 0 and 1")
    return matrix.astype(np.uint8)


def _load_mat(data: bytes) -> dict[str, Any]:
    """The splits of a MATLAB file: cell arrays as lists of matrices, sparse ones filled in."""
    from scipy.io import loadmat
    from scipy.sparse import issparse

    def converted(value: Any) -> Any:
        if issparse(value):
            return value.toarray()
        return [converted(cell) for cell in value.flat] if value.dtype == object else value

    wanted = [name for names in NAMES.values() for name in names]
    with warnings.catch_warnings():
        # Of a damaged variable SciPy only warns, and gives a text in its place.
        warnings.filterwarnings("error", message="Unreadable variable")
        variables = loadmat(io.BytesIO(data), variable_names=wanted)
    return {name: converted(variables[name]) for name in wanted if name in variables}
