"""The derivative of each point-wise assignment, as updates of the adjoints of what it reads."""

# SymPy's annotations give Basic for every part of an expression; here these are all Expr or Symbol.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy

from ablate.cell.language import relu_, sigmoid_, softplus_
from ablate.cell.names import adjoint


class above_(sympy.Function):  # noqa: N801
    """1 where the first argument is above the second, else 0."""

    nargs = 2


class not_below_(sympy.Function):  # noqa: N801
    """1 where the first argument is the second or above it, else 0."""

    nargs = 2


def _sign(v: sympy.Expr, e: sympy.Expr) -> sympy.Expr:
    up: Any = above_(e, 0)
    return up - above_(-e, 0)


# The derivative of each function in terms of its value v and its argument e.
DERIVATIVES: dict[type[sympy.Function], Callable[[sympy.Expr, sympy.Expr], sympy.Expr]] = {
    sympy.tanh: lambda v, e: 1 - v * v,
    sigmoid_: lambda v, e: v * (1 - v),
    sympy.exp: lambda v, e: v,
    sympy.log: lambda v, e: 1 / e,
    relu_: lambda v, e: above_(v, 0),
    softplus_: lambda v, e: sigmoid_(e),
    sympy.Abs: _sign,  # SymPy makes it of sqrt(e ** 2)
}


class CannotLowerError(Exception):
    """The equations hold something that no kernel is made for; the reference backend runs them."""


@dataclass(frozen=True)
class AdjointUpdate:
    """The adjoint of `of` += `value`."""

    of: sympy.Symbol
    value: sympy.Expr


def adjoint_updates(symbol: sympy.Symbol, expression: sympy.Expr) -> tuple[AdjointUpdate, ...]:
    """What `symbol = expression` adds to the adjoint of each symbol that it reads.

    Args:
        symbol: the name that is assigned to.
        expression: arithmetic on symbols and numbers, or one function call of such.

    Raises:
        CannotLowerError: the derivative of the function is not known.
    """
    d = adjoint(symbol)
    if isinstance(expression, sympy.Min | sympy.Max):
        return tuple(_selection(d, expression))
    inner, outer = expression, sympy.Integer(1)
    if isinstance(expression, sympy.Pow) and expression.exp == sympy.Rational(1, 2):
        inner, outer = expression.base, 1 / (2 * symbol)
    elif isinstance(expression, sympy.Function) and expression.free_symbols:
        function = type(expression)
        if function not in DERIVATIVES:
            raise CannotLowerError(
                f"no kernel is made for the function {function.__name__.rstrip('_')}; use the functions of "
                "ablate.cell.language instead"
            )
        inner = expression.args[0]
        outer = DERIVATIVES[function](symbol, inner)
    return tuple(
        AdjointUpdate(read, d * outer * sympy.diff(inner, read)) for read in sorted(inner.free_symbols, key=str)
    )


def _selection(d: sympy.Symbol, expression: sympy.Expr) -> list[AdjointUpdate]:
    """Minimum and maximum pass everything to the argument that they select: the first, where both are equal.

    Equal arguments are no accident: `maximum(relu(a) + c, relu(b) + c)` has them wherever both a and b are negative.
    """
    one, other = expression.args
    if isinstance(expression, sympy.Max):
        selected = [(one, not_below_(one, other)), (other, above_(other, one))]
    else:
        selected = [(one, not_below_(other, one)), (other, above_(one, other))]
    return [
        AdjointUpdate(read, d * factor * sympy.diff(argument, read))
        for argument, factor in selected
        for read in sorted(argument.free_symbols, key=str)
    ]
