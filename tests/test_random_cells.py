"""Random cells in the whole language: reference, kernel and finite differences agree on every one.

1,000 cells, or more, under any seed: `python -m tests.random_cells --cells 1000 --seed 7`.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings

from tests.random_cells import check_cell, sources

# Compiling takes ten times as long as all the rest, so that only some kernels are; Python runs the source of all.
reproducible = settings(derandomize=True, database=None, suppress_health_check=list(HealthCheck), print_blob=False)


def one_in(share: int, source: str) -> bool:
    """Whether a cell is one of those that are compiled; the same cells in every run."""
    return zlib.crc32(source.encode()) % share == 0


@settings(reproducible, max_examples=20)
@given(source=sources())
def test_random_cells_agree(source: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    assume(check_cell(source, folder(tmp_path_factory), compiled=one_in(2, source)))


@pytest.mark.slow
@settings(reproducible, max_examples=300)
@given(source=sources())
def test_many_random_cells_agree(source: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    assume(check_cell(source, folder(tmp_path_factory), compiled=one_in(4, source)))


def folder(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("kernels")


# Cells that were computed wrongly, or not at all, before names of the compiler were kept apart from the author's.
FOUND = {
    "a constant that is called like a second binding": """
def cell(x, y, c, w):
    c = L.sigmoid(w.f(x, y)) * c
    c = c + 2 * L.tanh(w.z(x, y))
    return L.tanh(c), c
""",
    "names of the kernel": """
def cell(x, y, c, w):
    c_1 = L.tanh(w.z(x, y))
    d_z = c_1 + 1
    row_c = d_z * c - 1
    R0 = L.exp(L.tanh(row_c)) * L.sigmoid(row_c)
    v0 = R0 * y
    a_z = w.a(x, v0)
    y_prev = a_z * R0
    return L.tanh(y_prev), L.tanh(row_c)
""",
    "weights that are called like stacks and like attributes": """
def cell(x, y, w):
    advance = L.tanh(w.x(x, y) * w.bias + w.items)
    return advance + w._products * y
""",
    "a weight that a map reads": """
def cell(x, y, c, w):
    return L.tanh(w.z(x, w.p) + w.k(w.p)), L.tanh(w.m)
""",
    "states that differ by an underscore": """
def cell(x, y, y_, y__, w):
    y = L.tanh(w.y(x, y, y_, y__))
    return y, y_ * y, y__ + y_ * 0.5
""",
    "a value that nothing reads": """
def cell(x, y, c, w):
    q = L.log(w.q(x, y)) * w.p
    z = L.tanh(w.z(x, y))
    c = z + c
    return z * L.sigmoid(w.o(x, y)), z
""",
    "a weight that is named and not used": """
def cell(x, y, w):
    keys, y = w.keys, L.tanh(w.z(x, y))
    return y
""",
    "values that cancel": """
def cell(x, y, w):
    q = L.tanh(w.z(x, y))
    return L.tanh(w.z(x, y)) - q + L.sigmoid(w.o(x, y)) * w.u(x, y) ** 0
""",
    "roots and powers that are not whole": """
def cell(x, y, w):
    a = 1 + w.a(x, y) ** 2
    b = w.z(x, y) / L.sqrt(a) + L.exp(w.p * L.log(a)) + L.sqrt(2 * a) + L.sqrt(L.sqrt(a)) + L.sqrt((y + 2) ** 2)
    return L.tanh(0.1 * b + L.exp(-0.3 * L.log(a)))
""",
    "equal arguments of a maximum": """
def cell(x, y, c, w):
    a, b = L.relu(w.a(x, y)) + c, L.relu(w.b(x, y)) + c
    return L.tanh(L.maximum(a, b)), L.minimum(L.maximum(L.maximum(a, b), 0.1), L.maximum(b, a)) * 0.5
""",
}


@pytest.mark.parametrize("source", FOUND.values(), ids=FOUND)
def test_cells_that_were_wrong_agree(source: str, tmp_path: Path) -> None:
    assert check_cell(source, tmp_path, compiled=True)
