"""A kernel: the functions that are generated from a variant's equations."""

from __future__ import annotations

from typing import Any

from ablate.cell.cpu.codegen import weight_arguments
from ablate.cell.lower import Program


class Kernel:
    """The forward and backward functions of a variant, compiled or not."""

    def __init__(self, program: Program, module: Any) -> None:
        self.program = program
        self.forward: Any = module.forward
        self.backward: Any = module.backward
        self.weights = weight_arguments(program)
