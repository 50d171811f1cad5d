"""Variants and tasks from a user's own Python file."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ablate.definitions.registry import Registry
from ablate.definitions.task import TASKS
from ablate.errors import UserError

_loaded: dict[Path, str] = {}  # the module of each file
_contents: dict[Path, str] = {}  # and the SHA-256 of what it held


def load_variants(file: str) -> None:
    """Register the variants of a Python file; a file is loaded once a process.

    Raises:
        UserError: as `load_file`.
    """
    from ablate.definitions.variant import VARIANTS  # imports SymPy

    load_file(file, VARIANTS, "--variants-from", "decorate a function with @variant(name, summary)")


def load_tasks(file: str) -> None:
    """Register the tasks of a Python file; a file is loaded once a process.

    Raises:
        UserError: as `load_file`.
    """
    load_file(file, TASKS, "--tasks-from", "call TASKS.add(Task(...))")


def code_hash(function: Callable[..., Any]) -> str:
    """SHA-256 of the user's file that a function stands in, as it was when it was loaded; empty for all other code."""
    code = getattr(function, "__code__", None)
    return _contents.get(Path(code.co_filename), "") if code else ""


def load_file(file: str, registry: Registry[Any], option: str, advice: str) -> None:
    """Run a Python file that registers entries; a file is run once a process.

    Args:
        registry: where the entries go.
        option: the option that named the file, for messages.
        advice: how an entry is registered, for the message that none was.

    Raises:
        UserError: it is no Python file, it raises an exception, or it registers nothing; in one line, with the line
            of the file.
    """
    path = Path(file).expanduser().resolve()
    if path in _loaded:
        return
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "there is no such file"
        raise UserError(f"{option} {file}: {what}; give a Python file that registers {registry.kind}s")
    before, contents = len(registry), hashlib.sha256(path.read_bytes()).hexdigest()
    spec = spec_from_file_location(f"{registry.kind}s_from_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{option} {file}: not a Python file; its name must end in .py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except SyntaxError as error:
        raise UserError(f"{error.filename or file}, line {error.lineno}: {error.msg}") from None
    except Exception as error:
        raise UserError(f"{place_in(str(path), error)}: {in_a_line(error)}") from error
    if len(registry) == before:
        raise UserError(f"{file} registers no {registry.kind}; {advice}")
    _loaded[path], _contents[path] = spec.name, contents


def modules_of(files: Iterable[str] | None = None) -> list[str]:
    """The names of the modules that files were loaded as; of all that were loaded, if none are named."""
    paths = _loaded if files is None else [Path(file).expanduser().resolve() for file in files]
    return [_loaded[path] for path in paths if path in _loaded]


def place_in(file: str, error: Exception) -> str:
    """The last line of a file that an exception passed through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}, line {lines[-1]}" if lines else file


def in_a_line(error: Exception) -> str:
    """The kind of an exception and what it says, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
