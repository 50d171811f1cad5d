"""Run a variant's equations once on symbols."""

from __future__ import annotations

import builtins
import difflib
import inspect
import opcode
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import sympy

from ablate.cell import language
from ablate.cell.names import INPUT
from ablate.cell.recorder import Recorder, Weights
from ablate.cell.trace import Trace
from ablate.cell.vector import ELEMENTWISE, EquationError, Vector
from ablate.errors import UserError


def trace(function: Callable[..., Any], variant: str) -> Trace:
    """Trace `function(x, *state, w)`, which returns the new state.

    Raises:
        UserError: the equations are wrong; the message names the variant, the file and the line.
    """
    try:
        return _trace(function)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"variant {variant!r}, {_place(function, error)}: {_explain(error)}") from error


def _trace(function: Callable[..., Any]) -> Trace:
    arguments = list(inspect.signature(function).parameters)
    if len(arguments) < 3 or arguments[0] != "x" or arguments[-1] != "w":
        raise EquationError(f"the arguments are ({', '.join(arguments)}); they must be x, the state, and w last")
    states = tuple(arguments[1:-1])
    recorder = Recorder(states)
    previous = [Vector(symbol, "N", named=True) for symbol in recorder.state_symbols.values()]
    returned = _run_naming_locals(
        function, [Vector(INPUT, "M", named=True), *previous, Weights(recorder)], recorder.bind
    )
    if returned is None:
        raise EquationError(f"nothing is returned; return the new {', '.join(states)}")
    returned = returned if isinstance(returned, tuple) else (returned,)
    if len(returned) != len(states):
        raise EquationError(f"{len(returned)} of {len(states)} states returned; return the new {', '.join(states)}")
    outputs = []
    for state, vector in zip(states, returned, strict=True):
        if not isinstance(vector, Vector) or vector.size != "N":
            raise EquationError(f"the new {state} is {vector!r}, which is not a vector of the cell's N units")
        # A new state gets an equation of its own even where it repeats another, so that each has one name.
        if not any(equation.symbol == vector.expression for equation in recorder.equations) or any(
            vector.expression == other for other in outputs
        ):
            vector = Vector(vector.expression, "N")
            recorder.bind(recorder.state_names[state], vector)
        outputs.append(vector.expression)
    return recorder.trace(tuple(outputs))


# Code that no equation stands in: the language's own, and what it computes with.
_SKIPPED = tuple(str(Path(file).parent) for file in (__file__, sympy.__file__))
_ASSIGNMENTS = {number for name, number in opcode.opmap.items() if name.startswith("STORE_")}


def _run_naming_locals(function: Callable[..., Any], arguments: list[Any], bind: Callable[[str, Vector], None]) -> Any:
    """Call the function; each time a local name is bound to a new vector, write that equation down.

    Python's own trace hook sees the names, so that the equations need no other form than plain Python. Functions
    that the equations call are watched too, which keeps their names for a cell that is composed of parts.
    """

    def watch(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename.startswith(_SKIPPED):
            return None
        # What a function is given has its name, if any, where it came from. The values are held, not only their
        # ids: Python gives the id of a value that is gone to a new one.
        given = {id(value): value for value in frame.f_locals.values()}
        instructions, stored = frame.f_code.co_code, False

        def name_locals(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal stored
            if event == "opcode":  # comes before each instruction; only an assignment changes the locals
                stored, was_stored = instructions[frame.f_lasti] in _ASSIGNMENTS, stored
                if not was_stored:
                    return name_locals
            for name, value in frame.f_locals.items():
                if isinstance(value, Vector) and not value.named and id(value) not in given:
                    bind(name, value)
            return name_locals

        frame.f_trace_opcodes = True  # after each assignment, also where several stand on a line
        return name_locals

    outer = sys.gettrace()
    sys.settrace(watch)
    try:
        return function(*arguments)
    finally:
        sys.settrace(outer)


def _place(function: Callable[..., Any], error: Exception) -> str:
    """File and line of the equations where the error arose."""
    code = function.__code__
    path = Path(code.co_filename)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == code.co_filename]
    inside = [line for line in lines if line and line >= code.co_firstlineno]
    return f"{path.parent.name}/{path.name}, line {inside[-1] if inside else code.co_firstlineno}"


def _explain(error: Exception) -> str:
    known = [name for name, each in vars(language).items() if isinstance(each, language.Primitive)]
    if isinstance(error, NameError) and error.name and not hasattr(builtins, error.name):
        near = difflib.get_close_matches(error.name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        more = "" if near else f"; {ELEMENTWISE}"
        return f"unknown function or name {error.name!r}; {hint}known functions: {', '.join(known)}{more}"
    if isinstance(error, EquationError):
        return str(error)
    text = " ".join(str(error).split())
    if "__array_ufunc__" in text:
        text = "a function of NumPy is given a Vector"
    more = f"; {ELEMENTWISE}" if "Vector" in text else ""  # what was asked of one
    return (
        f"{text:.200} ({type(error).__name__}); equations are made of + - * / ** and the functions of "
        f"ablate.cell.language: {', '.join(known)}{more}"
    )
