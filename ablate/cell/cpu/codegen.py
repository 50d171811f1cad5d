"""Generate a program's kernel: a Python module for Numba, with forward and backward over whole sequences.

The arrays of a kernel, T steps, B sequences, N units, K maps, S states:

    values              (T, B, K N)       each map's value; holds the input's product and the bias at the start
    states              (S, T+1, B, N)    the state before each step, and after the last
    saved_for_backward  (lines, T, B, N)  values that the backward pass or a later stage reads again
    d_...               adjoints (derivatives of the loss), shaped as what they belong to
    weights             the addresses of the stacks that the time loop reads, in the order of `weight_arguments`

All kernels take the same arguments, so that code compiled once can call any of them.

No name of the module's own starts like those that `names.identifier` makes of the equations' names.
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy

from ablate.cell.cpu.expressions import Expressions
from ablate.cell.cpu.source import CONSTANTS, Layout, SourceWriter, product_runs
from ablate.cell.lower import Program, Stage
from ablate.cell.names import adjoint, identifier
from ablate.cell.typeset import text

_HEAD = '''"""Generated from the equations of {name}; made anew whenever they change.

{equations}
"""

import math

import numpy as np

from ablate.cell.cpu.primitives import exp, kernel, maximum, minimum, relu, sigmoid, softplus, tanh
from ablate.cell.cpu.primitives import matrix_at, vector_at
from ablate.cell.cpu.products import multiply_back, multiply_into

'''

FORWARD_ARGUMENTS = ("values", "states", "saved_for_backward", "weights")
BACKWARD_ARGUMENTS = ("d_values", "d_vectors", "d_state", "d_outputs", *FORWARD_ARGUMENTS)


def generate(program: Program, name: str) -> str:
    """The module's source: the functions `forward` and `backward`.

    Raises:
        CannotLowerError: an equation holds a constant that is not a real number.
    """
    equations = "\n".join(f"    {line}" for line in text(program.trace))
    title = name.encode("unicode_escape").decode().replace('"', "'")
    head = _HEAD.format(name=title, equations=equations)
    return f"{head}{_forward(program)}\n\n{_backward(program)}\n"


def weight_arguments(program: Program) -> list[str]:
    """The keys of the stacks that a kernel takes, in order: matrices of the time loop, then vector weights."""
    return Layout(program).weights


def _forward(program: Program) -> str:
    write, code, layout = SourceWriter(), Expressions(), Layout(program)
    with write.block(f"def forward({', '.join(FORWARD_ARGUMENTS)}):"):
        layout.write_sizes(write)
        layout.write_weights(write)
        write(CONSTANTS)
        with write.block("for t in range(T):"):
            for stage in program.stages:
                for run in product_runs(stage):
                    vectors = layout.over_batch(run.vector)
                    write(f"multiply_into(values[t, :, {run.columns}], {vectors}, {layout.matrix(run)})")
                with write.block("for b in range(B):"):
                    own = {each.symbol for each in stage.assignments}
                    read = _free(each.expression for each in stage.assignments) - own
                    layout.write_rows(write, read | own)
                    with write.block("for n in range(N):"):
                        layout.write_loads(write, read)
                        for each in stage.assignments:
                            write(f"{identifier(each.symbol)} = {code(each.expression)}")
                        for each in stage.assignments:
                            if element := layout.element(each.symbol):
                                write(f"{element} = {identifier(each.symbol)}")
                        if not stage.assignments:
                            write("pass")
    return write.function(code.constants)


def _backward(program: Program) -> str:
    writer = _BackwardWriter(program)
    return writer.function()


class _BackwardWriter:
    """Writes the function `backward`, stage by stage from the last to the first."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.write, self.code, self.layout = SourceWriter(), Expressions(), Layout(program)
        self.cross_stage = _cross_stage(program)
        self.written: set[sympy.Symbol] = set()  # maps whose adjoints a later stage has written

    def function(self) -> str:
        write, layout, program = self.write, self.layout, self.program
        with write.block(f"def backward({', '.join(BACKWARD_ARGUMENTS)}):"):
            layout.write_sizes(write)
            layout.write_weights(write)
            write(CONSTANTS, "d_previous = np.zeros_like(d_state)")
            if self.cross_stage:
                write(f"d_cross_stage = np.zeros(({len(self.cross_stage)}, B, N), values.dtype)")
            for symbol in self._unread_maps():
                place = layout.maps[symbol]
                write(f"d_values[:, :, {place} * N : {place + 1} * N] = 0")
            with write.block("for t in range(T - 1, -1, -1):"):
                write("d_previous[:] = 0")
                if self.cross_stage:
                    write("d_cross_stage[:] = 0")
                for stage in reversed(program.stages):
                    with write.block("for b in range(B):"):
                        self._stage(stage)
                    for run in product_runs(stage):
                        target = (
                            f"d_cross_stage[{self.cross_stage.index(run.vector)}]"
                            if run.vector in self.cross_stage
                            else f"d_previous[{layout.states.index(run.vector)}]"
                        )
                        write(f"multiply_back({target}, d_values[t, :, {run.columns}], {layout.matrix(run)})")
                write("d_state, d_previous = d_previous, d_state")
            write("return d_state")
        return write.function(self.code.constants)

    def _stage(self, stage: Stage) -> None:
        """One stage's assignments from the last to the first, each updating the adjoints of what it read."""
        write, layout = self.write, self.layout
        own = [each.symbol for each in stage.assignments]
        updates = [update for each in stage.assignments for update in each.updates]
        targets = {update.of for update in updates}
        read = _free(update.value for update in updates) - {adjoint(symbol) for symbol in own}
        layout.write_rows(write, read)
        for symbol in sorted(targets & set(layout.maps), key=str):
            write(f"row_{identifier(adjoint(symbol))} = {layout.map_row('d_values', symbol)}")
        with write.block("for n in range(N):"):
            layout.write_loads(write, read)
            started = self._arriving(own)
            for each in reversed(stage.assignments):
                for update in each.updates:
                    operator = "+=" if update.of in started else "="
                    write(f"{identifier(adjoint(update.of))} {operator} {self.code(update.value)}")
                    started.add(update.of)
            for symbol in sorted(targets - set(own), key=str):
                self._pass_on(symbol)
            if not started:
                write("pass")

    def _arriving(self, own: list[sympy.Symbol]) -> set[sympy.Symbol]:
        """Read what arrives at a stage's own values from outside its loop; the symbols for which something does."""
        started: set[sympy.Symbol] = set()
        for symbol in own:
            sources = []
            if symbol in self.layout.outputs:
                place = self.layout.outputs.index(symbol)
                sources.append(f"d_state[{place}, b, n]")
                if place == 0:
                    sources.append("d_outputs[t, b, n]")
            if symbol in self.cross_stage:
                sources.append(f"d_cross_stage[{self.cross_stage.index(symbol)}, b, n]")
            if sources:
                self.write(f"{identifier(adjoint(symbol))} = {' + '.join(sources)}")
                started.add(symbol)
        return started

    def _pass_on(self, symbol: sympy.Symbol) -> None:
        """Hand the adjoint of something from outside the stage to where it belongs."""
        write, layout, d = self.write, self.layout, identifier(adjoint(symbol))
        if symbol in layout.maps:
            write(f"row_{d}[n] {'+=' if symbol in self.written else '='} {d}")
            self.written.add(symbol)
        elif symbol in layout.states:
            write(f"d_previous[{layout.states.index(symbol)}, b, n] += {d}")
        elif symbol in self.cross_stage:
            write(f"d_cross_stage[{self.cross_stage.index(symbol)}, b, n] += {d}")
        else:
            write(f"d_vectors[{layout.vectors[symbol]}, n] += {d}")

    def _unread_maps(self) -> list[sympy.Symbol]:
        """Maps whose values cancelled: their adjoints are zero."""
        assignments = [each for stage in self.program.stages for each in stage.assignments]
        read = {update.of for each in assignments for update in each.updates}
        return [symbol for symbol in self.layout.maps if symbol not in read]


def _cross_stage(program: Program) -> list[sympy.Symbol]:
    """Values that a product or a later stage reads: part of their adjoints comes from outside their own loop."""
    stage_of = {each.symbol: number for number, stage in enumerate(program.stages) for each in stage.assignments}
    found = [p.vector for stage in program.stages for p in stage.products if p.vector in stage_of]
    for number, stage in enumerate(program.stages):
        for each in stage.assignments:
            found += [update.of for update in each.updates if stage_of.get(update.of, number) != number]
    return list(dict.fromkeys(found))


def _free(expressions: Iterable[sympy.Expr]) -> set[sympy.Symbol]:
    return {symbol for expression in expressions for symbol in expression.free_symbols}  # type: ignore[misc]
