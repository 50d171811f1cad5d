"""Kernels against the reference: every variant, over long sequences and odd sizes; and the cache that they live in."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch

from ablate.cell.backend import BACKENDS, choose_backend, load_backend
from ablate.cell.cpu.backend import prepare_kernel
from ablate.cell.cpu.cache_path import is_ready
from ablate.cell.cpu.codegen import generate
from ablate.cell.cpu.compilation import compile_kernel
from ablate.cell.cpu.layer import CompiledLayer
from ablate.cell.cpu.primitives import compiled
from ablate.cell.cpu.primitives import exp as kernel_exp
from ablate.cell.cpu.primitives import sigmoid as kernel_sigmoid
from ablate.cell.cpu.primitives import tanh as kernel_tanh
from ablate.cell.language import Primitive, exp, log, maximum, minimum, relu, sigmoid, softplus, sqrt, tanh
from ablate.cell.lower import Program, lower
from ablate.cell.reference import ReferenceLayer
from ablate.cell.trace import Trace
from ablate.cell.tracer import trace
from ablate.cell.typeset import text
from ablate.definitions.variant import VARIANTS, Variant
from ablate.testing.backends import check_backend
from ablate.testing.layers import layer_of

every_variant = pytest.mark.parametrize("variant", list(VARIANTS), ids=lambda variant: variant.name)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, relative: float) -> None:
    """Equal to a fraction of the largest number, as errors of a sum are."""
    assert torch.isfinite(theirs).all()
    assert (ours - theirs).abs().max() <= relative * theirs.abs().max() + 1e-12


def compare(equations: Trace, one: object, other: object, T: int, B: int, M: int, N: int) -> None:
    """Outputs, last state and all gradients of two layers, with weights as a trial draws them.

    Where these would make a large net chaotic they are smaller: there any rounding grows, whatever computes it.
    """
    generator = torch.Generator().manual_seed(0)
    spread = min(0.1, 0.7 * N**-0.5)
    results = []
    for layer in (one, other):
        generator.manual_seed(0)
        weights = {
            stack.key: (
                spread * torch.randn(stack.sized(M, N), generator=generator, dtype=torch.float64)
            ).requires_grad_()
            for stack in equations.stacks
        }
        x = torch.randn(T, B, M, generator=generator, dtype=torch.float64).requires_grad_()
        state = tuple(
            (0.1 * torch.randn(B, N, generator=generator, dtype=torch.float64).abs()).requires_grad_()
            for _ in equations.states
        )
        y, last = layer(x, weights, state)  # type: ignore[operator]
        weighting = torch.randn(y.shape, generator=generator, dtype=torch.float64)
        ((y * weighting).sum() + sum(each.sum() for each in last)).backward()
        gradients = [x.grad, *(each.grad for each in state), *(weight.grad for weight in weights.values())]
        results.append([y.detach(), *(each.detach() for each in last), *gradients])
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs, 1e-5)


@every_variant
@pytest.mark.parametrize("N", [33, *(pytest.param(N, marks=pytest.mark.slow) for N in (1, 20, 200))])
def test_equals_the_reference_over_a_thousand_steps(variant: Variant, N: int) -> None:
    compare(variant.trace, layer_of(variant, "cpu"), layer_of(variant, "reference"), T=1000, B=1, M=5, N=N)


@every_variant
def test_equals_the_reference_in_batches(variant: Variant) -> None:
    compare(variant.trace, layer_of(variant, "cpu"), layer_of(variant, "reference"), T=50, B=7, M=5, N=33)


@every_variant
def test_a_nan_or_an_infinity_comes_out(variant: Variant) -> None:
    """In single precision, where functions are polynomials: nothing that is not finite is lost on the way."""
    layer = layer_of(variant, "cpu")
    weights = {stack.key: torch.full(stack.sized(3, 20), 0.1) for stack in variant.trace.stacks}
    x = torch.zeros(5, 1, 3)
    x[2, 0, 1] = math.nan
    y, last = layer(x, weights)
    assert torch.isfinite(y[:2]).all() and torch.isnan(y[2:]).all()
    assert torch.isnan(last[0]).all()


def everything(x, h, s, w):
    """All words of the language, a map of a gate, a map without input, a constant, three stages."""
    g = sigmoid(w.g(x, h) + w.p * s)
    e = exp(minimum(w.e(x), 1.0)) / (1 + sqrt(g))
    m = maximum(relu(w.m(h, g * h)), softplus(w.q(e * s, bias=False))) - log(1.5 + g)
    s = s * 0.5 + tanh(m) * e
    return tanh(w.o(x, s)) * g**2 - h / 3, s


@pytest.mark.parametrize("B", [1, 3])
def test_every_word_has_its_derivative(B: int) -> None:
    equations = trace(everything, "everything")
    assert equations.stages == 3
    kernel = prepare_kernel(everything, equations, "everything")
    compare(equations, CompiledLayer(kernel), ReferenceLayer(everything, equations), T=30, B=B, M=4, N=9)


def test_a_map_may_read_a_map() -> None:
    def nested(x, h, c, w):
        r = sigmoid(w.r(x, h))
        n = tanh(w.n(x, w.m(r * h), w.k(x)))
        k = w.e(h)
        return n * k + tanh(w.d(k)), k - c

    equations = trace(nested, "nested")
    assert text(equations)[1] == "n = tanh(W_n x + R_n (R_m (h'*r) + b_m) + R_2n (W_k x + b_k) + b_n)"
    assert text(equations)[-1] == "c = k - c'"
    kernel = prepare_kernel(nested, equations, "nested")
    compare(equations, CompiledLayer(kernel), ReferenceLayer(nested, equations), T=10, B=2, M=4, N=9)


def test_names_of_the_equations_may_be_those_of_the_kernel() -> None:
    def clash(x, n, t, w):
        b = sigmoid(w.values(x, n))
        a = tanh(w.a(x, b * n))
        T = a * b + t * w.N
        return T, a

    equations = trace(clash, "clash")
    kernel = prepare_kernel(clash, equations, "clash")
    compare(equations, CompiledLayer(kernel), ReferenceLayer(clash, equations), T=10, B=2, M=4, N=9)


@pytest.mark.parametrize(("ours", "exact"), [(kernel_exp, np.exp), (kernel_tanh, np.tanh), (kernel_sigmoid, None)])
def test_single_precision_functions_are_exact_to_rounding(ours: object, exact: object) -> None:
    @compiled
    def apply(values, out):
        for k in range(values.shape[0]):
            out[k] = ours(values[k])  # type: ignore[operator]

    special = [math.nan, math.inf, -math.inf, 0.0, 1e-30, -1e-30, 88.0, -87.0, 200.0, -200.0]
    values = np.concatenate([np.linspace(-87, 88, 100_001), np.linspace(-1, 1, 100_001), special]).astype(np.float32)
    out = np.empty_like(values)
    apply(values, out)
    with np.errstate(over="ignore"):
        wide = values.astype(np.float64)
        expected = 1 / (1 + np.exp(-wide)) if exact is None else exact(wide)  # type: ignore[operator]
        expected = expected.astype(np.float32)
    assert np.array_equal(np.isnan(out), np.isnan(expected))
    assert np.array_equal(np.isinf(out), np.isinf(expected))
    fine = np.isfinite(expected) & (np.abs(expected) > 1e-37)
    assert (np.abs(out[fine] - expected[fine]) <= 4e-7 * np.abs(expected[fine])).all()
    rest = np.isfinite(expected) & ~fine
    assert (np.abs(out[rest]) < 2e-37).all()


def test_the_generated_source_quotes_the_equations() -> None:
    source = generate(lower(trace(everything, "everything")), "everything")
    assert "g = sigmoid(W_g x + R_g h' + p*s' + b_g)" in source
    assert "row_v_g[n] = v_g" in source


def test_damaged_entries_are_made_anew(tmp_path: Path) -> None:
    def small(x, h, w):
        return tanh(w.h(x, h))

    equations = trace(small, "small")
    compile_kernel(small, equations, "small", tmp_path)
    (file,) = tmp_path.glob("small_*.py")
    source = file.read_text()
    file.write_text(source[:100])
    for kept in (tmp_path / "__pycache__").glob("small_*.nbi"):
        kept.write_bytes(kept.read_bytes()[:20])
    compile_kernel(small, equations, "small", tmp_path)
    assert file.read_text() == source


def everything_traced() -> Trace:
    return trace(everything, "everything")


def test_a_fault_of_the_compiler_stops_no_other_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("boom\nand more")

    monkeypatch.setattr("ablate.cell.cpu.backend.prepare_kernel", fail)
    assert choose_backend(everything, everything_traced(), "everything", "auto") == (
        "reference",
        "variant everything runs on the reference backend: its kernel cannot be compiled; please report this, "
        "with the equations and this line: ValueError: boom",
    )


def test_what_no_kernel_is_made_for_runs_on_the_reference() -> None:
    sine = Primitive("sin", sympy.sin, lambda v: v.sin())

    def foreign(x, h, w):
        return sine(w.a(x, h))

    def imaginary(x, h, w):
        return tanh(w.a(x, h)) * sqrt(h * 0 - 1)

    for equations, reason in (
        (foreign, "no kernel is made for the function sin; use the functions of ablate.cell.language instead"),
        (
            imaginary,
            "an equation holds I, which is not a real number; "
            "look for a root or logarithm of something negative, or a division by zero",
        ),
    ):
        name = equations.__name__
        traced = trace(equations, name)
        message = f"variant {name} runs on the reference backend: {reason}"
        assert choose_backend(equations, traced, name, "auto") == ("reference", message)
        assert choose_backend(equations, traced, name, "reference") == ("reference", "")


def test_a_kernel_that_disagrees_is_not_admitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def right(x, h, w):
        return tanh(w.a(x, h)) * 0.5

    def wrong(program: Program, name: str) -> str:
        return generate(program, name).replace("type(0.5)", "type(0.501)")

    traced = trace(right, "right")
    monkeypatch.setattr("ablate.cell.cpu.compilation.generate", wrong)
    monkeypatch.setattr("ablate.cell.cpu.backend.kernel_folder", lambda: tmp_path)
    for _ in range(2):  # the second time it is in the cache, and still not ready
        backend, reason = choose_backend(right, traced, "right", "auto")
        assert backend == "reference"
        assert re.fullmatch(
            r"variant right runs on the reference backend: its kernel disagrees with its equations \(the output is "
            r"off by 0.00\d of its size in double precision over 5 steps\); please report this, with the equations",
            reason,
        )
        assert not is_ready(traced, "right", tmp_path)
    monkeypatch.undo()
    compile_kernel(right, traced, "right", tmp_path)
    assert is_ready(traced, "right", tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["V", "FGR", "GRU-lib", "IndRNN", "sLSTM"])
def test_backends_keep_their_contract(backend: str, name: str) -> None:
    check_backend(load_backend(backend).make_layer, VARIANTS[name])


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_keep_their_contract_in_single_precision(backend: str) -> None:
    check_backend(load_backend(backend).make_layer, VARIANTS["V"], torch.float32, 1e-4)


def test_a_backend_that_is_wrong_is_told_by_its_array() -> None:
    def off_by_a_little(equations: object, traced: Trace, name: str) -> object:
        layer = ReferenceLayer(VARIANTS["V"].equations, traced)

        def run(x: torch.Tensor, weights: dict[str, torch.Tensor], state: tuple[torch.Tensor, ...]) -> object:
            y, last = layer(x, weights | {"p_o": weights["p_o"] * 1.001}, state)
            return y, last

        return run

    with pytest.raises(AssertionError, match=r"V: the output \(T 1, B 1, M 1, N 1\) is off by"):
        check_backend(off_by_a_little, VARIANTS["V"])  # type: ignore[arg-type]
