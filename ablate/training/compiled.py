"""Compiled loops of the training, which are no cell's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

from ablate.cell.cpu.primitives import FAST
from ablate.training.loops import loops_folder


def compiled_loop(*signatures: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile the decorated function for these types when its module is first imported on a machine, and keep it."""

    def decorate(function: Callable[..., Any]) -> Any:
        before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
        numba.config.CACHE_DIR = str(loops_folder())  # type: ignore[attr-defined]
        try:
            return numba.njit(list(signatures), fastmath=FAST, error_model="numpy", cache=True)(function)
        finally:
            numba.config.CACHE_DIR = before  # type: ignore[attr-defined]

    return decorate
