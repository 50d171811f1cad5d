"""What a variant is: a function that says its equations, traced when it is registered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablate.cell.initial import Initial
from ablate.cell.trace import Trace
from ablate.cell.tracer import trace
from ablate.definitions.registry import Registry, interactive
from ablate.errors import UserError


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
    family: str  # the file that it stands in, which tables show together
    parent: str | None = None  # the variant that it changes one thing about
    initial: Mapping[str, Initial] = field(default_factory=dict)  # by weight; all others start as the study says

    def __deepcopy__(self, memo: Any) -> Variant:
        return self  # it does not change

    def __reduce__(self) -> tuple[Any, ...]:
        return _registered, (self.name, self.trace)


VARIANTS: Registry[Variant] = Registry("variant", "ablate.variants")


def _registered(name: str, trace: Trace) -> Variant:
    """The variant that was pickled: it is looked up, since functions of a notebook cannot be stored.

    Raises:
        UserError: it is not registered here, or has other equations.
    """
    found = VARIANTS[name]
    if found.trace != trace:
        raise UserError(f"variant {name!r} has other equations ({found.defined_at}) than when it was pickled")
    return found


def variant(
    name: str,
    summary: str,
    *,
    source: str = "",
    groups: tuple[str, ...] = (),
    parent: str | None = None,
    initial: Mapping[str, Initial] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as a variant.

    The function takes the input x, the state of the last step and the weights w, and returns the new state in the
    order of the arguments; the first of them is the cell's output. See the README for an example.

    Args:
        name: what it is called on the command line and in figures.
        summary: one line.
        source: the paper.
        groups: the names of groups that it belongs to.
        parent: the variant that it changes one thing about, which is then shown side by side.
        initial: how weights start, by name, where that belongs to the variant; see `ablate.cell.initial`.

    Raises:
        UserError: the equations are wrong, or the name is taken; the message names the file and the line.
    """

    # Where it is registered, which for equations under a second name is not where they stand.
    caller = sys._getframe(1)
    path, home = Path(caller.f_code.co_filename), caller.f_globals.get("__name__", "")
    typed = home == "__main__" and interactive()  # in a notebook or at a prompt, whose files are nobody's
    place = f"{'the notebook' if typed else f'{path.parent.name}/{path.name}'}, line {caller.f_lineno}"

    def register(equations: Callable[..., Any]) -> Callable[..., Any]:
        traced = trace(equations, name)
        if not name or "," in name or name != name.strip():
            raise UserError(f"{place}: {name!r} cannot be a variant's name; it must be a word without commas")
        if parent is not None and parent not in VARIANTS:
            raise UserError(f"{place}: variant {name!r} has the parent {parent!r}, which is not registered before it")
        weights = [weight.name for weight in traced.weights]
        for weight, start in (initial or {}).items():
            if weight not in weights:
                raise UserError(
                    f"{place}: variant {name!r} has no weight {weight!r}; its weights: {', '.join(weights)}"
                )
            if not callable(start):
                raise UserError(
                    f"{place}: variant {name!r} lets {weight} start as {start!r}; "
                    "say it as Constant(...), Plus(...) or another of ablate.cell.initial"
                )
        if isinstance(groups, str):
            raise UserError(f"{place}: the groups of variant {name!r} are {groups!r}; give a tuple, ({groups!r},)")
        VARIANTS.add(
            Variant(
                name=name,
                summary=summary,
                source=source,
                equations=equations,
                trace=traced,
                groups=groups,
                defined_at=place,
                family="notebook" if typed else path.stem,
                parent=parent,
                initial=dict(initial or {}),
            ),
            module=home,
        )
        return equations

    return register
