"""From a trace to a program for one time step: point-wise assignments between products, forward and backward.

Lowering does what every kernel needs, whatever it is written in: each function call gets an assignment of its own, so
that its derivative can be written in terms of its value; what a product reads gets a name; and for each assignment
SymPy takes the derivative, so that the backward pass is made of assignments too.
"""

# SymPy's annotations give Basic for every part of an expression; here these are all Expr or Symbol.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from ablate.cell.derivatives import AdjointUpdate, adjoint_updates
from ablate.cell.names import INPUT, temporary
from ablate.cell.trace import Equation, Trace


@dataclass(frozen=True)
class Product:
    """The part of one map's value that is a matrix times a vector which is known only inside the time loop."""

    map: int  # its place in Trace.maps, and so its columns in the array of map values
    vector: sympy.Symbol  # what is multiplied: a previous state, or a value of this step
    stack: str  # the key of the stack that holds the matrix
    place: int  # the matrix's place in it
    stage: int  # the first in which the vector is known


@dataclass(frozen=True)
class Assignment:
    """One point-wise assignment, with what it adds to the adjoints of what it reads."""

    symbol: sympy.Symbol
    expression: sympy.Expr
    updates: tuple[AdjointUpdate, ...]


@dataclass(frozen=True)
class Stage:
    """Products, then the point-wise assignments that needed them."""

    products: tuple[Product, ...]
    assignments: tuple[Assignment, ...]


@dataclass(frozen=True)
class Program:
    """One time step."""

    trace: Trace
    stages: tuple[Stage, ...]
    saved_for_backward: tuple[sympy.Symbol, ...]  # values that outlive their stage's loop, states aside


def lower(trace: Trace) -> Program:
    """The program of a traced variant.

    Raises:
        CannotLowerError: the equations hold a function without a derivative here.
    """
    flat = _Flattener(trace)
    assignments = _in_order(trace, flat)
    stage_of = _stages(trace, assignments)
    products = _products(trace, flat.vectors, stage_of)
    stages = tuple(
        Stage(
            tuple(each for each in products if each.stage == number),
            tuple(
                Assignment(each.symbol, each.expression, adjoint_updates(each.symbol, each.expression))
                for each in assignments
                if stage_of[each.symbol] == number
            ),
        )
        for number in range(trace.stages)
    )
    return Program(trace, stages, _saved_for_backward(trace, stages, set(flat.vectors.values())))


class _Flattener:
    """The equations with an assignment for each function call, and for each vector that a product reads.

    Attributes:
        assignments: in the order of the equations.
        vectors: the symbol of each argument of a map, x aside.
    """

    def __init__(self, trace: Trace) -> None:
        self.assignments: list[Equation] = []
        self.vectors: dict[sympy.Expr, sympy.Symbol] = {}
        self._known: dict[sympy.Expr, sympy.Symbol] = {}
        for equation in trace.equations:
            expression = self._flatten(equation.expression, True)
            self.assignments.append(Equation(equation.symbol, expression, 0))
            # A later assignment that repeats the expression reads the name instead.
            self._known.setdefault(expression, equation.symbol)
        # What is multiplied is a previous state or a value of this step: these have places of their own.
        placed = {*trace.states, *(equation.symbol for equation in trace.equations)}
        for each in trace.maps:
            for argument in each.arguments:
                if argument != INPUT and argument not in self.vectors:
                    known = argument in placed
                    self.vectors[argument] = argument if known else self._name(self._flatten(argument, True))

    def _name(self, expression: sympy.Expr) -> sympy.Symbol:
        if expression not in self._known:
            self._known[expression] = temporary(len(self._known))
            self.assignments.append(Equation(self._known[expression], expression, 0))
        return self._known[expression]

    def _flatten(self, expression: sympy.Expr, keep_whole: bool) -> sympy.Expr:
        """The expression with a name in place of each function call; `keep_whole` leaves the outermost call."""
        if expression.args and not expression.is_Symbol:
            expression = expression.func(*(self._flatten(argument, False) for argument in expression.args))
        if isinstance(expression, sympy.Pow) and not expression.exp.is_Integer and expression.free_symbols:
            if expression.exp != sympy.Rational(1, 2):
                return self._flatten(self._power(*expression.args), keep_whole)
            is_call = True
        elif isinstance(expression, sympy.Min | sympy.Max):
            if len(expression.args) > 2:
                first, *others = expression.args
                for other in others:
                    first = self._name(expression.func(first, other))
                return first  # type: ignore[return-value]
            is_call = True
        else:
            is_call = isinstance(expression, sympy.Function) and bool(expression.free_symbols)
        return self._name(expression) if is_call and not keep_whole else expression

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        """A power that is neither whole nor a square root: of roots where it can be, else by the logarithm."""
        denominator = exponent.q if isinstance(exponent, sympy.Rational) else 0
        if denominator and denominator & (denominator - 1) == 0:
            return self._name(sympy.Pow(base, sympy.Rational(1, 2), evaluate=False)) ** (2 * exponent)
        return sympy.exp(exponent * self._name(sympy.log(base, evaluate=False)))


def _in_order(trace: Trace, flat: _Flattener) -> list[Equation]:
    """The assignments that the new state and the products need, each behind what it reads, through the maps as well.

    Not all may be needed: values may cancel once an expression reads names.
    """
    by_symbol = {each.symbol: each for each in flat.assignments}
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

    for each in flat.assignments:
        visit(each.symbol)
    needed = {*trace.outputs, *flat.vectors.values()}
    waiting: list[Any] = list(needed)
    while waiting:
        each = by_symbol.get(waiting.pop())
        new = each.expression.free_symbols - needed if each else set()
        needed |= new
        waiting += new
    return [each for symbol, each in ordered.items() if symbol in needed]


def _stages(trace: Trace, assignments: list[Equation]) -> dict[sympy.Symbol, int]:
    """The stage of each assignment: that of the last product that it waits for."""
    stages = {each.symbol: each.stage for each in trace.maps}
    for each in assignments:
        stages[each.symbol] = max((stages.get(symbol, 0) for symbol in each.expression.free_symbols), default=0)
    return stages


def _products(
    trace: Trace, vectors: dict[sympy.Expr, sympy.Symbol], stage_of: dict[sympy.Symbol, int]
) -> list[Product]:
    """Each product in the first stage that can take it, so that maps of several stages share one where they can."""
    return [
        Product(
            map=place,
            vector=vectors[argument],
            stack=trace.stack_of[argument].key,
            place=trace.stack_of[argument].maps.index(place),
            stage=1 + stage_of.get(vectors[argument], -1),
        )
        for place, each in enumerate(trace.maps)
        for argument in each.arguments
        if argument != INPUT
    ]


def _saved_for_backward(
    trace: Trace, stages: tuple[Stage, ...], read_by_products: set[sympy.Symbol]
) -> tuple[sympy.Symbol, ...]:
    """The assignments whose values are read by a product, by another stage's loop, or in the backward pass."""
    read: set[sympy.Basic] = set(read_by_products)
    for number, stage in enumerate(stages):
        for each in stage.assignments:
            for update in each.updates:
                read |= update.value.free_symbols
            for other in stages[number + 1 :]:
                if any(each.symbol in later.expression.free_symbols for later in other.assignments):
                    read.add(each.symbol)
    symbols = [each.symbol for stage in stages for each in stage.assignments]
    return tuple(symbol for symbol in symbols if symbol in read and symbol not in trace.outputs)
