"""What a variant is: a function that says its equations, traced when it is registered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import FrameType
from typing import Any

from ablate.cell.initial import AsMade, Initial
from ablate.cell.module_trace import Factory, module_trace
from ablate.cell.trace import Trace
from ablate.cell.tracer import trace
from ablate.cell.typeset import text
from ablate.definitions.registry import Registry, interactive
from ablate.errors import UserError


@dataclass(frozen=True)
class Variant:
    """A recurrent cell: its equations, and what the literature calls them."""

    name: str  # on the command line and in figures
    summary: str  # one line
    source: str  # the paper that the equations are from
    equations: Callable[..., Any]  # the function, or what makes the module
    trace: Trace  # what the equations say
    groups: tuple[str, ...]  # that it belongs to
    defined_at: str  # file and line
    family: str  # the file that it stands in, which tables show together
    parent: str | None = None  # the variant that it changes one thing about
    initial: Mapping[str, Initial] = field(default_factory=dict)  # by weight; all others start as the study says
    equal_to: str | None = None  # the variant that has the same law at random weights: a further negative control
    native: Mapping[str, Initial] = field(default_factory=dict)  # as its own paper starts them, by pattern

    def __deepcopy__(self, memo: Any) -> Variant:
        return self  # it does not change

    def __reduce__(self) -> tuple[Any, ...]:
        return _registered, (self.name, self._said())

    def start_of(self, weight: str, native: bool) -> Initial | None:
        """How a weight of the equations starts; None if as the study says.

        Args:
            native: whether as the variant's own paper says, where it does.
        """
        named = (start for pattern, start in self.native.items() if native and fnmatchcase(weight, pattern))
        return next(named, self.initial.get(weight))

    def _said(self) -> str:
        """What the cell computes, as text."""
        return "\n".join([*text(self.trace), self.trace.code])


VARIANTS: Registry[Variant] = Registry("variant", "ablate.variants")


def _registered(name: str, said: str) -> Variant:
    """The variant that was pickled: it is looked up, since functions of a notebook cannot be stored.

    Raises:
        UserError: it is not registered here, or has other equations.
    """
    found = VARIANTS[name]
    if found._said() != said:
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
    native: Mapping[str, Initial] | None = None,
    equal_to: str | None = None,
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
        native: how weights start in the paper that the variant is from, by patterns of their names, `{"R_*":
            Orthogonal()}`, of which the first that fits holds; used by studies with `initialisation = "native"`, and
            before what `initial` says.
        equal_to: a variant that this one equals in law, so that with weights of the same distribution it computes what
            the other computes; reports then show the two as a control, which no test should tell apart.

    Raises:
        UserError: the equations are wrong, or the name is taken; the message names the file and the line.
    """

    # Where it is registered, which for equations under a second name is not where they stand.
    place, home, family = _where(sys._getframe(1))

    def register(equations: Callable[..., Any]) -> Callable[..., Any]:
        traced = trace(equations, name)
        _check(name, groups, place)
        for relation, other in (("has the parent", parent), ("is equal to", equal_to)):
            if other is not None and other not in VARIANTS:
                raise UserError(f"{place}: variant {name!r} {relation} {other!r}, which is not registered before it")
        weights = [weight.name for weight in traced.weights]
        for weight, start in (*(initial or {}).items(), *(native or {}).items()):
            if not any(fnmatchcase(each, weight) for each in weights):
                raise UserError(
                    f"{place}: variant {name!r} has no weight {weight!r}; its weights: {', '.join(weights)}"
                )
            if not callable(start):
                raise UserError(
                    f"{place}: variant {name!r} lets {weight} start as {start!r}; "
                    "say it as Constant(...), Plus(...) or another of ablate.cell.initial"
                )
        VARIANTS.add(
            Variant(
                name=name,
                summary=summary,
                source=source,
                equations=equations,
                trace=traced,
                groups=groups,
                defined_at=place,
                family=family,
                parent=parent,
                initial=dict(initial or {}),
                equal_to=equal_to,
                native=dict(native or {}),
            ),
            module=home,
        )
        return equations

    return register


def module_variant(
    name: str, factory: Factory, *, summary: str = "", source: str = "", groups: tuple[str, ...] = ()
) -> Factory:
    """Register a module of PyTorch as a variant: for a cell that is not point-wise, or that exists already.

        ablate.module_variant("cell", torch.nn.LSTMCell, summary="PyTorch's own")

    It runs step by step on the reference backend, has no equations, and takes part in studies, tests and figures.

    Args:
        name: what it is called on the command line and in figures.
        factory: `factory(M, N)` makes the module for M inputs and N units, such as its class. The module is called
            as PyTorch's own cells are, `module(x, state)`, with x (B, M). At first the state is None, or what the
            module's `initial_state(B)` gives, if it has that method. It returns the new state, a tensor or a tuple of
            tensors, of which the first is the output (B, N). If the output is none of the state it returns
            `(output, (state, ...))`, or `(output, state)` where `initial_state` gives a tensor. The first dimension of
            every state is that of the batch; nothing else is kept between steps.
            Its weights start as it makes them, with PyTorch's generator seeded by the trial.
        summary: one line.
        source: the paper.
        groups: the names of groups that it belongs to.

    Raises:
        UserError: the name is taken, or the factory cannot be called. What is wrong with the modules that it makes is
            told when the first is made.
    """
    place, home, family = _where(sys._getframe(1))
    _check(name, groups, place)
    if type(factory).__module__ != "builtins" and hasattr(factory, "state_dict"):
        kind = type(factory).__name__
        raise UserError(f"{place}: the factory of variant {name!r} is a {kind} that is made already; give its class")
    if not callable(factory):
        raise UserError(f"{place}: the factory of variant {name!r} is {factory!r}; give a class, or another callable")
    VARIANTS.add(
        Variant(
            name=name,
            summary=summary,
            source=source,
            equations=factory,
            trace=module_trace(name, factory),
            groups=groups,
            defined_at=place,
            family=family,
            initial={"every weight": AsMade()},
        ),
        module=home,
    )
    return factory


def _where(caller: FrameType) -> tuple[str, str, str]:
    """Where a variant is registered, for messages; the module's name; the family."""
    path, home = Path(caller.f_code.co_filename), caller.f_globals.get("__name__", "")
    if home == "__main__" and interactive():  # in a notebook or at a prompt, whose files are nobody's
        return f"the notebook, line {caller.f_lineno}", home, "notebook"
    return f"{path.parent.name}/{path.name}, line {caller.f_lineno}", home, path.stem


def _check(name: str, groups: tuple[str, ...], place: str) -> None:
    if not name or "," in name or name != name.strip():
        raise UserError(f"{place}: {name!r} cannot be a variant's name; it must be a word without commas")
    if isinstance(groups, str):
        raise UserError(f"{place}: the groups of variant {name!r} are {groups!r}; give a tuple, ({groups!r},)")
