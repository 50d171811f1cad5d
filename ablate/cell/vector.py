"""A traced vector: an expression that knows its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sympy

# What is said of all that cannot be written in equations, after what it was.
ELEMENTWISE = (
    "a state is a vector of units, taken element by element; maps such as w.z(x, h) mix them, and a cell that needs "
    "more is a module of PyTorch: ablate.module_variant"
)


class EquationError(Exception):
    """The equations say something that has no meaning; `tracer.py` adds the variant and the line."""


class Vector:
    """The value of an expression at one time step, for one sequence: N or M numbers.

    Attributes:
        size: "N" (the cell's units) or "M" (the input).
        named: whether a name of the equations stands for it already.
    """

    def __init__(self, expression: sympy.Expr, size: str, named: bool = False) -> None:
        self._expression = expression
        self.size = size
        self.named = named

    @property
    def expression(self) -> sympy.Expr:
        return self._expression

    def stand_for(self, symbol: sympy.Symbol) -> None:
        """From now on this vector reads as `symbol`, whose equation has been written down."""
        self._expression = symbol
        self.named = True

    def __add__(self, other: Any) -> Vector:
        return apply_elementwise("+", lambda a, b: a + b, self, other)

    def __radd__(self, other: Any) -> Vector:
        return apply_elementwise("+", lambda a, b: a + b, other, self)

    def __sub__(self, other: Any) -> Vector:
        return apply_elementwise("-", lambda a, b: a - b, self, other)

    def __rsub__(self, other: Any) -> Vector:
        return apply_elementwise("-", lambda a, b: a - b, other, self)

    def __mul__(self, other: Any) -> Vector:
        return apply_elementwise("*", lambda a, b: a * b, self, other)

    def __rmul__(self, other: Any) -> Vector:
        return apply_elementwise("*", lambda a, b: a * b, other, self)

    def __truediv__(self, other: Any) -> Vector:
        return apply_elementwise("/", lambda a, b: a / b, self, other)

    def __rtruediv__(self, other: Any) -> Vector:
        return apply_elementwise("/", lambda a, b: a / b, other, self)

    def __pow__(self, other: int) -> Vector:
        if not isinstance(other, int):
            raise EquationError("only whole powers are known: write v ** 2, or sqrt(v)")
        return apply_elementwise("**", lambda a, b: a**b, self, other)

    def __neg__(self) -> Vector:
        return apply_elementwise("-", lambda a: -a, self)

    def __bool__(self) -> bool:
        raise EquationError(
            f"a cell has no branches: use minimum, maximum or relu instead of if, and, or; {ELEMENTWISE}"
        )

    def __lt__(self, other: Any) -> bool:
        return bool(self)

    __gt__ = __le__ = __ge__ = __eq__ = __ne__ = __lt__
    __hash__ = object.__hash__

    def __iadd__(self, other: Any) -> Vector:
        # A tensor would be changed in place, together with every other value that shares its memory.
        raise EquationError("an equation changes a value in place: write c = c + z instead of c += z")

    __isub__ = __imul__ = __itruediv__ = __ipow__ = __iadd__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python's own questions, such as what is copied how
            raise AttributeError(name)
        raise EquationError(f".{name}: functions stand before their vector, as tanh(h), and {ELEMENTWISE}")

    __array_ufunc__ = None  # so that NumPy's numbers take part as numbers, and its functions and arrays do not

    def __matmul__(self, other: Any) -> Vector:
        raise EquationError(f"a product by @: {ELEMENTWISE}")

    __rmatmul__ = __imatmul__ = __matmul__

    def __getitem__(self, place: Any) -> Vector:
        raise EquationError(f"a part of a vector, by [...]: {ELEMENTWISE}")

    def __setitem__(self, place: Any, value: Any) -> None:
        self[place]

    def __len__(self) -> int:
        raise EquationError(f"the length of a vector, which is known when a layer is made: {ELEMENTWISE}")

    def __iter__(self) -> Iterator[Vector]:
        raise EquationError(f"a vector gone through unit by unit, as by for or sum: {ELEMENTWISE}")

    def __abs__(self) -> Vector:
        raise EquationError("abs is not known: write maximum(h, -h)")

    def __float__(self) -> float:
        raise EquationError(f"a vector taken as a number: {ELEMENTWISE}")

    __int__ = __index__ = __float__  # type: ignore[assignment]

    def __mod__(self, other: Any) -> Vector:
        raise EquationError(f"only + - * / and ** are known: {ELEMENTWISE}")

    __rmod__ = __floordiv__ = __rfloordiv__ = __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __mod__
    __invert__ = __mod__  # type: ignore[assignment]


def apply_elementwise(operation: str, symbolic: Callable[..., sympy.Expr], *operands: Any) -> Vector:
    """The vector that a point-wise operation on vectors of N and numbers gives.

    Raises:
        EquationError: an operand is the input, or neither a vector nor a number.
    """
    expressions = []
    for operand in operands:
        if isinstance(operand, Vector):
            if operand.size != "N":
                raise EquationError(
                    f"{operation} is given the input, which has M numbers, not N; "
                    "only a map such as w.z(x, ...) can read it"
                )
            expressions.append(operand.expression)
        elif isinstance(operand, int | float) and not isinstance(operand, bool):
            expressions.append(sympy.sympify(operand))
        else:
            raise EquationError(f"{operation} is given {operand!r}, which is neither a vector nor a number")
    try:
        return Vector(symbolic(*expressions), "N")
    except TypeError as error:
        raise EquationError(f"{operation}: {error}") from None
