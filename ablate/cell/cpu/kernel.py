"""A kernel: the functions that are generated from a variant's equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ablate.cell.cpu.codegen import weight_arguments
from ablate.cell.lower import Program


class Kernel:
    """The forward and backward functions of a variant, compiled or not.

    Attributes:
        weights: the keys of the stacks that the time loop reads, in order.
    """

    def __init__(self, program: Program, module: Any, compiled: bool = True) -> None:
        self.program = program
        self.forward: Any = module.forward
        self.backward: Any = module.backward
        self.weights = weight_arguments(program)
        self._compiled = compiled

    def weights_argument(self, arrays: Sequence[np.ndarray]) -> Any:
        """The stacks in the order of `weights`, as `forward` and `backward` take them; the caller keeps the arrays.

        Args:
            arrays: contiguous; matrices as (N, k N), vectors as (N,).
        """
        return np.array([each.ctypes.data for each in arrays], np.int64) if self._compiled else list(arrays)
