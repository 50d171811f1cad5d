"""The fast engine: kernels generated from a variant's equations, compiled once a machine, and run from PyTorch."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite.binding
import numpy as np
from filelock import FileLock

from ablate.cell.emit import emit, weight_arguments
from ablate.cell.entry import READY, entry
from ablate.cell.lower import Program, lower
from ablate.cell.trace import Trace

# The compiler may then check more arrays for overlap before it gives up on vector instructions: a cell has many.
llvmlite.binding.set_option("ablate", "--runtime-memory-check-threshold=512")
llvmlite.binding.set_option("ablate", "--memory-check-merge-threshold=512")


class Kernel:
    """The compiled forward and backward functions of a variant."""

    def __init__(self, program: Program, module: ModuleType) -> None:
        self.program = program
        self.forward: Any = module.forward
        self.backward: Any = module.backward
        self.weights = weight_arguments(program)


def compile_kernel(trace: Trace, name: str, folder: Path) -> Kernel:
    """The kernel of a traced variant, from the cache folder or compiled into it.

    A damaged entry is made anew, and of several processes that want the same one, the first compiles.

    Raises:
        CannotLowerError: the equations hold something that no kernel is made for.
    """
    program = lower(trace)
    source = emit(program, name)
    file = entry(trace, name, folder)
    with FileLock(file.with_suffix(".lock")):
        if not file.exists() or file.read_text(encoding="utf-8", errors="replace") != source:
            part = file.with_suffix(".part")
            part.write_text(source, encoding="utf-8")
            part.replace(file)
        try:
            kernel = Kernel(program, _load(file))
            _compile(kernel)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):  # a damaged entry of the compiler's own cache
            for compiled in (file.parent / "__pycache__").glob(f"{file.stem}*"):
                compiled.unlink()
            _load.cache_clear()
            kernel = Kernel(program, _load(file))
            _compile(kernel)
        file.with_suffix(READY).touch()
    return kernel


def _compile(kernel: Kernel) -> None:
    """Compile, or read from the compiler's cache, by running the smallest of layers in single precision."""
    trace = kernel.program.trace
    weights = {stack.key: np.zeros(stack.sized(1, 1), np.float32) for stack in trace.stacks}
    values = np.zeros((1, 1, len(trace.maps)), np.float32)
    states, kept = run_forward(kernel, values, [np.zeros((1, 1), np.float32)] * len(trace.states), weights)
    ones = np.ones((1, 1, 1), np.float32)
    run_backward(kernel, ones, np.zeros((len(trace.states), 1, 1), np.float32), values, states, kept, weights)


@cache
def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ablate_kernel_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Numba's cache finds a function through its module
    spec.loader.exec_module(module)
    return module


def run_forward(
    kernel: Kernel, values: np.ndarray, first: list[np.ndarray], weights: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Run the time loop; `values` (T, B, K N) is completed in place. Returns all states and what the way back needs."""
    T, B, width = values.shape
    N = width // len(kernel.program.trace.maps)
    states = np.empty((len(first), T + 1, B, N), values.dtype)
    for place, state in enumerate(first):
        states[place, 0] = state
    kept = np.empty((T, len(kernel.program.kept), B, N), values.dtype)
    kernel.forward(values, states, kept, *_arrays(kernel, weights))
    return states, kept


def run_backward(
    kernel: Kernel,
    d_y: np.ndarray,
    d_last: np.ndarray,
    values: np.ndarray,
    states: np.ndarray,
    kept: np.ndarray,
    weights: Mapping[str, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The derivatives by the maps' values, the vector weights and the first state."""
    d_values = np.empty_like(values)
    d_vectors = np.zeros((len(kernel.program.trace.vectors), states.shape[-1]), values.dtype)
    d_first = kernel.backward(d_values, d_vectors, d_last, d_y, values, states, kept, *_arrays(kernel, weights))
    return d_values, d_vectors, d_first


def _arrays(kernel: Kernel, weights: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The weights as the kernel takes them: matrices as (D, k N), vectors as (N,)."""
    arrays = []
    for key in kernel.weights:
        stack = weights[key]
        arrays.append(stack.reshape(stack.shape[0], -1) if stack.ndim == 3 else stack[0])
    return arrays
