"""The fast engine: kernels generated from a variant's equations, compiled once a machine, and run from PyTorch."""

from __future__ import annotations

import importlib.util
import pickle
import sys
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

for _option in (
    # The compiler may check more arrays for overlap before it gives up on vector instructions: a cell has many.
    "--runtime-memory-check-threshold=512",
    "--memory-check-merge-threshold=512",
    # Units that do not fill a vector are taken four at a time, not one by one.
    "--epilogue-vectorization-minimum-VF=8",
    "--epilogue-vectorization-force-VF=4",
):
    llvmlite.binding.set_option("ablate", _option)


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
    program = kernel.program
    trace = program.trace
    maps, states, vectors = len(trace.maps), len(trace.states), len(trace.vectors)

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    columns = {stack.key: len(stack.weights) for stack in trace.stacks if stack.maps}
    weights = [zeros(1, columns[key]) if key in columns else zeros(1) for key in kernel.weights]
    forward = zeros(1, 1, maps), zeros(states, 2, 1, 1), zeros(len(program.kept), 1, 1, 1)
    kernel.forward(*forward, *weights)
    kernel.backward(zeros(1, 1, maps), zeros(vectors, 1), zeros(states, 1, 1), zeros(1, 1, 1), *forward, *weights)


@cache
def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ablate_kernel_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Numba's cache finds a function through its module
    spec.loader.exec_module(module)
    return module
