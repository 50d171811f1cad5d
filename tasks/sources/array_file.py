"""A user's own data as arrays: an .npz file with inputs, targets, lengths and split."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ablate.errors import UserError
from ablate.files import open_file, physical_memory
from tasks.sources.own_data import NO_SPLIT, Column, Numbers, OwnData, Whole, split_number
from tasks.sources.table_file import EXACT

Array = npt.NDArray[Any]
# Arrays of zeros are packed a thousand to one; no data of use are.
MOST_UNPACKED, MOST_TIMES = 2**30, 200  # bytes that any file may become, and how many times its size beyond that
ARRAYS = ("inputs", "targets", "lengths", "split")


def read_array_file(path: Path, time: str) -> OwnData:
    """The data of an .npz file.

    Args:
        time: the array of the time, (frames,), or empty.

    Raises:
        UserError: the file cannot be read, or its arrays are not those that are expected; with the index.
    """
    arrays = _read(path)
    needed = [*ARRAYS[:3], *([time] if time else [])]
    for name in needed:
        if name not in arrays:
            raise UserError(f"{path}: there is no array {name!r}; expected {', '.join(needed)} and, if need be, split")
    for name in arrays:
        if name not in (*ARRAYS, time):
            hint = "; settings.own.time names an array of the time" if name == "time" else ""
            raise UserError(f"{path}: the array {name!r} is not one of {', '.join(ARRAYS)}{hint}")
    inputs = _real(path, "inputs", arrays["inputs"])
    inputs = inputs[:, None] if inputs.ndim == 1 else inputs
    if inputs.ndim != 2 or not inputs.shape[1]:
        raise UserError(f"{path}: inputs are of shape {inputs.shape}; expected (frames, inputs)")
    lengths = _lengths(path, arrays["lengths"], len(inputs))
    targets = arrays["targets"]
    if targets.ndim not in (1, 2) or len(targets) not in (len(inputs), len(lengths)) or not targets.size:
        raise UserError(
            f"{path}: targets are of shape {targets.shape}; expected ({len(inputs)},) or ({len(inputs)}, K) for every "
            f"frame, or ({len(lengths)},) or ({len(lengths)}, K) for every sequence"
        )
    flat = targets.ndim == 1

    def place(frame: int, name: str) -> str:
        return f"{path}: {f'inputs[{frame}, {name}]' if name.isdigit() else f'{name}[{frame}]'}"

    def place_of_target(row: int, name: str) -> str:
        column = "" if flat else f", {name.removeprefix('target_')}" if "_" in name else ", 0"
        return f"{path}: targets[{row}{column}]"

    def reader(column: Array) -> Callable[[], Numbers]:
        return lambda: column.astype(np.float64)

    columns = [targets] if flat else list(targets.T)
    names = ["target"] if len(columns) == 1 else [f"target_{k}" for k in range(len(columns))]
    return OwnData(
        path,
        lengths,
        _splits(path, arrays["split"], len(lengths)) if "split" in arrays else None,
        {str(k): reader(inputs[:, k]) for k in range(inputs.shape[1])},
        [_target(path, name, column) for name, column in zip(names, columns, strict=True)],
        place,
        place_of_target,
        reader(_time(path, time, arrays[time], len(inputs))) if time else None,
    )


def _read(path: Path) -> dict[str, Array]:
    damaged = (ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, NotImplementedError, TypeError)
    with open_file(path) as file:
        try:
            _check_sizes(path, file)
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise UserError(f"{path}: one array alone; write several with np.savez(file, inputs=..., targets=...)")
            return {name: loaded[name] for name in loaded.files}
        except damaged as error:
            reason = " ".join(str(error).split())
            if "pickle" in reason:
                reason = "it holds Python objects; expected arrays of numbers, or of text (dtype str)"
            raise UserError(f"{path}: no .npz file, or a damaged one: {reason:.160}") from None


def _check_sizes(path: Path, file: BufferedReader) -> None:
    """Refuse, before anything is unpacked, arrays that are not as long as they say or far longer than is sensible."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        for member in members:
            with archive.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(stream)
                said, held = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()
            if said != held and not dtype.hasobject:
                name = member.filename.removesuffix(".npy")
                raise UserError(
                    f"{path}: the array {name!r} is said to be of shape {shape} and {dtype}, {said:,} bytes, but there "
                    f"are {held:,}; write the file anew with np.savez"
                )
        unpacked, packed = sum(member.file_size for member in members), path.stat().st_size
    if unpacked > physical_memory() or unpacked > max(MOST_UNPACKED, packed * MOST_TIMES):
        raise UserError(
            f"{path}: its {packed:,} bytes become {unpacked:,} when they are unpacked, more than data take, or "
            "more than this machine has; check the file, or write it with np.savez, which does not pack"
        )


def _real(path: Path, name: str, array: Array) -> Array:
    if array.dtype.kind not in "biuf":
        raise UserError(f"{path}: {name} are {array.dtype}; expected numbers")
    return array


def _lengths(path: Path, lengths: Array, frames: int) -> Whole:
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not len(lengths):
        raise UserError(f"{path}: lengths are {lengths.dtype} of shape {lengths.shape}; expected whole (sequences,)")
    if lengths.min() < 1:
        at = int((lengths < 1).argmax())
        raise UserError(f"{path}: lengths[{at}] is {lengths[at]}; every sequence needs at least one frame")
    total = sum(map(int, lengths)) if lengths.max() > frames else int(lengths.sum(dtype=np.int64))
    if total != frames:
        raise UserError(f"{path}: the lengths sum up to {total}, but inputs have {frames} frames")
    return lengths.astype(np.int64)


def _splits(path: Path, split: Array, count: int) -> Whole:
    if split.shape != (count,):
        raise UserError(f"{path}: split is of shape {split.shape}; expected ({count},), one for each sequence")
    names, codes = np.unique(split, return_inverse=True)
    known = [split_number(name) for name in names.tolist()]
    for code, number in enumerate(known):
        if number is None:
            at = int((codes == code).argmax())
            raise UserError(f"{path}: split[{at}] is {str(names[code])[:40]!r}; {NO_SPLIT}")
    return np.array(known, np.int64)[codes]


def _time(path: Path, name: str, time: Array, frames: int) -> Array:
    if time.shape != (frames,):
        raise UserError(f"{path}: {name} is of shape {time.shape}; expected ({frames},), one for each frame")
    if time.dtype.kind == "M":
        return np.where(np.isnat(time), np.nan, time.astype("datetime64[us]").astype(np.int64) / 1e6)
    return _real(path, name, time)


def _target(path: Path, name: str, values: Array) -> Column:
    if values.dtype.kind in "US":
        labels, codes = np.unique(values, return_inverse=True)
        words = [label.decode("utf-8", "replace") if isinstance(label, bytes) else label for label in labels.tolist()]
        numbers = codes.astype(np.float64)
        if words and words[0] == "":
            words, numbers = words[1:], np.where(codes == 0, np.nan, numbers - 1)
        return Column(name, numbers, tuple(words))
    _real(path, "targets", values)
    whole = values.dtype.kind in "biu"
    numbers = values.astype(np.float64)
    if whole and (np.abs(numbers) >= EXACT).any():
        at = int((np.abs(numbers) >= EXACT).argmax())
        raise UserError(f"{path}: targets[{at}] is {values[at]}, too large for a number; write classes as text")
    return Column(name, numbers, (), whole)
