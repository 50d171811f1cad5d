"""The errors that are the user's to mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """Bad usage or bad input: the message is one line that names the thing and the fix.

    The command prints it and exits with 2; nothing has been written.
    """


class StorageError(UserError):
    """A folder cannot be written any more, as on a full disk: the command exits with 3, and what is finished is kept.

    The same command goes on.
    """


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Tell in one line what a disk cannot do.

    Raises:
        StorageError: something within could not be written or read, in this folder or on the way.
    """
    try:
        yield
    except ConnectionError:  # no disk: the reader of our output has gone, or a server
        raise
    except OSError as error:
        if error.errno is None:
            raise
        place = error.filename or folder
        raise StorageError(
            f"{place} cannot be written: {error.strerror}; what is finished is kept, and the same command goes on once "
            "that is mended"
        ) from error
