"""Records maps, vector weights and equations while a variant's function runs on symbols."""

from __future__ import annotations

from typing import Any

import sympy

from ablate.cell import names
from ablate.cell.names import INPUT, as_written
from ablate.cell.trace import AffineMap, Equation, Trace, Weight
from ablate.cell.vector import EquationError, Vector

# Weights of the network's output layer, which stand beside those of the first cell.
_OUTPUT_LAYER = ("W_output", "b_output")


class Weights:
    """The argument `w` of the equations: a weight exists because it is named."""

    def __init__(self, recorder: Recorder) -> None:
        object.__setattr__(self, "(recorder)", recorder)  # no weight can be called that

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            if name.endswith("__"):
                return object.__getattribute__(self, name)
            raise EquationError(f"w.{name}: the name of a weight cannot start with two underscores")
        recorder: Recorder = object.__getattribute__(self, "(recorder)")
        recorder.mentioned[name] = None
        return _WeightName(recorder, name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise EquationError(f"w.{name} is assigned to; weights are learned, so give the value a name of its own")


class _WeightName(Vector):
    """`w.z` before it is used: called, it is an affine map; in a product or a sum, a vector weight."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        super().__init__(names.value(name), "N", named=True)
        self._recorder = recorder
        self._name = name

    @property
    def expression(self) -> sympy.Expr:
        self._recorder.claim_vector(self._name)
        return self._expression

    def __call__(self, *arguments: Any, bias: bool = True) -> Vector:
        return self._recorder.claim_map(self._name, arguments, bias)


class Recorder:
    """Everything that the equations have named so far.

    Args:
        states: the names of the arguments that stand for the state.
    """

    def __init__(self, states: tuple[str, ...]) -> None:
        self.state_names = names.state_names(states)
        self.state_symbols = {name: names.previous(self.state_names[name]) for name in states}
        self.maps: dict[str, AffineMap] = {}
        self.vectors: dict[str, Weight] = {}
        self.equations: list[Equation] = []
        self.mentioned: dict[str, None] = {}  # names of weights, in use or not
        self._weight_owners: dict[str, str] = dict.fromkeys(_OUTPUT_LAYER, "the network's output layer")
        self._stages: dict[sympy.Symbol, int] = dict.fromkeys([INPUT, *self.state_symbols.values()], -1)

    def claim_vector(self, name: str) -> None:
        """The name is used as a vector weight.

        Raises:
            EquationError: the name stands for something else already.
        """
        self._claim(name, f"the vector w.{name}")
        if name in self.vectors:
            return
        symbol = names.value(name)
        if symbol in self._stages:
            raise EquationError(
                f"the name {name!r} is used for two things: a value and the vector w.{name}; rename one of them"
            )
        self.vectors[name] = Weight(name, ("N",))
        self._stages[symbol] = -1

    def claim_map(self, name: str, arguments: tuple[Any, ...], bias: bool) -> Vector:
        """The name is used as an affine map of `arguments`; the vector of its value.

        Raises:
            EquationError: the arguments are no vectors, or the name stands for something else already.
        """
        expressions = self._arguments(name, arguments)
        known = self.maps.get(name)
        if known is not None:
            if known.arguments != expressions or (known.bias is not None) != bias:
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
        symbol = names.map_value(name)
        stage = 1 + max(self._stage_of_operand(each) for each in expressions)
        self._stages[symbol] = stage
        self.maps[name] = AffineMap(name, expressions, matrices, bias_weight, stage, symbol)
        return Vector(symbol, "N")

    def bind(self, name: str, vector: Vector) -> None:
        """Write down an equation: a name is bound to a vector that no name stands for yet."""
        binding = 1
        while (symbol := names.value(name, binding)) in self._stages:
            binding += 1
        stage = max(self._stage(vector.expression), 0)
        self._stages[symbol] = stage
        self.equations.append(Equation(symbol, vector.expression, stage))
        vector.stand_for(symbol)

    def trace(self, outputs: tuple[sympy.Symbol, ...]) -> Trace:
        """The trace of all that the new state depends on; the rest is dead.

        Raises:
            EquationError: the new state depends on no map.
        """
        reads: dict[Any, set[Any]] = {each.symbol: each.expression.free_symbols for each in self.equations}
        for each in self.maps.values():
            reads[each.symbol] = {symbol for argument in each.arguments for symbol in argument.free_symbols}
        live: set[Any] = set()
        waiting: list[Any] = list(outputs)
        while waiting:
            symbol = waiting.pop()
            if symbol not in live:
                live.add(symbol)
                waiting += reads.get(symbol, ())
        maps = [each for each in self.maps.values() if each.symbol in live]
        if not maps:
            what = "no new state depends on a map" if self.maps else "no map is named"
            raise EquationError(f"{what}; a cell reads its input by one, such as w.z(x, y)")
        vectors = [names.value(name) for name in self.vectors if names.value(name) in live]
        dead = [names.written(each.symbol) for each in self.equations if each.symbol not in live]
        return Trace(
            states=tuple(self.state_symbols.values()),
            maps=tuple(sorted(maps, key=_what_it_reads)),
            vectors=tuple(self.vectors[each.name] for each in vectors),
            equations=tuple(each for each in self.equations if each.symbol in live),
            outputs=outputs,
            dead_values=tuple(dict.fromkeys(dead)),
            dead_maps=tuple(name for name, each in self.maps.items() if each.symbol not in live),
            dead_vectors=tuple(
                name for name in self.mentioned if name not in self.maps and names.value(name) not in vectors
            ),
        )

    def _arguments(self, name: str, arguments: tuple[Any, ...]) -> tuple[sympy.Expr, ...]:
        if not arguments:
            raise EquationError(f"w.{name}() maps nothing; give it vectors, such as w.{name}(x, y)")
        expressions: list[sympy.Expr] = []
        for argument in arguments:
            if not isinstance(argument, Vector):
                raise EquationError(f"w.{name} is given {argument!r}, which is not a vector")
            if argument.expression in expressions:
                raise EquationError(f"w.{name} reads {as_written(argument.expression)} twice")
            expressions.append(argument.expression)
        return tuple(expressions)

    def _matrix(self, name: str, arguments: tuple[sympy.Expr, ...], place: int) -> Weight:
        """W_z for the input, R_z for the first recurrent vector, R_iz for a further one that is the state i."""
        argument = arguments[place]
        if argument == INPUT:
            return Weight(f"W_{name}", ("N", "M"))
        recurrent = [each for each in arguments if each != INPUT]
        if argument == recurrent[0]:
            return Weight(f"R_{name}", ("N", "N"))
        letter = next((self.state_names[state] for state, s in self.state_symbols.items() if s == argument), None)
        return Weight(f"R_{letter or recurrent.index(argument) + 1}{name}", ("N", "N"))

    def _claim(self, name: str, use: str) -> None:
        owner = self._weight_owners.setdefault(name, use)
        if owner != use:
            raise EquationError(f"the weight name {name!r} is used for two things: {owner} and {use}")

    def _stage(self, expression: sympy.Expr) -> int:
        return max((self._stages[symbol] for symbol in expression.free_symbols), default=-1)  # type: ignore[index]

    def _stage_of_operand(self, argument: sympy.Expr) -> int:
        """The stage in which a map's argument is known.

        An expression and a vector weight need a point-wise assignment of their own, behind the first products.
        """
        stage = self._stage(argument)
        known = argument.is_Symbol and str(argument) not in self.vectors
        return stage if known else max(stage, 0)


def _what_it_reads(each: AffineMap) -> tuple[bool, bool]:
    """Orders maps by what they read: x alone, x and more, no x. So those that read one vector lie side by side."""
    return each.arguments != (INPUT,), INPUT not in each.arguments


def _tuple(expressions: Any) -> str:
    return f"({', '.join(as_written(expression) for expression in expressions)})"
