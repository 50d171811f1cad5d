"""From a trace to a program for one time step: point-wise lines between products, forward and backward.

Lowering does what every kernel needs, whatever it is written in: each function call gets a line of its own, so that
its derivative can be said in terms of its value; what a product reads gets a name; and for each line the derivative
is taken by SymPy, so that the backward pass is made of lines too.
"""

# SymPy's annotations give Basic for every part of an expression; here these are all Expr or Symbol.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy

from ablate.cell.language import relu_, sigmoid_, softplus_
from ablate.cell.trace import INPUT, Equation, Trace


class above_(sympy.Function):  # noqa: N801
    """1 where the first argument is above the second, else 0: the derivative of what takes an extreme."""

    nargs = 2


# The derivative of each function in terms of its value v and its argument e.
DERIVATIVES: dict[type[sympy.Function], Callable[[sympy.Expr, sympy.Expr], sympy.Expr]] = {
    sympy.tanh: lambda v, e: 1 - v * v,
    sigmoid_: lambda v, e: v * (1 - v),
    sympy.exp: lambda v, e: v,
    sympy.log: lambda v, e: 1 / e,
    relu_: lambda v, e: above_(v, 0),
    softplus_: lambda v, e: sigmoid_(e),
}


class CannotLowerError(Exception):
    """The equations hold something that no kernel is made for; the reference engine runs them."""


@dataclass(frozen=True)
class Product:
    """The part of one map's value that is a matrix times a vector which is known only inside the time loop."""

    map: int  # its place in Trace.maps, and so its columns in the array of map values
    vector: sympy.Symbol  # what is multiplied: a state of the last step, or a line of this one
    stack: str  # the key of the stack that holds the matrix
    place: int  # the matrix's place in it
    stage: int  # the first in which the vector is known


@dataclass(frozen=True)
class Adjoint:
    """`of` += `value`: what a line passes back to one of the symbols that it reads."""

    of: sympy.Symbol
    value: sympy.Expr


@dataclass(frozen=True)
class Line:
    """One point-wise assignment, with what it passes back in terms of `adjoint(symbol)`."""

    symbol: sympy.Symbol
    expression: sympy.Expr
    passes_back: tuple[Adjoint, ...]


