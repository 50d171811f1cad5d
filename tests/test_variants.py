"""The contract that every registered variant keeps; a new one is tested by being registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import ablate
from ablate.cell.language import exp, tanh
from ablate.cell.tracer import trace
from ablate.cell.typeset import text
from ablate.definitions.loading import load_variants
from ablate.definitions.variant import VARIANTS, Variant
from ablate.testing.layers import CHECKS_OF_A_BACKEND, check_every_weight_is_used
from ablate.testing.variants import (
    CHECKS,
    backends_of,
    check_parent_differs,
    check_traces_are_equal,
    check_variant,
)

every_variant = pytest.mark.parametrize("variant", list(VARIANTS), ids=lambda variant: variant.name)


@every_variant
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(variant: Variant, check: Callable[[Variant], None]) -> None:
    check(variant)


def on_backends() -> list[Any]:
    """Every check of every variant on the compiled backend; on the reference, in the fast suite, one of each family."""
    families = {variant.family: variant for variant in reversed(list(VARIANTS))}
    found = []
    for backend in ("cpu", "reference"):
        for variant in VARIANTS:
            fast = backend == "cpu" or families[variant.family] is variant
            for check in CHECKS_OF_A_BACKEND:
                marks = [] if fast else [pytest.mark.slow]
                name = f"{check.__name__}-{backend}-{variant.name}"
                found.append(pytest.param(variant, backend, check, marks=marks, id=name))
    return found


@pytest.mark.parametrize(("variant", "backend", "check"), on_backends())
def test_keeps_the_contract_on_each_backend(
    variant: Variant, backend: str, check: Callable[[Variant, str], None]
) -> None:
    if backend not in backends_of(variant):
        pytest.skip(f"{variant.name} has no kernel")
    check(variant, backend)


def test_no_two_variants_are_the_same() -> None:
    said = [(*text(variant.trace), str(dict(variant.initial))) for variant in VARIANTS]
    assert len(set(said)) == len(said)


# --- The published parameter counts of one layer; a cell without one needs no line here.


def blocks(gates: int, peepholes: int = 0, squares: int = 0) -> Callable[[int, int], int]:
    """Gates with a matrix for the input, one for the output and a bias each; vectors and square matrices on top."""
    return lambda N, M: gates * (N * M + N**2 + N) + peepholes * N + squares * N**2


# From the papers: the standard blocks NM + N^2 + N, and what comes on top or is missing.
PUBLISHED: dict[str, Callable[[int, int], int]] = {
    **dict.fromkeys(["V", "NIAF", "NOAF", "V-b"], blocks(4, peepholes=3)),
    **dict.fromkeys(["NIG", "NFG", "NOG", "CIFG", "CIFG-f", "CIFG-NOAF"], blocks(3, peepholes=2)),
    **dict.fromkeys(["NP", "NP-b", "Prototype", "Pseudo-LSTM", "sLSTM", "sLSTM-exp"], blocks(4)),
    **dict.fromkeys(["NP-i", "NP-f", "NP-o", "LSTM97", "GRU", "MUT2", "MUT3"], blocks(3)),
    **dict.fromkeys(["PI", "PF", "PO"], blocks(4, peepholes=1)),
    **dict.fromkeys(["UGRNN", "GRU-u", "MGU", "JANET"], blocks(2)),
    **dict.fromkeys(["SRN", "IRNN"], blocks(1)),
    "FGR": blocks(4, peepholes=3, squares=9),
    "GRU-lib": blocks(3, peepholes=1),  # the bias of the reset product
    "MUT1": lambda N, M: 3 * N * M + 2 * N**2 + 3 * N,
    "IndRNN": lambda N, M: N * M + 2 * N,
    "minGRU": lambda N, M: 2 * (N * M + N),
    "minLSTM": lambda N, M: 3 * (N * M + N),
    "MinimalRNN": lambda N, M: N * M + 2 * N**2 + 2 * N,
    **dict.fromkeys(["RAN", "CFN"], lambda N, M: 3 * N * M + 2 * N**2 + 2 * N),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_count_is_the_papers(name: str) -> None:
    for units, inputs in ((1, 1), (7, 3), (100, 88)):
        assert VARIANTS[name].trace.parameters(inputs, units) == PUBLISHED[name](units, inputs)


# --- Cells from outside.

OUTSIDE = """
from ablate import variant
from ablate.cell.language import sigmoid, tanh


@variant("Outside", "a leaky cell that belongs to no package", groups=("outside",))
def outside(x, h, w):
    f = sigmoid(w.f(x, h))
    return f * h + (1 - f) * tanh(w.z(x))
"""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(VARIANTS, "_entries", dict(VARIANTS._entries))


# What the weights of a variant must be for it to compute what the one it is equal to does: name by name, with a sign.
SAME_CELLS = {
    "CIFG-f": lambda w: {
        **{name: w[name] for name in ("W_z", "R_z", "b_z", "W_o", "R_o", "b_o", "p_o")},
        **{name: -w[name.replace("f", "i")] for name in ("W_f", "R_f", "b_f", "p_f")},
    },
    "GRU": lambda w: {
        **{name: w[name] for name in ("W_n", "R_n", "b_n", "R_r", "b_r")},
        **{name: -w[name.replace("u", "z")] for name in ("W_u", "R_u", "b_u")},
        "W_r": w["W_p"],
    },
}


@pytest.mark.parametrize("name", [variant.name for variant in VARIANTS if variant.equal_to])
def test_what_is_equal_in_law_is_the_same_cell_with_other_weights(name: str) -> None:
    """Each weight is that of the other, or its negative, which N(0, s) does not tell apart."""
    mine = ablate.layer(name, 4, 5, dtype=torch.float64)
    other = ablate.layer(str(VARIANTS[name].equal_to), 4, 5, dtype=torch.float64)
    mine.load_state_dict(SAME_CELLS[name](other.state_dict()))
    x = torch.randn(7, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(mine(x)[0], other(x)[0])


@pytest.mark.usefixtures("registry")
def test_a_cell_from_outside_runs_the_suite(tmp_path: Path) -> None:
    file = tmp_path / "outside_cell.py"
    file.write_text(OUTSIDE)
    load_variants(str(file))
    assert "Outside" not in PUBLISHED and backends_of(VARIANTS["Outside"]) == ("reference", "cpu")
    check_variant(VARIANTS["Outside"])


def test_the_suite_tells_what_is_wrong() -> None:
    def unused(x: Any, y: Any, w: Any) -> Any:
        return tanh(w.h(x, y)) + exp(tanh(w.idle(x)) - 1000)  # which is 0

    same = replace(VARIANTS["SRN"], name="same", parent="SRN")
    with pytest.raises(AssertionError, match="same: it has the equations and initial weights of its parent SRN"):
        check_parent_differs(same)
    idle = replace(VARIANTS["SRN"], name="idle", equations=unused, trace=trace(unused, "idle"))
    with pytest.raises(AssertionError, match="idle: the output does not depend on W_idle"):
        check_every_weight_is_used(idle, "reference")
    other = replace(VARIANTS["SRN"], name="other", equations=VARIANTS["GRU"].equations)
    with pytest.raises(AssertionError, match="other: two traces of its equations differ"):
        check_traces_are_equal(other)
