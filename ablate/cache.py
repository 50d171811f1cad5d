"""Where parsed data and compiled code are kept between runs."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ablate.errors import UserError

VARIABLE = "ABLATE_CACHE"  # of the environment, which names the folder


def default_cache_folder() -> Path:
    """$ABLATE_CACHE, or `ablate` in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache).

    For a user without a home, as in a container, a private one among the temporary files.
    """
    try:
        if own := os.environ.get(VARIABLE):
            return Path(own).expanduser()
        base = os.environ.get("XDG_CACHE_HOME")
        return (Path(base).expanduser() if base else Path.home() / ".cache") / "ablate"
    except RuntimeError:  # neither $HOME nor an entry among the users
        return _private_folder()


def provide_home() -> None:
    """Give a user without a home one among the temporary files, since libraries do not run without."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(_private_folder())


def writable(folder: Path) -> Path:
    """The folder, made if need be; where it cannot be written, one of the same name in a private temporary folder.

    Raises:
        UserError: nothing can be written anywhere.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    private = _private_folder() / folder.name
    private.mkdir(exist_ok=True)
    return private


def _private_folder() -> Path:
    """A folder among the temporary files that nobody else can write to, the same for all processes of this user.

    Code that is kept in a cache is run. So where somebody has taken the name, or could write there, another is made,
    for this process and those that it starts.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"ablate-{os.getuid() if hasattr(os, 'getuid') else ''}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_private(folder):
            folder = Path(tempfile.mkdtemp(prefix="ablate-"))
            os.environ[VARIABLE] = str(folder)
    except OSError as error:
        raise UserError(
            f"the temporary folder cannot be written ({error.strerror or error}), nor the cache folder: "
            f"set {VARIABLE} to a folder that can be"
        ) from None
    return folder


def _is_private(folder: Path) -> bool:
    """Whether it is a folder, not a link to one, that its owner, who runs this, alone can write to."""
    found = folder.lstat()
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return stat.S_ISDIR(found.st_mode) and mine and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
