"""Write a program down as a Python module that Numba compiles: forward and backward over whole sequences.

The arrays of a kernel, T steps, B sequences, N units, K maps, S states:

    values  (T, B, K N)     each map's value; holds the input's product and the bias when the kernel starts
    states  (S, T+1, B, N)  the state before each step, and after the last
    kept    (lines, T, B, N)  values that the way back reads again
    d_...                   derivatives of the loss, shaped as what they belong to
"""

# SymPy's annotations give Basic for every part of an expression; here these are all Expr or Symbol.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false

from __future__ import annotations

import keyword
from collections.abc import Iterable
from dataclasses import dataclass, replace

import sympy

from ablate.cell.language import relu_, sigmoid_, softplus_
from ablate.cell.lower import Product, Program, Stage, above_, adjoint
from ablate.cell.typeset import text

FUNCTIONS = {
    sympy.tanh: "tanh",
    sigmoid_: "sigmoid",
    sympy.exp: "exp",
    sympy.log: "math.log",
    relu_: "relu",
    softplus_: "softplus",
    sympy.Max: "maximum",
    sympy.Min: "minimum",
}

HELPERS = "exp, kernel, maximum, minimum, relu, sigmoid, softplus, tanh"
PRODUCTS = "multiply_back, multiply_into"

# Names that the module has use for itself; a symbol of the equations that is called so gets an underscore.
RESERVED = {
    *keyword.kwlist,
    *HELPERS.split(", "),
    *PRODUCTS.split(", "),
    "math",
    "np",
    "range",
    "forward",
    "backward",
    "T",
    "B",
    "N",
    "width",
}
RESERVED |= {"t", "b", "n", "a", "values", "states", "kept", "carry", "before", "across"}

_HEAD = '''"""Generated from the equations of {name}; made anew whenever they change.

{equations}
"""

import math

import numpy as np

from ablate.cell.numeric import {helpers}
from ablate.cell.product import {products}

'''


@dataclass(frozen=True)
class _Run:
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


class _Writer:
    """Lines of source at a depth of indentation."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def __call__(self, *lines: str) -> None:
        self.lines += ["    " * self.depth + line if line else "" for line in lines]

    def block(self, line: str) -> _Writer:
        self(line)
        return self

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1


class _Expressions:
    """SymPy expressions as source; each constant becomes a name, so that it takes the arrays' precision."""

    def __init__(self) -> None:
        self.constants: dict[str, str] = {}

    def constant(self, value: sympy.Expr) -> str:
        name = "c_" + str(value).replace(".", "_").replace("/", "_over_").replace("-", "minus_").replace("+", "")
        self.constants[name] = repr(float(value))
        return name

    def __call__(self, expression: sympy.Expr) -> str:
        if expression.is_Symbol:
            return _name(expression)
        if expression.is_number:
            return self.constant(expression)
        if isinstance(expression, sympy.Add):
            return self._sum(expression)
        if isinstance(expression, sympy.Mul | sympy.Pow):
            return self._product(expression)
        arguments = [self(argument) for argument in expression.args]
        if isinstance(expression, above_):
            one, zero = (self.constant(sympy.Integer(value)) for value in (1, 0))
            return f"({one} if {arguments[0]} > {arguments[1]} else {zero})"
        return f"{FUNCTIONS[type(expression)]}({', '.join(arguments)})"

    def _sum(self, expression: sympy.Add) -> str:
        terms = sorted(expression.args, key=lambda term: (term.could_extract_minus_sign(), str(term)))
        said = self(terms[0])
        for term in terms[1:]:
            said += f" - {self(-term)}" if term.could_extract_minus_sign() else f" + {self(term)}"
        return f"({said})"

    def _product(self, expression: sympy.Expr) -> str:
        numerator, denominator = [], []
        for factor in sympy.Mul.make_args(expression):
            base, power = factor.as_base_exp()
            if power == sympy.Rational(1, 2):
                numerator.append(f"math.sqrt({self(base)})")
            elif power.is_Integer:
                (numerator if power > 0 else denominator).extend([self(base)] * abs(int(power)))
            else:
                numerator.append(self(factor))
        above = " * ".join(numerator) or self.constant(sympy.Integer(1))
        return f"({above} / ({' * '.join(denominator)}))" if denominator else f"({above})"


def emit(program: Program, name: str) -> str:
    """The module's source: `forward` and `backward`."""
    equations = "\n".join(f"    {line}" for line in text(program.trace))
    return (
        _HEAD.format(name=name, equations=equations, helpers=HELPERS, products=PRODUCTS)
        + _forward(program)
        + "\n\n"
        + _backward(program)
        + "\n"
    )


