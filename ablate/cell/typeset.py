"""A trace written out for a reader: as LaTeX and as plain text."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from ablate.cell.trace import Map, Trace


class _InWrittenOrder:
    """Sums in the order of writing, W x + R y + p * c + b, not of the alphabet."""

    ranks: dict[sympy.Symbol, int]

    def _as_ordered_terms(self, expr: Any, order: Any = None) -> list[Any]:
        def rank(term: Any) -> tuple[bool, int, str]:
            place = max((self.ranks[symbol] for symbol in term.free_symbols), default=0)
            # A sum never starts with a minus where it need not: 1 - f, not -f + 1.
            return term.could_extract_minus_sign(), place, str(term)

        return sorted(sympy.Add.make_args(expr), key=rank)


class _Latex(_InWrittenOrder, LatexPrinter):
    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:  # noqa: N802
        return expr.name  # written as LaTeX already

    def _print_sigmoid_(self, expr: Any) -> str:
        return rf"\sigma{{\left({self._print(expr.args[0])} \right)}}"

    def _print_relu_(self, expr: Any) -> str:
        return rf"\max{{\left(0, {self._print(expr.args[0])} \right)}}"

    def _print_softplus_(self, expr: Any) -> str:
        return rf"\log{{\left(1 + e^{{{self._print(expr.args[0])}}} \right)}}"


class _Text(_InWrittenOrder, StrPrinter):
    def _print_Max(self, expr: Any) -> str:  # noqa: N802
        return f"max({', '.join(map(self._print, expr.args))})"

    def _print_Min(self, expr: Any) -> str:  # noqa: N802
        return f"min({', '.join(map(self._print, expr.args))})"

    def _print_sigmoid_(self, expr: Any) -> str:
        return f"sigmoid({self._print(expr.args[0])})"

    def _print_relu_(self, expr: Any) -> str:
        return f"relu({self._print(expr.args[0])})"

    def _print_softplus_(self, expr: Any) -> str:
        return f"softplus({self._print(expr.args[0])})"


def latex(trace: Trace) -> list[str]:
    r"""The equations as LaTeX, a string each, such as `z^{t} = \tanh{\left(W_{z} x^{t} + ... \right)}`."""
    names: dict[sympy.Symbol, str] = {sympy.Symbol("x", real=True): "x^{t}"}
    for state in trace.states:
        names[state] = f"{_subscripted(state.name.removesuffix('_prev'))}^{{t-1}}"
    for equation in trace.equations:
        names[equation.symbol] = f"{_subscripted(equation.symbol.name)}^{{t}}"
    for vector in trace.vectors:
        names[sympy.Symbol(vector.name, real=True)] = _subscripted(vector.name)

    def product(matrix: str, written: str, whole: bool) -> str:
        read = written if whole else rf"\left({written}\right)"
        return f"{_subscripted(matrix)} {read}"

    return _written(trace, _Latex, names, product, _subscripted, lambda name: f"{_subscripted(name)}^{{t}}")


def text(trace: Trace) -> list[str]:
    """The equations as plain text, a string each, such as `z = tanh(W_z x + R_z y' + b_z)`; y' is the last y."""
    names: dict[sympy.Symbol, str] = {state: state.name.replace("_prev", "'") for state in trace.states}

    def product(matrix: str, written: str, whole: bool) -> str:
        return f"{matrix} {written if whole else f'({written})'}"

    return _written(trace, _Text, names, product, str, str)


def formula(trace: Trace) -> str:
    """The parameter count in N and M, such as 4 NM + 4 N^2 + 7 N."""
    counts = Counter("".join(sorted(weight.shape, reverse=True)) for weight in trace.weights)
    letters = {"NM": "NM", "NN": "N^2", "N": "N"}
    terms = [f"{counts[key] if counts[key] > 1 else ''} {shown}" for key, shown in letters.items() if counts[key]]
    return " + ".join(term.strip() for term in terms)


def _subscripted(name: str) -> str:
    """`R_iz` as R_{iz}; long names upright."""
    letter, _, subscript = name.partition("_")
    letter = letter if len(letter) == 1 else rf"\mathrm{{{letter}}}"
    return f"{letter}_{{{subscript}}}" if subscript else letter


def _written(
    trace: Trace, printer: Any, names: dict[sympy.Symbol, str], product: Any, weight_name: Any, new_name: Any
) -> list[str]:
    """Each equation as one line; a map is spelled out where its value is used."""
    ranks: dict[sympy.Symbol, int] = {}
    prints = printer()
    prints.ranks = ranks
    spelled: dict[sympy.Symbol, sympy.Expr] = {}

    def symbol(written: str, rank: int) -> sympy.Symbol:
        made = sympy.Symbol(written, real=True)
        ranks[made] = rank
        return made

    def show(expression: sympy.Expr) -> str:
        shown = expression.xreplace(spelled).xreplace(renamed)
        return prints.doprint(shown)

    def spell(each: Map) -> sympy.Expr:
        terms = [
            symbol(product(matrix.name, show(argument), argument.is_Symbol and argument not in spelled), place)
            for place, (argument, matrix) in enumerate(zip(each.arguments, each.matrices, strict=True))
        ]
        # The bias stands last, behind the peepholes.
        return sympy.Add(*terms, *([symbol(weight_name(each.bias.name), 300)] if each.bias else []))

    known = [sympy.Symbol("x", real=True), *trace.states, *(e.symbol for e in trace.equations)]
    known += [sympy.Symbol(vector.name, real=True) for vector in trace.vectors]
    renamed = {s: symbol(names.get(s, s.name), 200 if s in trace.states else 100) for s in known}
    for each in sorted(trace.maps, key=lambda each: each.stage):  # a map may read another
        spelled[each.symbol] = spell(each)
    lines = [f"{show(each.symbol)} = {show(each.expression)}" for each in trace.equations]
    # A new state under another name than the old one; c_2 is the c of a name that is bound twice.
    for state, output in zip(trace.states, trace.outputs, strict=True):
        name = state.name.removesuffix("_prev")
        if not re.fullmatch(rf"{name}(_\d+)?", output.name):
            lines.append(f"{new_name(name)} = {show(output)}")
    return lines
