"""SymPy expressions as source of a kernel."""

# SymPy's annotations give Basic for every part of an expression; here these are all Expr or Symbol.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false

from __future__ import annotations

import math

import sympy

from ablate.cell.derivatives import CannotLowerError, above_, not_below_
from ablate.cell.language import relu_, sigmoid_, softplus_
from ablate.cell.names import as_written, identifier

FUNCTIONS = {
    sympy.tanh: "tanh",
    sigmoid_: "sigmoid",
    sympy.exp: "exp",
    sympy.log: "math.log",
    relu_: "relu",
    softplus_: "softplus",
    sympy.Abs: "abs",
    sympy.Max: "maximum",
    sympy.Min: "minimum",
}
COMPARISONS = {above_: ">", not_below_: ">="}


class Expressions:
    """Writes expressions; each constant becomes a name, so that it takes the arrays' precision."""

    def __init__(self) -> None:
        self.constants: dict[str, str] = {}  # the name of each value, as source

    def constant(self, number: sympy.Expr) -> str:
        """The name of a number.

        Raises:
            CannotLowerError: it is not real.
        """
        try:
            value = float(number)
        except (TypeError, OverflowError):
            raise CannotLowerError(
                f"an equation holds {as_written(number)}, which is not a real number; "
                "look for a root or logarithm of something negative, or a division by zero"
            ) from None
        source = repr(value) if math.isfinite(value) else f"np.{value}".replace("np.-", "-np.")
        return self.constants.setdefault(source, f"number_{len(self.constants)}")

    def __call__(self, expression: sympy.Expr) -> str:
        if expression.is_Symbol:
            return identifier(expression)
        if not expression.free_symbols:
            return self.constant(expression)
        if isinstance(expression, sympy.Add):
            return self._sum(expression)
        if isinstance(expression, sympy.Mul | sympy.Pow):
            return self._product(expression)
        arguments = [self(argument) for argument in expression.args]
        if comparison := COMPARISONS.get(type(expression)):
            one, zero = (self.constant(sympy.Integer(value)) for value in (1, 0))
            return f"({one} if {arguments[0]} {comparison} {arguments[1]} else {zero})"
        return f"{FUNCTIONS[type(expression)]}({', '.join(arguments)})"

    def _sum(self, expression: sympy.Add) -> str:
        terms = sorted(expression.args, key=lambda term: (term.could_extract_minus_sign(), str(term)))
        source = self(terms[0])
        for term in terms[1:]:
            source += f" - {self(-term)}" if term.could_extract_minus_sign() else f" + {self(term)}"
        return f"({source})"

    def _product(self, expression: sympy.Expr) -> str:
        numerator, denominator = [], []
        for factor in sympy.Mul.make_args(expression):
            base, power = factor.as_base_exp()
            if not factor.free_symbols and not factor.is_Rational:
                numerator.append(self.constant(factor))
            elif power == sympy.Rational(1, 2):
                numerator.append(f"math.sqrt({self(base)})")
            elif power.is_Integer:
                (numerator if power > 0 else denominator).extend([self(base)] * abs(int(power)))
            else:
                raise AssertionError(f"lowering leaves no power such as {factor}")
        above = " * ".join(numerator) or self.constant(sympy.Integer(1))
        return f"({above} / ({' * '.join(denominator)}))" if denominator else f"({above})"
