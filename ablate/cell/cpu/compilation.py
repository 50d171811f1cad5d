"""Kernels generated from a variant's equations, compiled once a machine and admitted once they agree with them."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np
from filelock import FileLock

from ablate.cell.cpu.cache_path import READY, cache_path
from ablate.cell.cpu.codegen import generate
from ablate.cell.cpu.kernel import Kernel
from ablate.cell.lower import lower
from ablate.cell.trace import Trace

for _option in (
    # The compiler may check more arrays for overlap before it gives up on vector instructions: a cell has many.
    "--runtime-memory-check-threshold=512",
    "--memory-check-merge-threshold=512",
    # Units that do not fill a vector are computed four at a time, not one by one.
    "--epilogue-vectorization-minimum-VF=8",
    "--epilogue-vectorization-force-VF=4",
):
    llvmlite.binding.set_option("ablate", _option)


class KernelDisagreesError(Exception):
    """A kernel does not compute what its equations say."""


def compile_kernel(equations: Callable[..., Any], trace: Trace, name: str, folder: Path) -> Kernel:
    """The kernel of a variant, from the cache folder or compiled into it.

    A kernel that is new there is compared with the reference before it is marked as ready. A damaged file is made
    anew, and of several processes that want the same kernel, the first compiles.

    Raises:
        CannotLowerError: the equations hold something that no kernel is made for.
        KernelDisagreesError: the kernel does not compute what the equations say.
    """
    program = lower(trace)
    source = generate(program, name)
    file = cache_path(trace, name, folder)
    ready = file.with_suffix(READY)
    with FileLock(file.with_suffix(".lock")):
        if not file.exists() or file.read_text(encoding="utf-8", errors="replace") != source:
            ready.unlink(missing_ok=True)
            part = file.with_suffix(".part")
            part.write_text(source, encoding="utf-8")
            part.replace(file)
            _load.cache_clear()
        try:
            kernel = Kernel(program, _load(file))
            _compile(kernel)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):  # a damaged file of the compiler's own cache
            ready.unlink(missing_ok=True)
            for compiled in (file.parent / "__pycache__").glob(f"{file.stem}*"):
                compiled.unlink()
            _load.cache_clear()
            kernel = Kernel(program, _load(file))
            _compile(kernel)
        if not ready.exists():
            verify_kernel(equations, kernel, source)
            ready.touch()
    return kernel


def verify_kernel(equations: Callable[..., Any], kernel: Kernel, source: str) -> None:
    """Compare a compiled kernel, and its source run by Python in double precision, with the equations.

    Raises:
        KernelDisagreesError: an output, a state or a gradient differs.
    """
    from ablate.cell.cpu.layer import CompiledLayer  # brings the framework, which a kernel in the cache does not need
    from ablate.cell.cpu.uncompiled import run_uncompiled
    from ablate.cell.reference import ReferenceLayer
    from ablate.cell.self_check import check_layers

    trace = kernel.program.trace
    uncompiled = Kernel(kernel.program, run_uncompiled(source), compiled=False)
    found = check_layers(trace, ReferenceLayer(equations, trace), CompiledLayer(uncompiled), CompiledLayer(kernel))
    if found:
        raise KernelDisagreesError(found)


def _compile(kernel: Kernel) -> None:
    """Compile, or read from the compiler's cache, by running the smallest of layers in single precision."""
    program = kernel.program
    trace = program.trace
    maps, states, vectors = len(trace.maps), len(trace.states), len(trace.vectors)

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    columns = {stack.key: len(stack.weights) for stack in trace.stacks if stack.maps}
    arrays = [zeros(1, columns[key]) if key in columns else zeros(1) for key in kernel.weights]
    weights = kernel.weights_argument(arrays)
    forward = zeros(1, 1, maps), zeros(states, 2, 1, 1), zeros(len(program.saved_for_backward), 1, 1, 1)
    kernel.forward(*forward, weights)
    kernel.backward(zeros(1, 1, maps), zeros(vectors, 1), zeros(states, 1, 1), zeros(1, 1, 1), *forward, weights)


@cache
def _load(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"ablate_kernel_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Numba's cache finds a function through its module
    spec.loader.exec_module(module)
    return module
