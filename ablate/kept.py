"""What slow computations gave, kept by the hash of what they were given and of the code that computed it."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ablate.files import replacing

Inputs = Mapping[str, Any]  # arrays and plain values, by the names of the function's arguments
# Calls a function with each of these and gives every result, in any order, with the place of its inputs.
Compute = Callable[[Callable[..., Any], Sequence[Inputs]], Iterable[tuple[int, Any]]]


class Kept:
    """Results as JSON in a folder, one file each: whole, or as good as not there.

    Args:
        folder: where they are kept; in memory alone if None.
        compute: computes what is missing; if None, nothing is computed, and what is missing stays so.
    """

    def __init__(self, folder: Path | None = None, compute: Compute | None = None) -> None:
        self._folder, self._compute = folder, compute
        self._found: dict[str, Any] = {}

    def map(self, function: Callable[..., Any], inputs: Sequence[Inputs]) -> list[Any]:
        """What a function of a module gives for each of the inputs; None for one that is neither kept nor computed.

        The function depends on nothing but its inputs and the files of its folder, and returns lists and dicts of
        plain values. When something is computed, results of other inputs are dropped.
        """
        keys = [_key(function, each) for each in inputs]
        folder = None if self._folder is None else self._folder / function.__name__
        if folder is not None:
            for key in keys:
                if key not in self._found and (kept := _read(folder / f"{key}.json")) is not None:
                    self._found[key] = kept
        missing = [place for place, key in enumerate(keys) if key not in self._found]
        if missing and self._compute is not None:
            for place, result in self._compute(function, [inputs[place] for place in missing]):
                key = keys[missing[place]]
                self._found[key] = result
                if folder is not None:
                    _write(folder / f"{key}.json", result)
            for file in folder.glob("*.json") if folder is not None else ():
                if file.stem not in keys:
                    file.unlink(missing_ok=True)
        return [self._found.get(key) for key in keys]


def _key(function: Callable[..., Any], inputs: Inputs) -> str:
    digest = hashlib.sha256(f"{function.__module__}.{function.__qualname__} {_code(function)}".encode())
    for name, value in inputs.items():
        if hasattr(value, "tobytes"):  # an array; NumPy is slow to import
            digest.update(f"{name} {value.dtype} {value.shape}".encode() + value.tobytes())
        else:
            digest.update(f"{name} {value!r}".encode())
    return digest.hexdigest()[:32]


@cache
def _code(function: Callable[..., Any]) -> str:
    """The digest of the files beside the function's, so that results of other code are not taken for its own."""
    files = sorted(Path(inspect.getfile(function)).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _read(file: Path) -> Any:
    """The result that a file holds; None where there is none, or what was written is not all there."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return kept["result"] if kept["sha256"] == _digest(kept["result"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, result: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = {"sha256": _digest(result), "result": result}
    with replacing(file) as part:
        part.write_text(json.dumps(kept, separators=(",", ":")), encoding="utf-8")


def _digest(result: Any) -> str:
    return hashlib.sha256(json.dumps(result).encode()).hexdigest()
