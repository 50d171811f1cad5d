"""Where the compiled loops of the training are kept, and whether they are there. Imports no compiler."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ablate.cache import default_cache_folder, writable

READY = ".ready"  # marks that all are there
_HERE = Path(__file__).parent
# What the compiler does not look at: functions that a loop calls from another module.
_SOURCES = (
    *(_HERE.parent / "cell" / "cpu" / name for name in ("primitives.py", "products.py")),
    *(_HERE / name for name in ("ctc.py", "losses.py", "optimiser.py", "passes.py")),
)


@cache
def loops_folder() -> Path:
    """The folder in the project's own cache, since neither the code's folder nor a home need be there to write to."""
    texts = [file.read_text(encoding="utf-8") for file in _SOURCES]
    # What it does look at, besides the code: when the file of a loop was written.
    written = [str(file.stat().st_mtime) for file in sorted(_HERE.glob("*.py"))]
    text = "".join([version("numba"), version("llvmlite"), *texts, *written])
    return writable(default_cache_folder() / f"loops-{hashlib.sha256(text.encode()).hexdigest()[:16]}")


def loops_are_ready() -> bool:
    """Whether a process of this machine has compiled them before."""
    return (loops_folder() / READY).exists()
