"""Pickles of nested lists of numbers, read without Python's own reader.

That one calls what a file names, remembers as many objects as a file says, and hashes what a file uses as a key: a
tuple of twice the same tuple, forty times over, keeps it busy for weeks. This one knows texts as keys, and three names
for which it makes a number itself, so that it takes a time and a memory in proportion to the file.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np

_LONGEST = 64  # bytes of a number
_SCALARS = ("numpy.core.multiarray scalar", "numpy._core.multiarray scalar")
_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_IGNORED = ("PROTO", "FRAME", "STOP")
_PLAIN = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)


class NumberPickleError(Exception):
    """A pickle that holds something else; the message says what."""


class _NumberType:
    """Stands in for a NumPy type, such as `<i8`."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code
        self.order = "<"


class _Mark:
    """Where a list, a tuple or a dict begins on the stack."""


def load_numbers(data: bytes) -> Any:
    """What a pickle of Python 2 or 3 holds: lists, tuples and dicts of numbers and texts, with texts as keys.

    Raises:
        NumberPickleError: it holds something else.
        Exception: it is damaged; of any kind.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for operation, argument, _ in pickletools.genops(data):
        name: str = operation.name
        if name in _PLAIN:
            stack.append(argument)
        elif name in _VALUES:
            stack.append(_VALUES[name])
        elif name in ("MARK", "EMPTY_LIST", "EMPTY_DICT"):
            stack.append({"MARK": _Mark, "EMPTY_LIST": list, "EMPTY_DICT": dict}[name]())
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if name == "MEMOIZE" else int(argument)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(argument)])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(tuple(reversed([stack.pop() for _ in range(int(name[-1]))])))
        elif name in ("TUPLE", "LIST", "DICT"):
            items = _since_mark(stack)
            stack.append(_with_items({}, items) if name == "DICT" else tuple(items) if name == "TUPLE" else items)
        elif name in ("APPEND", "APPENDS"):
            items = _since_mark(stack) if name == "APPENDS" else [stack.pop()]
            _expect(stack[-1], list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = _since_mark(stack) if name == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
            _with_items(_expect(stack[-1], dict), items)
        elif name == "GLOBAL":
            stack.append(_callable(argument))
        elif name == "STACK_GLOBAL":
            function, module = stack.pop(), stack.pop()
            stack.append(_callable(f"{module} {function}"))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_CALLS[_expect(function, _Callable).name](*arguments))
        elif name == "BUILD":
            state = stack.pop()
            _expect(stack[-1], _NumberType).order = state[1]
        elif name not in _IGNORED:
            raise NumberPickleError(f"a pickle with {name}, where it may hold numbers only")
    return stack.pop()


class _Callable:
    """A name that a pickle may have called."""

    def __init__(self, name: str) -> None:
        self.name = name


def _callable(asked: str) -> _Callable:
    if asked not in _CALLS:
        raise NumberPickleError(
            f"a pickle that asks for {asked.replace(' ', '.'):.60} is refused, it may hold numbers only"
        )
    return _Callable(asked)


def _expect(value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise NumberPickleError(f"a damaged pickle, with a {type(value).__name__} in a place where none can be")
    return value


def _since_mark(stack: list[Any]) -> list[Any]:
    place = next(k for k in range(len(stack) - 1, -1, -1) if isinstance(stack[k], _Mark))
    items = stack[place + 1 :]
    del stack[place:]
    return items


def _with_items(found: dict[str, Any], items: list[Any]) -> dict[str, Any]:
    for key, value in zip(items[::2], items[1::2], strict=True):
        found[_expect(key, str)] = value
    return found


def _number(kind: _NumberType, data: bytes | str) -> Any:
    """What NumPy makes of a number's bytes (a latin1 string, if Python 2 wrote them)."""
    if len(data) > _LONGEST:
        raise NumberPickleError(f"a damaged pickle, with a number of {len(data)} bytes")
    raw = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(raw, _expect(kind, _NumberType).order + kind.code).item()


def _latin1_bytes(text: str, _encoding: str = "latin1") -> bytes:
    if len(text) > _LONGEST:
        raise NumberPickleError(f"a damaged pickle, with a number of {len(text)} bytes")
    return text.encode("latin1")


_CALLS: dict[str, Callable[..., Any]] = {
    "numpy dtype": _NumberType,
    "_codecs encode": _latin1_bytes,  # bytes, in a pickle of Python 3 with protocol 2
    **dict.fromkeys(_SCALARS, _number),
}