@dataclass(frozen=True)
class Stage:
    """Products, then the point-wise lines that needed them."""

    products: tuple[Product, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Program:
    """One time step."""

    trace: Trace
    stages: tuple[Stage, ...]
    kept: tuple[sympy.Symbol, ...]  # lines whose values outlive their stage's loop, states aside


def adjoint(symbol: sympy.Symbol) -> sympy.Symbol:
    """The symbol for the derivative of the loss by `symbol`."""
    return sympy.Symbol(f"d_{symbol.name}", real=True)


def lower(trace: Trace) -> Program:
    """The program of a traced variant.

    Raises:
        CannotLowerError: the equations hold a function without a derivative here.
    """
    lines, vectors = _flat(trace)
    stage_of = _stages(trace, lines)
    products = _products(trace, vectors, stage_of)
    stages = tuple(
        Stage(
            tuple(each for each in products if each.stage == number),
            tuple(_line(each) for each in lines if stage_of[each.symbol] == number),
        )
        for number in range(trace.stages)
    )
    return Program(trace, stages, _kept(trace, stages, vectors))


def _flat(trace: Trace) -> tuple[list[Equation], dict[sympy.Expr, sympy.Symbol]]:
    """The equations with a line for each function call, and for each vector that a product reads."""
    flat: list[Equation] = []
    known: dict[sympy.Expr, sympy.Symbol] = {}

    def name(expression: sympy.Expr) -> sympy.Symbol:
        if expression not in known:
            known[expression] = sympy.Symbol(f"v{len(known)}", real=True)
            flat.append(Equation(known[expression], expression, 0))
        return known[expression]

    def flatten(expression: sympy.Expr, keep_whole: bool) -> sympy.Expr:
        if expression.args and not expression.is_Symbol:
            expression = expression.func(*(flatten(argument, False) for argument in expression.args))
        is_call = isinstance(expression, sympy.Function | sympy.Min | sympy.Max) or (
            isinstance(expression, sympy.Pow) and not expression.exp.is_Integer
        )
        return name(expression) if is_call and not keep_whole else expression

    for equation in trace.equations:
        expression = flatten(equation.expression, True)
        flat.append(Equation(equation.symbol, expression, 0))
        # A later line that repeats the expression reads the name instead.
        known.setdefault(expression, equation.symbol)
    vectors: dict[sympy.Expr, sympy.Symbol] = {}
    maps = {each.symbol for each in trace.maps}
    for each in trace.maps:
        for argument in each.arguments:
            if argument != INPUT and argument not in vectors:
                # What is multiplied is a line's value or a state, which have places of their own.
                known_vector = argument.is_Symbol and argument not in maps
                vectors[argument] = argument if known_vector else name(flatten(argument, True))
    return _in_order(trace, flat), vectors


def _in_order(trace: Trace, lines: list[Equation]) -> list[Equation]:
    """The lines such that each stands behind what it reads, through the maps as well."""
    by_symbol = {line.symbol: line for line in lines}
    maps = {each.symbol: each for each in trace.maps}
    ordered: dict[sympy.Symbol, Equation] = {}

    def visit(expression: sympy.Expr) -> None:
        for symbol in sorted(expression.free_symbols, key=str):
            if symbol in maps:
                for argument in maps[symbol].arguments:
                    visit(argument)
            elif symbol in by_symbol and symbol not in ordered:
                visit(by_symbol[symbol].expression)
                ordered[symbol] = by_symbol[symbol]

    for line in lines:
        visit(line.symbol)
    return list(ordered.values())


def _stages(trace: Trace, lines: list[Equation]) -> dict[sympy.Symbol, int]:
    """The stage of each line: that of the last product that it waits for."""
    stages = {each.symbol: each.stage for each in trace.maps}
    for line in lines:
        stages[line.symbol] = max((stages.get(symbol, 0) for symbol in line.expression.free_symbols), default=0)
    return stages


def _products(
    trace: Trace, vectors: dict[sympy.Expr, sympy.Symbol], stage_of: dict[sympy.Symbol, int]
) -> list[Product]:
    """Each product in the first stage that can take it, so that maps of several stages share one where they can."""
    stacks = {stack.key: stack for stack in trace.stacks}
    return [
        Product(
            map=place,
            vector=vectors[argument],
            stack=str(argument),
            place=stacks[str(argument)].maps.index(place),
            stage=1 + stage_of.get(vectors[argument], -1),
        )
        for place, each in enumerate(trace.maps)
        for argument in each.arguments
        if argument != INPUT
    ]


def _line(equation: Equation) -> Line:
    v, expression = equation.symbol, equation.expression
    d = adjoint(v)
    passed = []
    if isinstance(expression, sympy.Min | sympy.Max):
        passed = list(_extreme(d, expression))
    else:
        kind = type(expression)
        inner, outer = expression, sympy.Integer(1)
        if isinstance(expression, sympy.Pow) and expression.exp == sympy.Rational(1, 2):
            inner, outer = expression.base, 1 / (2 * v)
        elif isinstance(expression, sympy.Function):
            if kind not in DERIVATIVES:
                raise CannotLowerError(f"no derivative is known for {kind.__name__}")
            inner = expression.args[0]
            outer = DERIVATIVES[kind](v, inner)
        passed = [
            Adjoint(symbol, d * outer * sympy.diff(inner, symbol)) for symbol in sorted(inner.free_symbols, key=str)
        ]
    return Line(v, expression, tuple(passed))


def _extreme(d: sympy.Symbol, expression: sympy.Expr) -> list[Adjoint]:
    """Minimum and maximum pass everything back to the argument that they took."""
    if len(expression.args) != 2:
        raise CannotLowerError("a minimum or maximum of more than two vectors; write it in two steps")
    passed = []
    for one, other in (expression.args, expression.args[::-1]):
        taken = above_(one, other) if isinstance(expression, sympy.Max) else above_(other, one)
        passed += [Adjoint(s, d * taken * sympy.diff(one, s)) for s in sorted(one.free_symbols, key=str)]
    return passed


def _kept(trace: Trace, stages: tuple[Stage, ...], vectors: dict[sympy.Expr, sympy.Symbol]) -> tuple[sympy.Symbol, ...]:
    """The lines whose values are read by a product, by another stage's loop, or on the way back."""
    read: set[sympy.Basic] = set(vectors.values())
    for number, stage in enumerate(stages):
        for line in stage.lines:
            for passed in line.passes_back:
                read |= passed.value.free_symbols
            for other in stages[number + 1 :]:
                if any(line.symbol in later.expression.free_symbols for later in other.lines):
                    read.add(line.symbol)
    lines = [line.symbol for stage in stages for line in stage.lines]
    return tuple(symbol for symbol in lines if symbol in read and symbol not in trace.outputs)
