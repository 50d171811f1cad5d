"""The CPU backend's entry points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.cache import default_cache_folder, writable
from ablate.cell.cpu.cache_path import is_ready as kernel_is_ready
from ablate.cell.trace import Trace

if TYPE_CHECKING:
    from ablate.cell.cpu.kernel import Kernel
    from ablate.cell.cpu.layer import CompiledLayer


def kernel_folder() -> Path:
    """Where kernels are kept: in the user's cache folder, or among the temporary files if that cannot be written."""
    return writable(default_cache_folder() / "kernels")


def prepare_kernel(equations: Callable[..., Any], trace: Trace, name: str) -> Kernel:
    """The kernel of a variant, compiled if this machine has not done so before.

    Does not import the framework for a kernel that is in the cache.

    Raises:
        CannotLowerError: the equations hold something that no kernel is made for.
        KernelDisagreesError: the kernel does not compute what the equations say.
    """
    from ablate.cell.cpu.compilation import compile_kernel  # brings the compiler

    return compile_kernel(equations, trace, name, kernel_folder())


def is_ready(trace: Trace, name: str) -> bool:
    """Whether the kernel is in the cache."""
    return kernel_is_ready(trace, name, kernel_folder())


def prepare(equations: Callable[..., Any], trace: Trace, name: str) -> str:
    """Compile the kernel; why there is none, in the user's words, or nothing.

    A fault of the compiler stops no other variant, so that every exception becomes a reason.
    """
    from ablate.cell.cpu.compilation import KernelDisagreesError
    from ablate.cell.derivatives import CannotLowerError

    try:
        prepare_kernel(equations, trace, name)
    except CannotLowerError as error:
        return str(error)
    except KernelDisagreesError as error:
        return f"its kernel disagrees with its equations ({error}); please report this, with the equations"
    except OSError as error:
        return f"its kernel cannot be written to {kernel_folder()} ({error.strerror or error})"
    except Exception as error:
        details = f"{type(error).__name__}: {error}".splitlines()[0]
        return f"its kernel cannot be compiled; please report this, with the equations and this line: {details}"
    return ""


def make_layer(equations: Callable[..., Any], trace: Trace, name: str) -> CompiledLayer:
    """The layer of a variant."""
    from ablate.cell.cpu.layer import CompiledLayer

    return CompiledLayer(prepare_kernel(equations, trace, name))
