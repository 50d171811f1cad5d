"""A trace written out for a reader: as LaTeX and as plain text."""

from __future__ import annotations

from collections import Counter
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from ablate.cell.names import INPUT, value, written
from ablate.cell.trace import AffineMap, Trace


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
    shown = _shown_names(trace)
    names: dict[sympy.Symbol, str] = {INPUT: "x^{t}"}
    for state in trace.states:
        names[state] = f"{_subscripted(written(state))}^{{t-1}}"
    for equation in trace.equations:
        names[equation.symbol] = f"{_subscripted(shown[equation.symbol])}^{{t}}"
    for vector in trace.vectors:
        names[value(vector.name)] = _subscripted(vector.name)

    def product(matrix: str, argument: str, whole: bool) -> str:
        read = argument if whole else rf"\left({argument}\right)"
        return f"{_subscripted(matrix)} {read}"

    return _lines(trace, _Latex, names, product, _subscripted, lambda name: f"{_subscripted(name)}^{{t}}")


def text(trace: Trace) -> list[str]:
    """The equations as plain text, a string each, such as `z = tanh(W_z x + R_z y' + b_z)`; y' is the previous y."""

    def product(matrix: str, argument: str, whole: bool) -> str:
        return f"{matrix} {argument if whole else f'({argument})'}"

    return _lines(trace, _Text, _shown_names(trace), product, str, str)


def formula(trace: Trace) -> str:
    """The parameter count in N and M, such as 4 NM + 4 N^2 + 7 N."""
    counts = Counter("".join(sorted(weight.shape, reverse=True)) for weight in trace.weights)
    letters = {"NM": "NM", "NN": "N^2", "N": "N"}
    terms = [f"{counts[key] if counts[key] > 1 else ''} {shown}" for key, shown in letters.items() if counts[key]]
    return " + ".join(term.strip() for term in terms)


def _shown_names(trace: Trace) -> dict[sympy.Symbol, str]:
    """Each value under a name of its own: c, and c_2 where the name c is bound a second time."""
    shown = {INPUT: str(INPUT)}
    shown |= {state: f"{name}'" for state, name in zip(trace.states, trace.state_names, strict=True)}
    shown |= {value(vector.name): vector.name for vector in trace.vectors}
    taken = {*shown.values(), *(weight.name for weight in trace.weights)}
    symbols = [equation.symbol for equation in trace.equations]
    # A name that is bound once keeps it; what is bound again goes round it.
    for symbol in sorted(symbols, key=lambda symbol: "^" in symbol.name):
        base, _, binding = symbol.name.partition("^")
        name, copy = symbol.name.replace("^", "_"), int(binding or 1)
        while name in taken:
            copy += 1
            name = f"{base}_{copy}"
        shown[symbol] = name
        taken.add(name)
    return shown


def _subscripted(name: str) -> str:
    """`R_iz` as R_{iz}; long names upright."""
    letter, *subscripts = [part for part in name.split("_") if part] or [""]
    letter = letter if len(letter) == 1 else rf"\mathrm{{{letter}}}"
    return f"{letter}_{{{','.join(subscripts)}}}" if subscripts else letter


def _lines(
    trace: Trace, printer: Any, names: dict[sympy.Symbol, str], product: Any, weight_name: Any, new_name: Any
) -> list[str]:
    """Each equation as one line; a map is spelled out where its value is used."""
    ranks: dict[sympy.Symbol, int] = {}
    prints = printer()
    prints.ranks = ranks
    spelled: dict[sympy.Symbol, sympy.Expr] = {}

    def symbol(shown: str, rank: int) -> sympy.Symbol:
        made = sympy.Symbol(shown, real=True)
        ranks[made] = rank
        return made

    def show(expression: sympy.Expr) -> str:
        return prints.doprint(expression.xreplace({**renamed, **spelled}))

    def spell(each: AffineMap) -> sympy.Expr:
        terms = [
            symbol(product(matrix.name, show(argument), argument.is_Symbol and argument not in spelled), place)
            for place, (argument, matrix) in enumerate(zip(each.arguments, each.matrices, strict=True))
        ]
        # The bias stands last, behind the peepholes.
        return sympy.Add(*terms, *([symbol(weight_name(each.bias.name), 300)] if each.bias else []))

    known = [INPUT, *trace.states, *(e.symbol for e in trace.equations)]
    known += [value(vector.name) for vector in trace.vectors]
    renamed = {s: symbol(names[s], 200 if s in trace.states else 100) for s in known}
    for each in sorted(trace.maps, key=lambda each: each.stage):  # a map may read another
        spelled[each.symbol] = spell(each)
    lines = [f"{show(each.symbol)} = {show(each.expression)}" for each in trace.equations]
    # A new state under another name than the previous one.
    for name, output in zip(trace.state_names, trace.outputs, strict=True):
        if written(output) != name:
            lines.append(f"{new_name(name)} = {show(output)}")
    return lines
