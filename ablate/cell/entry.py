"""Where a variant's kernel lies in the cache. Knows no compiler, so that asking costs nothing."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from ablate.cell.trace import Trace

READY = ".ready"  # the mark of an entry that has been compiled
_COMPILER = ("lower.py", "emit.py", "numeric.py", "product.py", "kernel.py")


def entry(trace: Trace, name: str, folder: Path) -> Path:
    """The file of a kernel's source, named by all that its code depends on.

    What depends on the processor is left to Numba's own cache beside it, which several machines may share.
    """
    versions = [f"{package} {version(package)}" for package in ("numba", "llvmlite", "numpy")]
    sources = [(Path(__file__).parent / file).read_text(encoding="utf-8") for file in _COMPILER]
    text = "\n".join([name, repr(trace), *versions, *sources])
    letters = "".join(letter if letter.isalnum() else "_" for letter in name)
    return folder / f"{letters}_{hashlib.sha256(text.encode()).hexdigest()[:16]}.py"


def is_ready(trace: Trace, name: str, folder: Path) -> bool:
    """Whether the kernel has been compiled before."""
    return entry(trace, name, folder).with_suffix(READY).exists()
