"""How generated source is put together: indented lines, and where each value of a program lies in the arrays."""

# SymPy's annotations give Basic for every part of an expression; here these are all Expr or Symbol.
# pyright: reportArgumentType=false

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import sympy

from ablate.cell.lower import Product, Program, Stage
from ablate.cell.names import identifier, value

CONSTANTS = "%CONSTANTS%"  # stands where constants are named, once all are known


class SourceWriter:
    """Lines of source at a depth of indentation."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0

    def __call__(self, *lines: str) -> None:
        self._lines += ["    " * self._depth + line for line in lines]

    def block(self, line: str) -> SourceWriter:
        """Write a line; what is written in `with` follows it, indented."""
        self(line)
        return self

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1

    def function(self, constants: dict[str, str]) -> str:
        """The source of the function written so far, with its constants by their values."""
        named = [f"    {name} = values.dtype.type({number})" for number, name in constants.items()]
        lines = []
        for line in self._lines:
            lines += named if line.strip() == CONSTANTS else [line]
        return "@kernel\n" + "\n".join(lines)


@dataclass(frozen=True)
class ProductRun:
    """Products side by side in a stack and in the map values, taken as one."""

    vector: sympy.Symbol
    stack: str
    first: int  # map in the stack
    start: int  # map in the values
    count: int

    @property
    def matrix(self) -> str:
        """Its columns in the stack, as source."""
        return f"{self.first} * N : {self.first + self.count} * N"

    @property
    def columns(self) -> str:
        """Its columns in the map values, as source."""
        return f"{self.start} * N : {self.start + self.count} * N"


def product_runs(stage: Stage) -> list[ProductRun]:
    """The stage's products, those that lie side by side joined."""
    runs: list[ProductRun] = []
    products: list[Product] = sorted(stage.products, key=lambda each: (each.stack, each.place))
    for each in products:
        last = runs[-1] if runs else None
        if last and (last.stack, last.first + last.count, last.start + last.count) == (
            each.stack,
            each.place,
            each.map,
        ):
            runs[-1] = replace(last, count=last.count + 1)
        else:
            runs.append(ProductRun(each.vector, each.stack, each.place, each.map, 1))
    return runs


class Layout:
    """Where the values of a program lie in the arrays of its kernel.

    Attributes:
        weights: the keys of the stacks that the kernel takes, in order: matrices of the time loop, then vector weights.
        parameters: the names of these in the source.
    """

    def __init__(self, program: Program) -> None:
        trace = program.trace
        self.states, self.outputs, self.saved = trace.states, trace.outputs, program.saved_for_backward
        self.maps = {each.symbol: place for place, each in enumerate(trace.maps)}
        self.vectors = {value(vector.name): place for place, vector in enumerate(trace.vectors)}
        in_loop = {product.stack for stage in program.stages for product in stage.products}
        matrices = [stack.key for stack in trace.stacks if stack.key in in_loop]
        self._columns = {stack.key: len(stack.weights) for stack in trace.stacks if stack.key in matrices}
        self.weights = [*matrices, *(vector.name for vector in trace.vectors)]
        self.parameters = [
            *(f"matrix_{k}" for k in range(len(matrices))),
            *(f"w_{identifier(vector)}" for vector in self.vectors),
        ]

    def matrix(self, run: ProductRun) -> str:
        """The matrices of a run of products: (N, its columns)."""
        return f"{self.parameters[self.weights.index(run.stack)]}[:, {run.matrix}]"

    def over_batch(self, symbol: sympy.Symbol) -> str:
        """A value at step t for all sequences: (B, N)."""
        if symbol in self.states:
            return f"states[{self.states.index(symbol)}, t]"
        if symbol in self.outputs:
            return f"states[{self.outputs.index(symbol)}, t + 1]"
        return f"saved_for_backward[{self.saved.index(symbol)}, t]"

    def map_row(self, array: str, symbol: sympy.Symbol) -> str:
        """A map's columns in an array of map values, at (t, b)."""
        return f"{array}[t, b, {self.maps[symbol]} * N : {self.maps[symbol] + 1} * N]"

    def element(self, symbol: sympy.Symbol) -> str | None:
        """A value at (t, b, n); None for one that is gone after its loop."""
        if symbol in self.vectors:
            return f"w_{identifier(symbol)}[n]"
        return f"row_{identifier(symbol)}[n]" if self._has_row(symbol) else None

    def write_rows(self, write: SourceWriter, symbols: Iterable[sympy.Symbol]) -> None:
        """Name the rows of the arrays in which the symbols lie."""
        for symbol in sorted(symbols, key=str):
            if symbol in self.maps:
                write(f"row_{identifier(symbol)} = {self.map_row('values', symbol)}")
            elif self._has_row(symbol):
                write(f"row_{identifier(symbol)} = {self.over_batch(symbol)}[b]")

    def write_loads(self, write: SourceWriter, symbols: Iterable[sympy.Symbol]) -> None:
        """Read the symbols' values at (t, b, n)."""
        for symbol in sorted(symbols, key=str):
            write(f"{identifier(symbol)} = {self.element(symbol)}")

    def write_sizes(self, write: SourceWriter) -> None:
        """Name T, B and N."""
        write("T, B, width = values.shape", f"N = width // {len(self.maps)}")

    def write_weights(self, write: SourceWriter) -> None:
        """Name the matrices and vectors of the time loop."""
        for k, (key, name) in enumerate(zip(self.weights, self.parameters, strict=True)):
            if key in self._columns:
                write(f"{name} = matrix_at(weights, {k}, N, {self._columns[key]} * N, values)")
            else:
                write(f"{name} = vector_at(weights, {k}, N, values)")

    def _has_row(self, symbol: sympy.Symbol) -> bool:
        return symbol in self.maps or symbol in (*self.states, *self.outputs, *self.saved)
