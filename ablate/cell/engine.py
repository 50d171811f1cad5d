"""What an engine is, and which one runs a variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ablate.cache import default_cache_folder, writable
from ablate.cell.lower import CannotLowerError
from ablate.cell.trace import Trace

if TYPE_CHECKING:
    from torch import Tensor

    from ablate.cell.kernel import Kernel
    from ablate.cell.reference import State


class Layer(Protocol):
    """One layer of a variant over whole sequences, differentiable in its input and weights."""

    def __call__(self, x: Tensor, weights: Mapping[str, Tensor], state: State | None = None) -> tuple[Tensor, State]:
        """As `ReferenceLayer.__call__`."""
        ...

    def bind(self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> Passes:
        """As `ReferenceLayer.bind`."""
        ...


class Passes(Protocol):
    """Forward and backward through one layer, in turn, without a framework's graph between them."""

    def forward(self, x: Tensor, state: State | None = None, training: bool = True) -> tuple[Tensor, State]:
        """As `ReferencePasses.forward`."""
        ...

    def backward(self, d_y: Tensor, d_last: State | None = None, want_d_x: bool = False) -> tuple[Tensor | None, State]:
        """As `ReferencePasses.backward`."""
        ...


def kernel_folder() -> Path:
    """Where kernels are kept: in the user's cache folder, or among the temporary files if that cannot be written."""
    return writable(default_cache_folder() / "kernels")


def prepare_kernel(trace: Trace, name: str) -> Kernel:
    """The kernel of a variant, compiled if this machine has not done so before. Does not import the framework.

    Raises:
        CannotLowerError: the equations hold something that no kernel is made for.
    """
    from ablate.cell.kernel import compile_kernel  # brings the compiler

    return compile_kernel(trace, name, kernel_folder())


def choose_engine(trace: Trace, name: str, engine: str) -> tuple[str, str]:
    """The engine that will run a variant, `cpu` or `reference`, and why it is not the one asked for, if so."""
    if engine == "reference":
        return engine, ""
    try:
        prepare_kernel(trace, name)
    except CannotLowerError as error:
        return "reference", f"variant {name} runs in the reference engine: {error}"
    except Exception as error:  # a fault of the compiler must not stop the other variants
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        return "reference", f"variant {name} runs in the reference engine: its kernel cannot be compiled ({words})"
    return "cpu", ""


def make_layer(equations: Callable[..., Any], trace: Trace, name: str, engine: str) -> Layer:
    """The layer of a variant in the engine `cpu` or `reference`."""
    if engine == "reference":
        from ablate.cell.reference import ReferenceLayer

        return ReferenceLayer(equations, trace)
    from ablate.cell.compiled import CompiledLayer

    return CompiledLayer(prepare_kernel(trace, name))
