"""What a backend is, which ones there are, and which one runs a variant.

A backend is a module with three functions, as `Backend` has them, and a line in `BACKENDS`. Whether it computes what
the equations say is checked by `ablate.testing.backends`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, cast

from ablate.cell.layer import Layer
from ablate.cell.trace import Trace

# The module of each backend. It is imported when it is asked for, so that one can be chosen without the framework.
BACKENDS = {"cpu": "ablate.cell.cpu.backend", "reference": "ablate.cell.reference"}


class Backend(Protocol):
    """The functions of a backend's module. Each takes the equations, their trace and the name of a variant."""

    def is_ready(self, trace: Trace, name: str) -> bool:
        """Whether `prepare` has nothing left to do; cheap, and without the framework."""
        ...

    def prepare(self, equations: Callable[..., Any], trace: Trace, name: str) -> str:
        """Do what is done once a machine; why the variant cannot run, in the user's words, or nothing."""
        ...

    def make_layer(self, equations: Callable[..., Any], trace: Trace, name: str) -> Layer:
        """The layer of a variant for which `prepare` gave no reason against it."""
        ...


def load_backend(name: str) -> Backend:
    """The backend of a name in `BACKENDS`."""
    return cast(Backend, import_module(BACKENDS[name]))


def choose_backend(equations: Callable[..., Any], trace: Trace, name: str, backend: str) -> tuple[str, str]:
    """The backend that will run a variant, and why it is not the one asked for, if so.

    Args:
        backend: a name in `BACKENDS`, or `auto` for the fastest one that runs the variant.
    """
    if backend == "reference" or not trace.compiles:
        return "reference", ""
    wanted = "cpu" if backend == "auto" else backend
    reason = load_backend(wanted).prepare(equations, trace, name)
    if reason:
        return "reference", f"variant {name} runs on the reference backend: {reason}"
    return wanted, ""


def ready_backend(trace: Trace, name: str, backend: str) -> str | None:
    """The backend that runs a variant, as `choose_backend` says, if that is known without any work."""
    wanted = "reference" if not trace.compiles else "cpu" if backend == "auto" else backend
    if wanted == "reference" or load_backend(wanted).is_ready(trace, name):
        return wanted
    return None


def make_layer(equations: Callable[..., Any], trace: Trace, name: str, backend: str) -> Layer:
    """The layer of a variant on a backend that `choose_backend` named."""
    return load_backend(backend).make_layer(equations, trace, name)
