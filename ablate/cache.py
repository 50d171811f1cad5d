"""Where parsed data and compiled kernels are kept between runs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def default_cache_folder() -> Path:
    """$ABLATE_CACHE, or `ablate` in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache)."""
    if own := os.environ.get("ABLATE_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ablate"


def writable(folder: Path) -> Path:
    """The folder, made if need be; where it cannot be written, one of the same name among the temporary files."""
    for choice in (
        folder,
        Path(tempfile.gettempdir()) / f"ablate-{os.getuid() if hasattr(os, 'getuid') else ''}" / folder.name,
    ):
        try:
            choice.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(choice, os.W_OK):
            return choice
    raise OSError(f"neither {folder} nor {tempfile.gettempdir()} can be written")
