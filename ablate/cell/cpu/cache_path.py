"""Where a variant's kernel lies in the cache. Imports no compiler, so that asking costs nothing."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ablate.cell.trace import Trace

READY = ".ready"  # marks a kernel that has been compiled and has agreed with the reference


@cache
def _compiler() -> list[str]:
    """The versions and the source of all that makes a kernel."""
    versions = [f"{package} {version(package)}" for package in ("numba", "llvmlite", "numpy")]
    here = Path(__file__).parent
    files = sorted([*here.glob("*.py"), *here.parent.glob("*.py")])
    return [*versions, *(file.read_text(encoding="utf-8") for file in files)]


def cache_path(trace: Trace, name: str, folder: Path) -> Path:
    """The file of a kernel's source, named by all that its code depends on.

    What depends on the processor is left to Numba's own cache beside it, which several machines may share.
    """
    text = "\n".join([name, repr(trace), *_compiler()])
    letters = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in name)[:40]
    return folder / f"{letters}_{hashlib.sha256(text.encode(errors='backslashreplace')).hexdigest()[:16]}.py"


def is_ready(trace: Trace, name: str, folder: Path) -> bool:
    """Whether the kernel has been compiled before, and agreed with the reference."""
    return cache_path(trace, name, folder).with_suffix(READY).exists()
