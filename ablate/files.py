"""Reading a user's files: bounded in size, and identified by their contents."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from ablate.errors import UserError

LARGEST = 256 * 2**20  # bytes of a user's file; the largest of the known ones has a tenth of it


def read_file(path: Path) -> bytes:
    """The contents of a user's file; raises UserError when it is missing, no regular file, unreadable or too large."""
    with open_file(path) as file:
        try:
            data = file.read(LARGEST + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
    if len(data) > LARGEST:
        raise UserError(f"{path}: larger than {LARGEST >> 20} MiB; check that it is the data file itself")
    return data


@contextmanager
def open_file(path: Path) -> Iterator[BufferedReader]:
    """A user's file of any size, open to be read; raises UserError when it is missing, no regular file, unreadable."""
    try:
        if path.exists() and not path.is_file():  # reading a folder fails, reading a device or a pipe may never end
            raise UserError(f"{path}: not a file; give the path of the data file itself")
        file = path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise _unreadable(path, error) from error
    with file:
        yield file


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A path beside a file, to be written: it takes the file's place when the block ends, and is deleted if it fails.

    The bytes are on the disk before, so that a power cut leaves the old file or the new one. What stands under the path
    already is deleted first: a kill may have left it, or somebody a link to another place.
    """
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(f"{path}: cannot be read ({reason}); check the path and its permissions")


def streamed_fingerprint(path: Path) -> str:
    """SHA-256 of a file of any size, of which little is in memory at a time; raises UserError as `open_file`."""
    with open_file(path) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(path, error) from error


def file_fingerprint(path: Path | None) -> str:
    """SHA-256 of the user's file (UserError when it cannot be read), or `embedded` when there is none."""
    return "embedded" if path is None else hashlib.sha256(read_file(path)).hexdigest()


def files_fingerprint(files: Iterable[Path]) -> str:
    """SHA-256 over paths, sizes and times of change: what identifies a folder without reading it.

    Raises UserError when a file cannot be looked at.
    """
    digest = hashlib.sha256()
    for file in sorted(files):
        try:
            found = file.stat()
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror}); check the path and its permissions") from error
        digest.update(f"{file}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def physical_memory() -> int:
    """The bytes of memory that this machine has; without end where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize
