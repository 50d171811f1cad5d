"""Random cells in the whole language, as source text, and the check that every one of them must pass.

    python -m tests.random_cells --cells 1000 --seed 7

checks as many cells, each with the reference, its kernel and finite differences, and prints the source of a cell that
fails. The same seed makes the same cells.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import torch
from hypothesis import strategies as st

from ablate.cell import language
from ablate.cell.cpu.compilation import compile_kernel
from ablate.cell.cpu.kernel import Kernel
from ablate.cell.cpu.layer import CompiledLayer
from ablate.cell.reference import ReferenceLayer
from ablate.cell.self_check import cases, check_layers
from ablate.cell.trace import Trace
from ablate.cell.tracer import trace
from ablate.errors import UserError

# Names that a compiler might use itself, and names that are unusual.
LOCALS = (
    "c_1 c_2 c_0 c_minus_1 c_1_over_3 d_z d_c d_y d_x row_c row_z R0 v0 v1 v2 v_y v_c v2_c s_y m_z a_z a_a "
    "y_prev c_prev z_ z__ _z values states kept saved_for_backward d_values d_state d_previous carry before "
    "width t b n a T B N x np math exp log sqrt tanh sigmoid relu softplus maximum minimum kernel bias range "
    "abs float forward backward multiply_into number_0 matrix_0 w_p w_v_p lambda_ None_ self I E S pi zoo oo "
    "Symbol σ ζ naïve type print i j"
)
STATES = "y h c n s c_ y_ d values v0 t T N np exp σ b_ a_z y_prev i_ i bias state_ x_"
MAPS = "z f o a b n x bias weight values T N advance _products _t c_1 σ prev"
VECTORS = "p p_f u bias_ _recorder advance_ items keys x_x q row_y w w_w y_y θ trace"

UNARY = (
    "L.tanh({})",
    "L.sigmoid({})",
    "L.relu({})",
    "L.softplus({})",
    "L.exp(L.tanh({}))",
    "L.exp(L.minimum({}, 1))",
    "L.log(1.5 + L.sigmoid({}))",
    "L.log(1 + L.exp(L.tanh({})))",
    "L.sqrt(0.25 + L.sigmoid({}))",
    "L.tanh({}) / L.sqrt(1 + L.softplus({}))",
    "L.sqrt(L.sqrt(2 * L.sigmoid({})))",
    "L.exp(0.3 * L.log(1 + L.sigmoid({})))",
    "L.tanh({}) ** 2",
    "L.tanh({}) ** 3",
    "(1.5 + L.tanh({})) ** -1",
    "(2 + L.sigmoid({})) ** -2",
    "-{}",
    "half({})",
    "2 * {}",
    "{} * 0.5",
    "{} / 3",
    "1 - {}",
    "{} + 1",
    "{} - 1.25",
    "L.minimum({}, 0.5)",
    "L.maximum(-0.5, {})",
)
BINARY = (
    "{} + {}",
    "{} - {}",
    "{} * {}",
    "{} / (1.5 + L.sigmoid({}))",
    "{} / (1 + L.tanh({}) ** 2)",
    "L.maximum({}, {})",
    "L.minimum({}, {})",
    "L.maximum({}, L.minimum({}, 0.25))",
)
# A part of a cell that is a function, with locals of its own.
HALF = "def half(c_1):\n    d_z = c_1 * 0.5\n    return d_z + 0.1\n\n"


class _CellWriter:
    """Draws the source of one cell."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.draw = draw
        self.states = draw(st.lists(st.sampled_from(STATES.split()), min_size=1, max_size=4, unique=True))
        self.vectors = draw(st.lists(st.sampled_from(VECTORS.split()), min_size=0, max_size=3, unique=True))
        free = [name for name in LOCALS.split() if name not in self.states and name not in self.vectors]
        self.locals = draw(st.lists(st.sampled_from(free), min_size=1, max_size=6, unique=True))
        self.map_names = draw(st.permutations(MAPS.split()))
        self.maps: list[str] = []  # the calls of maps so far
        self.bound = list(self.states)

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def value(self) -> str:
        """Something that has a name."""
        if self.vectors and self.draw(st.integers(0, 4)) == 0:
            return f"w.{self.pick(self.vectors)}"
        return self.pick(self.bound)

    def call_of_a_map(self) -> str:
        if len(self.maps) == len(self.map_names) or (self.maps and self.draw(st.integers(0, 3)) == 0):
            return f"w.{self.pick(self.map_names[: len(self.maps)])}()"  # filled in by `fresh`
        arguments = ["x"] if "x" not in self.bound and self.draw(st.integers(0, 3)) else []
        for _ in range(self.draw(st.integers(0 if arguments else 1, 2))):
            kind = self.draw(st.integers(0, 5))
            inner = self.value() if kind < 4 else self.expression(1)
            if inner not in arguments:
                arguments.append(inner)
        bias = "" if self.draw(st.booleans()) else ", bias=False"
        name = self.map_names[len(self.maps)]
        self.maps.append(name)
        return f"w.{name}({', '.join(arguments)}{bias})"

    def expression(self, depth: int) -> str:
        kind = self.draw(st.integers(0, 9))
        if depth == 0 or kind == 0:
            return self.value()
        if kind <= 3 and len(self.maps) < 7:
            call = self.call_of_a_map()
            return self.value() if call.endswith("()") else call
        if kind <= 6:
            template = self.pick(UNARY)
            return f"({template.replace('{}', self.expression(depth - 1))})"
        one, other = self.expression(depth - 1), self.expression(depth - 1)
        return f"({self.pick(BINARY).format(one, other)})"

    def source(self) -> str:
        lines = []
        for _ in range(self.draw(st.integers(1, 7))):
            # Names are bound again and again, states too; some are never read.
            if self.draw(st.integers(0, 5)) == 0 and len(self.bound) > 1:
                one, other = self.pick(self.bound), self.pick(self.bound)
                lines.append(f"{one}, {other} = {self.expression(1)}, L.tanh({self.expression(1)})")
                continue
            target = self.pick([*self.locals, *self.locals, *self.states])
            squash = self.pick(["L.tanh({})", "{}", "{}", "L.sigmoid({})"])
            lines.append(f"{target} = {squash.format(self.expression(3))}")
            if target not in self.bound:
                self.bound.append(target)
        new = []
        for _ in self.states:
            kind = self.draw(st.integers(0, 3))
            new.append(f"L.tanh({self.expression(2)})" if kind else self.pick(self.bound))
        if not self.maps:
            new[0] = f"L.tanh(w.z(x, {self.states[0]}))" if "x" not in self.bound else f"w.z({self.states[0]})"
        # The output is squashed, so that the values of the next step stay where they are.
        new = [f"L.tanh({each})" if not each.startswith("L.tanh") else each for each in new]
        body = "\n".join(f"    {line}" for line in [*lines, f"return {', '.join(new)}"])
        return f"{HALF}def cell(x, {', '.join(self.states)}, w):\n{body}\n"


@st.composite
def sources(draw: Callable[[Any], Any]) -> str:
    """The source of a cell, as a function `cell` that finds the language under the name L."""
    return _CellWriter(draw).source()


def check_cell(source: str, folder: Path, compiled: bool = True) -> bool:
    """Hold reference, kernel and finite differences together.

    Args:
        source: as `sources` makes it.
        folder: where the kernel is compiled to.
        compiled: whether to compile it; otherwise its source is run by Python alone.

    Returns:
        Whether it is a cell: False where a name stands for two weights, which tracing refuses.
    """
    namespace: dict[str, Any] = {"L": language}
    exec(compile(source, "<cell>", "exec"), namespace)
    equations = namespace["cell"]
    try:
        traced = trace(equations, "random")
    except UserError as error:
        if any(reason in str(error) for reason in ("used for two things", "twice", "depends on a map")):
            return False
        raise
    reference = ReferenceLayer(equations, traced)
    if compiled:
        kernel = compile_kernel(equations, traced, "random", folder)  # compares it in both precisions
        found = check_layers(traced, reference, None, CompiledLayer(kernel), M=3, N=17, B=5)
    else:
        found = check_layers(traced, reference, uncompiled_layer(traced), None)
    assert not found, found
    check_finite_differences(traced, reference)
    return True


def uncompiled_layer(traced: Trace) -> CompiledLayer:
    """The layer of a kernel that Python runs."""
    from ablate.cell.cpu.codegen import generate
    from ablate.cell.cpu.uncompiled import run_uncompiled
    from ablate.cell.lower import lower

    program = lower(traced)
    return CompiledLayer(Kernel(program, run_uncompiled(generate(program, "random")), compiled=False))


def check_finite_differences(traced: Trace, reference: ReferenceLayer) -> None:
    """The loss along a random direction changes as the gradient says.

    A direction may cross a kink; a wrong gradient is wrong along every one.
    """
    case, expected = next(cases(traced, reference, 3))
    names = [name for name in expected if name.startswith("the gradient")]
    leaves = [
        case.x,
        *case.state,
        *(stack.weight(case.weights[stack.key], k) for stack in traced.stacks for k in range(len(stack.weights))),
    ]
    errors = []
    for attempt in range(4):
        generator = torch.Generator().manual_seed(attempt)
        directions = [torch.randn(leaf.shape, generator=generator, dtype=torch.float64) for leaf in leaves]
        slope = sum(float((expected[name] * d).sum()) for name, d in zip(names, directions, strict=True))
        losses = []
        for step in (1e-6, -2e-6):  # the leaves are views, changed in place
            for leaf, direction in zip(leaves, directions, strict=True):
                leaf += step * direction
            losses.append(_loss(reference, case))
        for leaf, direction in zip(leaves, directions, strict=True):
            leaf += 1e-6 * direction
        difference = (losses[0] - losses[1]) / 2e-6
        errors.append(abs(difference - slope) / (1 + abs(slope)))
        if errors[-1] < 1e-5:
            return
    raise AssertionError(f"the gradient differs from finite differences by {min(errors):.1g}")


def _loss(reference: ReferenceLayer, case: Any) -> float:
    with torch.no_grad():
        y, last = reference(case.x, case.weights, case.state)
    return float((y * case.d_y).sum() + sum((a * b).sum() for a, b in zip(last, case.d_last, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Check random cells.")
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile-every", type=int, default=1, help="compile one kernel in so many; 0 for none")
    options = parser.parse_args()
    agreed, started = 0, time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:

        @hypothesis.seed(options.seed)
        @hypothesis.settings(
            max_examples=options.cells,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate],
        )
        @hypothesis.given(sources())
        def check(source: str) -> None:
            nonlocal agreed
            try:
                every = options.compile_every
                is_cell = check_cell(source, Path(folder), bool(every) and agreed % every == 0)
            except BaseException:
                print(source, flush=True)
                raise
            hypothesis.assume(is_cell)
            agreed += 1
            if agreed % 50 == 0:
                print(f"{agreed} cells agree, {time.perf_counter() - started:.0f} s", flush=True)

        check()
    print(f"{agreed} of {options.cells} cells agree, seed {options.seed}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
