"""The functions of a task may be a user's own: what they raise, or return amiss, is told in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ablate.definitions.loading import in_a_line, place_in
from ablate.definitions.task import Task
from ablate.errors import UserError

T = TypeVar("T")


def call(task: Task, function: Callable[..., Any], kind: type[T], *arguments: Any) -> T:
    """What a function of a task returns, which has to be of a kind.

    Raises:
        UserError: it raises an exception, with the line of its file, or returns something else.
        MemoryError: as it is raised.
    """
    code = getattr(function, "__code__", None)
    file = code.co_filename if code else task.defined_at
    try:
        found = function(*arguments)
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise UserError(f"{place_in(file, error)}: task {task.name!r}: {in_a_line(error)}") from error
    if not isinstance(found, kind):
        name = getattr(function, "__name__", "its function")
        raise UserError(
            f"{file}: task {task.name!r}: {name} returns a {type(found).__name__}; it must return {kind.__name__}"
        )
    return found
