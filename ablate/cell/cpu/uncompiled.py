"""Run a kernel's source without the compiler, on NumPy: slow, in any precision, and independent of machine code."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any

import numpy as np


def _multiply_into(out: Any, vectors: Any, matrix: Any) -> None:
    out += vectors @ matrix


def _multiply_back(out: Any, vectors: Any, matrix: Any) -> None:
    out += vectors @ matrix.T


def _quiet(function: Any) -> Any:
    """As compiled code, which warns of nothing: a division by zero is infinite."""
    return np.errstate(all="ignore")(function)


_FUNCTIONS = {
    "np": np,
    "math": SimpleNamespace(log=np.log, sqrt=np.sqrt),
    "kernel": _quiet,
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
    "relu": lambda x: x * 0 if x < 0 else x,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "matrix_at": lambda weights, k, rows, columns, like: weights[k],
    "vector_at": lambda weights, k, N, like: weights[k],
    "multiply_into": _multiply_into,
    "multiply_back": _multiply_back,
}


def run_uncompiled(source: str) -> SimpleNamespace:
    """The functions `forward` and `backward` of a generated module."""
    tree = ast.parse(source)
    tree.body = [each for each in tree.body if not isinstance(each, ast.Import | ast.ImportFrom)]
    namespace = dict(_FUNCTIONS)
    exec(compile(tree, "<kernel>", "exec"), namespace)
    return SimpleNamespace(forward=namespace["forward"], backward=namespace["backward"])
