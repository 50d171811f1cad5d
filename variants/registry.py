"""What a variant is: a function that says its equations, traced when it is registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.cell.trace import Trace, trace
from ablate.registry import Registry


@dataclass(frozen=True)
class Variant:
    """A recurrent cell: its equations, and what the literature calls them."""

    name: str
    summary: str
    source: str  # the paper that the equations are from
    equations: Callable[..., Any]
    trace: Trace
    groups: tuple[str, ...]
    defined_at: str  # file and line


VARIANTS: Registry[Variant] = Registry("variant")


def variant(
    name: str, summary: str, *, source: str, groups: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as a variant.

    The function takes the input x, the state of the last step and the weights w, and returns the new state in the
    order of the arguments; the first of them is the cell's output. See the README for an example.

    Raises:
        UserError: the equations are wrong, or the name is taken; the message names the file and the line.
    """

    def register(equations: Callable[..., Any]) -> Callable[..., Any]:
        code = equations.__code__
        path = Path(code.co_filename)
        VARIANTS.add(
            Variant(
                name=name,
                summary=summary,
                source=source,
                equations=equations,
                trace=trace(equations, name),
                groups=groups,
                defined_at=f"{path.parent.name}/{path.name}, line {code.co_firstlineno}",
            )
        )
        return equations

    return register
