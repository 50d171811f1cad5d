"""The functions that a variant's equations are made of.

Each takes what the equations are run on: traced vectors give an expression (see tracer.py), tensors give a
tensor of any device and dtype. So one function is both the definition that is compiled and the network that is run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from ablate.cell.vector import Vector, apply_elementwise


def _argument(call: sympy.Function) -> Any:
    """What a function of one number is called with; SymPy evaluates constants through it."""
    return call.args[0]


class sigmoid_(sympy.Function):  # noqa: N801  SymPy names functions in lower case
    """The logistic function, kept whole: SymPy would print and differentiate its quotient."""

    nargs = 1

    def _eval_evalf(self, prec: int) -> Any:
        return (1 / (1 + sympy.exp(-_argument(self))))._eval_evalf(prec)


class relu_(sympy.Function):  # noqa: N801
    nargs = 1

    def _eval_evalf(self, prec: int) -> Any:
        return sympy.Max(_argument(self), 0)._eval_evalf(prec)


class softplus_(sympy.Function):  # noqa: N801
    nargs = 1

    def _eval_evalf(self, prec: int) -> Any:
        return sympy.log(1 + sympy.exp(_argument(self)))._eval_evalf(prec)


class Primitive:
    """A point-wise function, on traced vectors and on tensors alike."""

    def __init__(self, name: str, symbolic: Callable[..., Any], tensor: Callable[..., Any]) -> None:
        self.name = name
        self.symbolic = symbolic
        self.tensor = tensor

    def __call__(self, *arguments: Any) -> Any:
        if any(isinstance(argument, Vector) for argument in arguments):
            return apply_elementwise(self.name, self.symbolic, *arguments)
        return self.tensor(*arguments)

    def __repr__(self) -> str:
        return self.name


def _extreme(method: str, bound: str) -> Callable[[Any, Any], Any]:
    """The smaller or larger of two tensors, or of a tensor and a number."""

    def of_tensors(a: Any, b: Any) -> Any:
        if isinstance(b, int | float):
            return a.clamp(**{bound: b})
        if isinstance(a, int | float):
            return b.clamp(**{bound: a})
        return getattr(a, method)(b)

    return of_tensors


# Tensors are reached through their methods, so that reading the registry does not import the framework.
tanh = Primitive("tanh", sympy.tanh, lambda v: v.tanh())
sigmoid = Primitive("sigmoid", sigmoid_, lambda v: v.sigmoid())
relu = Primitive("relu", relu_, lambda v: v.relu())
exp = Primitive("exp", sympy.exp, lambda v: v.exp())
log = Primitive("log", sympy.log, lambda v: v.log())
sqrt = Primitive("sqrt", sympy.sqrt, lambda v: v.sqrt())
# log(1 + exp v), written so that exp cannot overflow
softplus = Primitive("softplus", softplus_, lambda v: v.clamp(min=0) + v.abs().neg().exp().log1p())
minimum = Primitive("minimum", sympy.Min, _extreme("minimum", "max"))
maximum = Primitive("maximum", sympy.Max, _extreme("maximum", "min"))
