"""Names of the values in a trace: those that the equations use, and those that the compiler makes.

SymPy tells symbols apart by their names. A name that the compiler makes therefore holds a character that no Python
identifier can hold, `^` or a backquote, so that it never equals a name of the equations:

    z        a local name or a vector weight, as the equations write it
    c^2      the second value that the name c is bound to
    y`prev   the state y before the step
    a^z      the value of the affine map w.z
    v`0      a value that lowering makes, for a function call inside an expression
    d^...    the adjoint of any of these: the derivative of the loss by it

Why these two characters: SymPy orders terms by their names, and a kernel adds in that order. They stand next to `_` in
the order of characters, behind all digits and before all lower-case letters, so that sums keep the order that `_` in
their place would give, and scores keep their last digit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import sympy

_PREVIOUS = "`prev"

INPUT = sympy.Symbol("x", real=True)


def value(name: str, binding: int = 1) -> sympy.Symbol:
    """What a name of the equations stands for, from its n-th binding on."""
    return sympy.Symbol(name if binding == 1 else f"{name}^{binding}", real=True)


def previous(state: str) -> sympy.Symbol:
    """A state before the step."""
    return sympy.Symbol(state + _PREVIOUS, real=True)


def map_value(name: str) -> sympy.Symbol:
    """The value of an affine map."""
    return sympy.Symbol(f"a^{name}", real=True)


def temporary(number: int) -> sympy.Symbol:
    """A value that has no name in the equations."""
    return sympy.Symbol(f"v`{number}", real=True)


def adjoint(symbol: sympy.Symbol) -> sympy.Symbol:
    """The derivative of the loss by `symbol`."""
    return sympy.Symbol(f"d^{symbol.name}", real=True)


def written(symbol: sympy.Symbol) -> str:
    """The symbol as the author of the equations wrote it: `c` for every value of c, `w.z` for the value of a map."""
    name = symbol.name
    if name.startswith("a^") and not name[2].isdigit():
        return f"w.{name[2:]}"
    return re.split("[`^]", name)[0]


def as_written(expression: Any) -> str:
    """An expression in the words of the equations."""
    symbols: Iterable[Any] = expression.free_symbols
    return str(expression.xreplace({symbol: sympy.Symbol(written(symbol), real=True) for symbol in symbols}))


def identifier(symbol: sympy.Symbol) -> str:
    """The symbol as an identifier of generated code, different for every symbol.

    Each starts with its kind: `v_z` a value, `v2_c` the second of a name, `s_y` a previous state, `m_z` the value of a
    map, `v0` a temporary, `d_...` an adjoint. No other name of generated code may start so.
    """
    name = symbol.name
    if name[:2] in ("a^", "d^") and not name[2].isdigit():
        inner = name[2:]
        return f"m_{inner}" if name[0] == "a" else f"d_{identifier(sympy.Symbol(inner, real=True))}"
    if name.endswith(_PREVIOUS):
        return f"s_{name.removesuffix(_PREVIOUS)}"
    if "`" in name:
        return name.replace("`", "")
    base, _, binding = name.partition("^")
    return f"v{binding}_{base}"


def state_names(arguments: Iterable[str]) -> dict[str, str]:
    """The short name of each state by the name of its argument: `i` for `i_`, unless another state has it."""
    arguments = list(arguments)
    short = [argument.rstrip("_") or argument for argument in arguments]
    return {
        argument: name if short.count(name) == 1 else argument for argument, name in zip(arguments, short, strict=True)
    }
