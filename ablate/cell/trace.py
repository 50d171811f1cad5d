"""Run a variant's equations once on symbols, and keep what they say.

The trace is all that the rest of the project knows of a cell: its weights with their shapes, its stages, its
parameter count, its LaTeX and (from the same expressions) its kernels.
"""

from __future__ import annotations

import builtins
import difflib
import inspect
import math
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import sympy

from ablate.cell import language
from ablate.cell.vector import EquationError, Vector
from ablate.errors import UserError

INPUT = sympy.Symbol("x", real=True)
INPUT_KEY = str(INPUT)  # the key of the stack that the input is multiplied by


@dataclass(frozen=True)
class Weight:
    """One weight: a matrix of a map, its bias, or a vector (a peephole)."""

    name: str
    shape: tuple[str, ...]  # in the letters N (units) and M (inputs)

    def sized(self, M: int, N: int) -> tuple[int, ...]:
        """The shape in numbers."""
        return tuple({"M": M, "N": N}[letter] for letter in self.shape)


@dataclass(frozen=True)
class Map:
    """An affine map, such as W_z x + R_z y + b_z; `symbol` stands for its value in the equations."""

    name: str
    arguments: tuple[sympy.Expr, ...]  # what it reads
    matrices: tuple[Weight, ...]  # one for each argument
    bias: Weight | None
    stage: int  # 0 if it can be computed from x and the last state alone
    symbol: sympy.Symbol


@dataclass(frozen=True)
class Equation:
    """One line of the point-wise work: a name and what it stands for."""

    symbol: sympy.Symbol
    expression: sympy.Expr
    stage: int  # the last matrix products that it waits for


@dataclass(frozen=True)
class Stack:
    """The weights of several maps that read the same vector, kept side by side in one array and multiplied at once.

    The array of k matrices is (what they read, k, N), each matrix transposed, so that one row holds all that one
    number of the vector is multiplied by; the array of k biases is (k, N), that of a vector weight (1, N).
    """

    key: str  # the vector, written out; "bias" for the biases; the name of a vector weight
    weights: tuple[Weight, ...]
    maps: tuple[int, ...]  # the maps, by their place in `Trace.maps`; empty for a vector weight

    def sized(self, M: int, N: int) -> tuple[int, ...]:
        """The shape of the array in numbers."""
        units, *reads = self.weights[0].sized(M, N)
        return (*reads, len(self.weights), units)

    def weight(self, array: Any, k: int) -> Any:
        """The k-th weight in the shape that it has in the equations: a view of the array."""
        return array[:, k].T if len(self.weights[0].shape) == 2 else array[k]


@dataclass(frozen=True)
class Trace:
    """What a variant's equations say."""

    states: tuple[sympy.Symbol, ...]  # the state of the last step, in the order of the arguments
    maps: tuple[Map, ...]  # first those that read x alone, then x and more, then no x
    vectors: tuple[Weight, ...]  # vector weights: peepholes
    equations: tuple[Equation, ...]  # in the order of computation
    outputs: tuple[sympy.Symbol, ...]  # the new state, in the order of the arguments; the first is the output

    @property
    def stages(self) -> int:
        """Rounds of matrix products that wait for one another."""
        return 1 + max((m.stage for m in self.maps), default=0)

    @cached_property
    def stacks(self) -> tuple[Stack, ...]:
        """The weights in the order in which they are stored, those that share a product side by side."""
        readers: dict[sympy.Expr, list[tuple[int, Weight]]] = {}
        for place, each in enumerate(self.maps):
            for argument, matrix in zip(each.arguments, each.matrices, strict=True):
                readers.setdefault(argument, []).append((place, matrix))
        # x first: its product is taken over all steps at once.
        order = sorted(readers, key=lambda argument: argument != INPUT)
        stacks = [
            Stack(str(argument), tuple(w for _, w in readers[argument]), tuple(k for k, _ in readers[argument]))
            for argument in order
        ]
        biased = [(place, each.bias) for place, each in enumerate(self.maps) if each.bias]
        if biased:
            stacks.append(Stack("bias", tuple(w for _, w in biased), tuple(k for k, _ in biased)))
        return (*stacks, *(Stack(vector.name, (vector,), ()) for vector in self.vectors))

    @property
    def weights(self) -> tuple[Weight, ...]:
        """Every weight, in the order in which they are stored."""
        return tuple(weight for stack in self.stacks for weight in stack.weights)

    def parameters(self, M: int, N: int) -> int:
        """How many numbers the weights of one layer hold."""
        return sum(math.prod(weight.sized(M, N)) for weight in self.weights)

    def operations(self, M: int, N: int) -> tuple[int, int]:
        """What one step of one sequence takes: operations in matrix products, and point-wise ones.

        A multiplication, an addition and a function count as one each.
        """
        matrices = [matrix for each in self.maps for matrix in each.matrices]
        sums = sum(len(each.arguments) - 1 + (each.bias is not None) for each in self.maps)
        pointwise = sum(int(sympy.count_ops(equation.expression)) for equation in self.equations)
        return 2 * sum(math.prod(matrix.sized(M, N)) for matrix in matrices), N * (sums + pointwise)