def weight_arguments(program: Program) -> list[str]:
    """The keys of the stacks that a kernel takes, in order: matrices of the time loop, then vector weights."""
    loop = {product.stack for stage in program.stages for product in stage.products}
    trace = program.trace
    return [stack.key for stack in trace.stacks if stack.key in loop] + [vector.name for vector in trace.vectors]


def _parameters(program: Program) -> list[str]:
    keys = weight_arguments(program)
    matrices = len(keys) - len(program.trace.vectors)
    return [*(f"R{k}" for k in range(matrices)), *(f"w_{key}" for key in keys[matrices:])]


def _matrix(program: Program, key: str) -> str:
    return f"R{weight_arguments(program).index(key)}"


def _forward(program: Program) -> str:
    write, code = _Writer(), _Expressions()
    with write.block(f"def forward({', '.join(['values', 'states', 'kept', *_parameters(program)])}):"):
        _sizes(write, program)
        write("%CONSTANTS%")
        with write.block("for t in range(T):"):
            for stage in program.stages:
                for run in _runs(program, stage):
                    _multiply(write, program, run)
                with write.block("for b in range(B):"):
                    read = _free(line.expression for line in stage.lines) - {line.symbol for line in stage.lines}
                    _rows(write, program, read | {line.symbol for line in stage.lines})
                    with write.block("for n in range(N):"):
                        _loads(write, program, read)
                        for line in stage.lines:
                            write(f"{_name(line.symbol)} = {code(line.expression)}")
                        for line in stage.lines:
                            if place := _place(program, line.symbol):
                                write(f"{place} = {_name(line.symbol)}")
    return _finish(write, code)


def _backward(program: Program) -> str:
    write, code = _Writer(), _Expressions()
    parameters = ["d_values", "d_vectors", "carry", "d_outputs", "values", "states", "kept", *_parameters(program)]
    crossing = _crossing(program)
    written: set[sympy.Symbol] = set()
    with write.block(f"def backward({', '.join(parameters)}):"):
        _sizes(write, program)
        write("%CONSTANTS%", "before = np.zeros_like(carry)")
        if crossing:
            write(f"across = np.zeros(({len(crossing)}, B, N), values.dtype)")
        with write.block("for t in range(T - 1, -1, -1):"):
            write("before[:] = 0")
            if crossing:
                write("across[:] = 0")
            for stage in reversed(program.stages):
                with write.block("for b in range(B):"):
                    _way_back(write, code, program, stage, crossing, written)
                for run in _runs(program, stage):
                    _multiply_back(write, program, run, crossing)
            write("carry, before = before, carry")
        write("return carry")
    return _finish(write, code)


def _way_back(
    write: _Writer,
    code: _Expressions,
    program: Program,
    stage: Stage,
    crossing: list[sympy.Symbol],
    written: set[sympy.Symbol],
) -> None:
    """One stage's lines from the last to the first, each passing back to what it read."""
    trace = program.trace
    own = [line.symbol for line in stage.lines]
    maps = {each.symbol: place for place, each in enumerate(trace.maps)}
    targets = {passed.of for line in stage.lines for passed in line.passes_back}
    d_own = {adjoint(symbol) for symbol in own}
    read = _free(passed.value for line in stage.lines for passed in line.passes_back) - d_own
    _rows(write, program, read)
    for symbol in sorted(targets & set(maps), key=str):
        write(f"row_{adjoint(symbol)} = d_values[t, b, {maps[symbol]} * N : {maps[symbol] + 1} * N]")
    with write.block("for n in range(N):"):
        _loads(write, program, read)
        started: set[sympy.Symbol] = set()
        for symbol in own:
            sources = []
            if symbol in trace.outputs:
                place = trace.outputs.index(symbol)
                sources.append(f"carry[{place}, b, n]")
                if place == 0:
                    sources.append("d_outputs[t, b, n]")
            if symbol in crossing:
                sources.append(f"across[{crossing.index(symbol)}, b, n]")
            if sources:
                write(f"{adjoint(symbol)} = {' + '.join(sources)}")
                started.add(symbol)
        for line in reversed(stage.lines):
            for passed in line.passes_back:
                sign = "+=" if passed.of in started else "="
                write(f"{adjoint(passed.of)} {sign} {code(passed.value)}")
                started.add(passed.of)
        for symbol in sorted(targets - set(own), key=str):
            d = adjoint(symbol)
            if symbol in maps:
                sign = "+=" if symbol in written else "="
                write(f"row_{d}[n] {sign} {d}")
                written.add(symbol)
            elif symbol in trace.states:
                write(f"before[{trace.states.index(symbol)}, b, n] += {d}")
            elif symbol in crossing:
                write(f"across[{crossing.index(symbol)}, b, n] += {d}")
            else:
                place = [vector.name for vector in trace.vectors].index(symbol.name)
                write(f"d_vectors[{place}, n] += {d}")


