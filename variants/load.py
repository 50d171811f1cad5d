"""Variants from outside the project: a user's own file, or an installed package that offers some."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from ablate.errors import UserError
from variants.registry import VARIANTS

ENTRY_POINTS = "ablate.variants"

_loaded: set[Path] = set()


def load_file(file: str) -> None:
    """Register the variants of a Python file; a file is loaded once a process.

    Raises:
        UserError: it is no Python file, it raises an exception, or it registers nothing; in one line, with the line
            of the file.
    """
    path = Path(file).expanduser().resolve()
    if path in _loaded:
        return
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "there is no such file"
        raise UserError(f"--variants-from {file}: {what}; give a Python file that registers variants")
    before = len(VARIANTS)
    spec = spec_from_file_location(f"variants_from_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"--variants-from {file}: not a Python file; its name must end in .py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except SyntaxError as error:
        raise UserError(f"{error.filename or file}, line {error.lineno}: {error.msg}") from None
    except Exception as error:
        raise UserError(f"{_place(path, error)}: {type(error).__name__}: {error}") from error
    if len(VARIANTS) == before:
        raise UserError(f"{file} registers no variant; decorate a function with @variant(name, summary)")
    _loaded.add(path)


def load_installed() -> None:
    """Register the variants that installed packages offer by an entry point in the group `ablate.variants`.

    Raises:
        UserError: one of them raises an exception.
    """
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except Exception as error:
            package = entry.dist.name if entry.dist else "?"
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            raise UserError(
                f"the variants of the installed package {package} ({entry.value}) cannot be loaded: {reason}; "
                "mend or uninstall it"
            ) from error


def _place(path: Path, error: Exception) -> str:
    """The last line of the file that the exception passed through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)