class _Weights:
    """The argument `w`: a weight exists because it is named."""

    def __init__(self, recorder: _Recorder) -> None:
        self._recorder = recorder

    def __getattr__(self, name: str) -> _WeightName:
        if name.startswith("__"):
            raise AttributeError(name)
        return _WeightName(self._recorder, name)


class _WeightName(Vector):
    """`w.z` before it is used: called, it is an affine map; in a product or a sum, a vector weight."""

    def __init__(self, recorder: _Recorder, name: str) -> None:
        super().__init__(sympy.Symbol(name, real=True), "N", named=True)
        self._recorder = recorder
        self._name = name

    @property
    def expression(self) -> sympy.Expr:
        self._recorder.claim_vector(self._name)
        return self._expression

    def __call__(self, *arguments: Any, bias: bool = True) -> Vector:
        return self._recorder.claim_map(self._name, arguments, bias)


class _Recorder:
    """Writes down maps, vector weights and equations while the variant's function runs on symbols."""

    def __init__(self, states: tuple[str, ...]) -> None:
        self.state_symbols = {name: sympy.Symbol(f"{name.rstrip('_')}_prev", real=True) for name in states}
        self.maps: dict[str, Map] = {}
        self.vectors: dict[str, Weight] = {}
        self.equations: list[Equation] = []
        self._owners: dict[str, str] = {}  # weight name -> the use that claimed it
        self._stages: dict[sympy.Symbol, int] = dict.fromkeys([INPUT, *self.state_symbols.values()], -1)
        self._taken = {symbol.name for symbol in self._stages}

    def claim_vector(self, name: str) -> None:
        self._claim(name, f"the vector w.{name}")
        if name in self.vectors:
            return
        self._take(name, f"the vector w.{name}")
        self.vectors[name] = Weight(name, ("N",))
        self._stages[sympy.Symbol(name, real=True)] = -1

    def claim_map(self, name: str, arguments: tuple[Any, ...], bias: bool) -> Vector:
        if not arguments:
            raise EquationError(f"w.{name}() maps nothing; give it vectors, such as w.{name}(x, y)")
        expressions: list[sympy.Expr] = []
        for argument in arguments:
            if not isinstance(argument, Vector):
                raise EquationError(f"w.{name} is given {argument!r}, which is not a vector")
            if argument.expression in expressions:
                raise EquationError(f"w.{name} reads {argument.expression} twice")
            expressions.append(argument.expression)
        known = self.maps.get(name)
        if known is not None:
            if known.arguments != tuple(expressions) or (known.bias is not None) != bias:
                raise EquationError(
                    f"the weight name {name!r} is used for two things: w.{name}{_tuple(known.arguments)} "
                    f"and w.{name}{_tuple(expressions)}; give the second map a name of its own"
                )
            return Vector(known.symbol, "N")
        matrices = tuple(self._matrix(name, expressions, k) for k in range(len(expressions)))
        bias_weight = Weight(f"b_{name}", ("N",)) if bias else None
        for weight in [*matrices, *([bias_weight] if bias_weight else [])]:
            self._claim(weight.name, f"the map w.{name}")
        # The name of the map is claimed too: w.z(x, y) and w.z * c would be two things under one name.
        self._claim(name, f"the map w.{name}")
        symbol = sympy.Symbol(self._take(f"a_{name}", f"the map w.{name}"), real=True)
        # What is no vector yet is made by a point-wise line of its own, which comes behind the first products.
        stage = 1 + max(self._stage(each) if each.is_Symbol else max(self._stage(each), 0) for each in expressions)
        self._stages[symbol] = stage
        self.maps[name] = Map(name, tuple(expressions), matrices, bias_weight, stage, symbol)
        return Vector(symbol, "N")

    def write_down(self, name: str, vector: Vector) -> None:
        """A name of the equations is bound to a vector that no name stands for yet."""
        unique, copy = name, 1
        while unique in self._taken:
            copy += 1
            unique = f"{name}_{copy}"
        self._taken.add(unique)
        symbol = sympy.Symbol(unique, real=True)
        stage = max(self._stage(vector.expression), 0)
        self._stages[symbol] = stage
        self.equations.append(Equation(symbol, vector.expression, stage))
        vector.stand_for(symbol)

    def _matrix(self, name: str, arguments: list[sympy.Expr], place: int) -> Weight:
        """W_z for the input, R_z for the first recurrent vector, R_iz for a further one that is the state i."""
        argument = arguments[place]
        if argument == INPUT:
            return Weight(f"W_{name}", ("N", "M"))
        recurrent = [each for each in arguments if each != INPUT]
        if argument == recurrent[0]:
            return Weight(f"R_{name}", ("N", "N"))
        letter = next((state.rstrip("_") for state, s in self.state_symbols.items() if s == argument), None)
        return Weight(f"R_{letter or recurrent.index(argument) + 1}{name}", ("N", "N"))

    def _take(self, name: str, use: str) -> str:
        """Symbols are told apart by their names alone, so none may stand for two things."""
        if name in self._taken:
            raise EquationError(f"the name {name!r} is used for two things: a value and {use}; rename one of them")
        self._taken.add(name)
        return name

    def _claim(self, name: str, use: str) -> None:
        owner = self._owners.setdefault(name, use)
        if owner != use:
            raise EquationError(f"the weight name {name!r} is used for two things: {owner} and {use}")

    def _stage(self, expression: sympy.Expr) -> int:
        return max((self._stages[symbol] for symbol in expression.free_symbols), default=-1)  # type: ignore[index]


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
    names = list(inspect.signature(function).parameters)
    if len(names) < 3 or names[0] != "x" or names[-1] != "w":
        raise EquationError(f"the arguments are ({', '.join(names)}); they must be x, the state, and w last")
    states = tuple(names[1:-1])
    recorder = _Recorder(states)
    arguments = [Vector(symbol, "N", named=True) for symbol in recorder.state_symbols.values()]
    returned = _run_naming_locals(
        function, [Vector(INPUT, "M", named=True), *arguments, _Weights(recorder)], recorder.write_down
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
            recorder.write_down(state.rstrip("_"), vector)
        outputs.append(vector.expression)
    if not recorder.maps:
        raise EquationError("no map is named; a cell reads its input by one, such as w.z(x, y)")
    return Trace(
        states=tuple(recorder.state_symbols.values()),
        maps=tuple(sorted(recorder.maps.values(), key=_reading)),
        vectors=tuple(recorder.vectors.values()),
        equations=tuple(recorder.equations),
        outputs=tuple(outputs),
    )


def _reading(each: Map) -> tuple[bool, bool]:
    """Orders maps by what they read: x alone, x and more, no x. So those that read one vector lie side by side."""
    return each.arguments != (INPUT,), INPUT not in each.arguments


_HERE = str(Path(__file__).parent)


def _run_naming_locals(
    function: Callable[..., Any], arguments: list[Any], write_down: Callable[[str, Vector], None]
) -> Any:
    """Call the function; each time a local name is bound to a new vector, write that equation down.

    Python's own trace hook sees the names, so that the equations need no other form than plain Python. Functions
    that the equations call are watched too, which keeps their names for a cell that is composed of parts.
    """

    def watch(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename.startswith(_HERE):
            return None
        # What a function is given has its name, if any, where it came from.
        given = {id(value) for value in frame.f_locals.values()}

        def name_locals(frame: FrameType, event: str, _: Any) -> Any:
            for name, value in frame.f_locals.items():
                if isinstance(value, Vector) and not value.named and id(value) not in given:
                    write_down(name, value)
            return name_locals

        return name_locals

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        return function(*arguments)
    finally:
        sys.settrace(before)


def _place(function: Callable[..., Any], error: Exception) -> str:
    """File and line of the equations where the error arose."""
    code = function.__code__
    path = Path(code.co_filename)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == code.co_filename]
    inside = [line for line in lines if line and line >= code.co_firstlineno]
    return f"{path.parent.name}/{path.name}, line {inside[-1] if inside else code.co_firstlineno}"


def _explain(error: Exception) -> str:
    if isinstance(error, NameError) and error.name and not hasattr(builtins, error.name):
        near = difflib.get_close_matches(error.name, _known_words(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"unknown function or name {error.name!r}; {hint}known functions: {', '.join(_known_words())}"
    if isinstance(error, EquationError):
        return str(error)
    return (
        f"{error} ({type(error).__name__}); equations are made of + - * / ** and the functions of "
        f"ablate.cell.language: {', '.join(_known_words())}"
    )


def _known_words() -> list[str]:
    return [name for name, word in vars(language).items() if isinstance(word, language.Word)]


def _tuple(expressions: Any) -> str:
    return f"({', '.join(str(expression) for expression in expressions)})"