def _crossing(program: Program) -> list[sympy.Symbol]:
    """Lines that a product or a later stage reads: their derivatives come from outside their own loop."""
    lines = {line.symbol: number for number, stage in enumerate(program.stages) for line in stage.lines}
    found = [p.vector for stage in program.stages for p in stage.products if p.vector in lines]
    for number, stage in enumerate(program.stages):
        for line in stage.lines:
            found += [a.of for a in line.passes_back if a.of in lines and lines[a.of] != number]
    return list(dict.fromkeys(found))


def _runs(program: Program, stage: Stage) -> list[_Run]:
    """The stage's products, those that lie side by side joined."""
    runs: list[_Run] = []
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
            runs.append(_Run(each.vector, each.stack, each.place, each.map, 1))
    return runs


def _multiply(write: _Writer, program: Program, run: _Run) -> None:
    matrix = f"{_matrix(program, run.stack)}[:, {run.matrix}]"
    write(f"multiply_into(values[t, :, {run.columns}], {_vectors(program, run.vector)}, {matrix})")


def _multiply_back(write: _Writer, program: Program, run: _Run, crossing: list[sympy.Symbol]) -> None:
    matrix = f"{_matrix(program, run.stack)}[:, {run.matrix}]"
    if run.vector in crossing:
        target = f"across[{crossing.index(run.vector)}]"
    else:
        target = f"before[{program.trace.states.index(run.vector)}]"
    write(f"multiply_back({target}, d_values[t, :, {run.columns}], {matrix})")


def _vectors(program: Program, symbol: sympy.Symbol) -> str:
    """What a product reads, for all sequences: (B, N)."""
    trace = program.trace
    if symbol in trace.states:
        return f"states[{trace.states.index(symbol)}, t]"
    if symbol in trace.outputs:
        return f"states[{trace.outputs.index(symbol)}, t + 1]"
    return f"kept[{program.kept.index(symbol)}, t]"


def _place(program: Program, symbol: sympy.Symbol) -> str | None:
    """Where the value of a symbol lies at (t, b, n); None for one that is gone after its loop."""
    trace = program.trace
    maps = [each.symbol for each in trace.maps]
    if symbol in (*maps, *trace.states, *trace.outputs, *program.kept):
        return f"row_{symbol}[n]"
    if symbol.name in {vector.name for vector in trace.vectors}:
        return f"w_{symbol}[n]"
    return None


def _rows(write: _Writer, program: Program, symbols: set[sympy.Symbol]) -> None:
    """Name the rows of the arrays in which the symbols lie."""
    maps = [each.symbol for each in program.trace.maps]
    for symbol in sorted(symbols, key=str):
        if symbol in maps:
            place = maps.index(symbol)
            write(f"row_{symbol} = values[t, b, {place} * N : {place + 1} * N]")
        elif (_place(program, symbol) or "").startswith("row_"):
            write(f"row_{symbol} = {_vectors(program, symbol)}[b]")


def _loads(write: _Writer, program: Program, symbols: set[sympy.Symbol]) -> None:
    for symbol in sorted(symbols, key=str):
        write(f"{_name(symbol)} = {_place(program, symbol)}")


def _name(symbol: sympy.Symbol | sympy.Expr) -> str:
    return f"{symbol}_" if str(symbol) in RESERVED else str(symbol)


def _free(expressions: Iterable[sympy.Expr]) -> set[sympy.Symbol]:
    return {symbol for expression in expressions for symbol in expression.free_symbols}  # type: ignore[misc]


def _sizes(write: _Writer, program: Program) -> None:
    write("T, B, width = values.shape", f"N = width // {len(program.trace.maps)}")


def _finish(write: _Writer, code: _Expressions) -> str:
    indent = "    "
    constants = [f"{indent}{name} = values.dtype.type({value})" for name, value in sorted(code.constants.items())]
    lines = []
    for line in write.lines:
        lines += constants if line.strip() == "%CONSTANTS%" else [line]
    return "@kernel\n" + "\n".join(lines)
