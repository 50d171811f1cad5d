"""Compiled loops of the training, which are no cell's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba

from ablate.cache import default_cache_folder, writable
from ablate.cell.cpu import primitives, products
from ablate.cell.cpu.primitives import FAST


def compiled_loop(*signatures: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile the decorated function for these types when its module is first imported on a machine, and keep it.

    It is kept in the project's own cache folder, since neither the code's folder nor a home need be there to write to.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
        numba.config.CACHE_DIR = str(_folder())  # type: ignore[attr-defined]
        try:
            return numba.njit(list(signatures), fastmath=FAST, error_model="numpy", cache=True)(function)
        finally:
            numba.config.CACHE_DIR = before  # type: ignore[attr-defined]

    return decorate


@cache
def _folder() -> Path:
    """Named by what the compiler does not look at: functions that a loop calls from another module."""
    here = Path(__file__).parent
    own = [here / f"{name}.py" for name in ("ctc", "losses", "optimiser")]
    texts = [file.read_text(encoding="utf-8") for file in (Path(primitives.__file__), Path(products.__file__), *own)]
    text = "".join([version("numba"), version("llvmlite"), *texts])
    return writable(default_cache_folder() / f"loops-{hashlib.sha256(text.encode()).hexdigest()[:16]}")
