"""What is known of a cell that is a module of PyTorch: no equations, and weights only once it has been made."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ablate.cell.trace import Trace, Weight, WeightStack
from ablate.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ablate.cell.layer import Layer
    from ablate.cell.module_layer import Steps

Factory = Callable[[int, int], "nn.Module"]  # of the sizes of input and cell, M and N


class ParameterStack(WeightStack):
    """A parameter of a module, which is stored as it is."""

    def weight(self, array: Any, k: int) -> Any:
        """The parameter."""
        return array

    def sized(self, M: int, N: int) -> tuple[int, ...]:
        """Its shape."""
        return self.weights[0].sized(M, N)

    def joined(self, weights: list[Tensor]) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The parameter."""
        return weights[0]


@dataclass(frozen=True)
class ModuleTrace(Trace):
    """In place of a trace: the module answers what the equations would."""

    name: str = ""
    factory: Factory = None  # type: ignore[assignment]
    compiles = False

    def stacks_for(self, M: int, N: int) -> tuple[WeightStack, ...]:
        """The module's parameters, in its order."""
        return tuple(
            ParameterStack(name, (Weight(name, tuple(map(str, parameter.shape))),), ())
            for name, parameter in _trained(_steps(self, M, N).cell)
        )

    def layer_for(self, layer: Layer, M: int, N: int, training: bool = True) -> Layer:
        """The module over whole sequences, whatever layer was made without the sizes."""
        from ablate.cell.module_layer import ModuleLayer

        return ModuleLayer(_steps(self, M, N), training)

    def own_weights(self, M: int, N: int, generator: np.random.Generator) -> Mapping[str, npt.NDArray[np.float64]]:
        """The parameters of a module that is made anew, PyTorch's own generator being seeded for it."""
        module = _make(self, M, N, int(generator.integers(2**62)))
        return {name: parameter.detach().double().numpy() for name, parameter in _trained(module)}

    def parameters(self, M: int, N: int) -> int:
        """How many numbers its parameters hold."""
        return sum(math.prod(stack.sized(M, N)) for stack in self.stacks_for(M, N))

    def operations(self, M: int, N: int) -> tuple[int, int]:
        """As `Trace.operations`, as if each matrix were multiplied once a step; the rest is not known."""
        sizes = [stack.sized(M, N) for stack in self.stacks_for(M, N)]
        return 2 * sum(math.prod(size) for size in sizes if len(size) > 1), 10 * N


def module_trace(name: str, factory: Factory) -> ModuleTrace:
    """What is known of the modules that a factory makes; none is made yet."""
    return ModuleTrace(
        states=(), maps=(), vectors=(), equations=(), outputs=(), name=name, factory=factory, code=_digest(factory)
    )


def _trained(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def _make(trace: ModuleTrace, M: int, N: int, seed: int) -> nn.Module:
    """A module, its weights drawn from a seed; PyTorch's own generator stays as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module = trace.factory(M, N)
        except Exception as error:
            raise UserError(f"{_place(trace, M, N)}: {type(error).__name__}: {error}") from error
    if not isinstance(module, torch.nn.Module):
        raise UserError(f"{_place(trace, M, N)}: it makes a {type(module).__name__}, not a torch.nn.Module")
    if not _trained(module):
        raise UserError(f"{_place(trace, M, N)}: it has no parameters")
    return module


@lru_cache(maxsize=16)
def _steps(trace: ModuleTrace, M: int, N: int) -> Steps:
    """A module with its shapes checked; its weights stand in for those that each pass brings along."""
    from ablate.cell.module_layer import Steps

    return Steps.checked(_make(trace, M, N, 0), M, N, _place(trace, M, N))


def _place(trace: ModuleTrace, M: int, N: int) -> str:
    return f"variant {trace.name!r} for {M} inputs and {N} units"


def _digest(factory: Factory) -> str:
    """Tells one factory's source from another's, so that a study is not continued with a cell that was changed."""
    try:
        said = inspect.getsource(factory)
    except (OSError, TypeError):  # a class that was typed in
        codes = [getattr(each, "__code__", None) for each in (factory, *vars(factory).values())]
        said = "".join(_said(code) for code in codes if code is not None)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _said(code: CodeType) -> str:
    constants = [_said(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"
