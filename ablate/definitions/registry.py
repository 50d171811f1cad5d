"""A registry of named things: variants and tasks are each kept in one of these."""

from __future__ import annotations

import builtins
import difflib
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar

from ablate.errors import UserError


class Entry(Protocol):
    """What a registry keeps: a thing with a name, where it is defined, and the groups that it belongs to."""

    @property
    def name(self) -> str: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def defined_at(self) -> str: ...


OWN = "ablate"  # the name of the project's own entry points, in pyproject.toml

E = TypeVar("E", bound=Entry)


class Registry(Generic[E]):
    """Entries by name, in the order of their registration; names are matched without regard to case.

    Installed packages offer entries by an entry point that names their module. The project's own `variants` and
    `tasks` are offered like those of any other package. All of them are imported at the first look into the registry.

    Args:
        kind: what an entry is called in messages, such as "variant".
        entry_point_group: the group of entry points, such as "ablate.variants".
    """

    def __init__(self, kind: str, entry_point_group: str = "") -> None:
        self.kind = kind
        self._entry_point_group = entry_point_group
        self._entries: dict[str, E] = {}
        self._homes: dict[str, str] = {}  # the module that registered each entry
        self._offered: set[str] = set()  # packages that every process imports by itself
        self._loaded = not entry_point_group

    def load(self) -> None:
        """Import the modules that installed packages offer, the project's own first.

        Raises:
            UserError: none is offered, or one of them raises an exception.
        """
        if self._loaded:
            return
        self._loaded = True  # before the imports, which look into the registry themselves
        offered = entry_points(group=self._entry_point_group)
        if not offered:
            raise UserError(
                "ablate is not installed in this environment: run `python -m pip install -e .` in its clone"
            )
        self._offered = {each.module.partition(".")[0] for each in offered}
        try:
            # An installation under an old name and one under today's offer the same modules: each counts once.
            once = {(each.name, each.value): each for each in offered}.values()
            for each in sorted(once, key=lambda each: each.name != OWN):
                self._import(each)
        except UserError:
            self._loaded = False  # so that the next look says the same
            raise

    def _import(self, offered: EntryPoint) -> None:
        try:
            offered.load()
        except Exception as error:
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            raise UserError(
                f"the {self.kind}s of the installed package {_package(offered)} ({offered.value}) cannot be loaded: "
                f"{reason}; mend or uninstall it"
            ) from error

    def add(self, entry: E, module: str | None = None) -> E:
        """Register an entry.

        Where cells of a notebook, or lines at a prompt, register a name twice, the second takes the place of the first.

        Args:
            entry: what to register.
            module: the name of the module that registers it; by default the one that calls.

        Raises:
            UserError: the name is taken; the message names both places.
        """
        home = sys._getframe(1).f_globals.get("__name__", "") if module is None else module
        key = entry.name.lower()
        taken = self._entries.get(key)
        if taken is not None and not (home == self._homes.get(key) == "__main__" and interactive()):
            raise UserError(
                f"{self.kind} {entry.name!r} is defined twice: at {taken.defined_at} and at {entry.defined_at}; "
                "rename one of them"
            )
        known = [each for each in self._entries.values() if each is not taken]
        groups = {"all", *(group for each in known for group in each.groups)}
        for name in {entry.name} & groups or {each.name for each in known} & set(entry.groups):
            raise UserError(f"{entry.defined_at}: {name!r} would be both a {self.kind} and a group; rename one of them")
        self._entries[key] = entry
        self._homes[key] = home
        return entry

    def remove(self, name: str) -> None:
        """Forget an entry, so that its name is free. An entry of an installed package comes back in the next process.

        Raises:
            UserError: there is no entry of this name.
        """
        entry = self[name]
        del self._entries[entry.name.lower()]

    def unimportable(self, entries: Iterable[E], modules: Iterable[str] = ()) -> list[str]:
        """The names of entries that no other process would find: those of a notebook, a script, a module of its own.

        Args:
            entries: those to look at.
            modules: names of modules that other processes load besides those of installed packages.
        """
        self.load()
        homes = {entry.name: self._homes.get(entry.name.lower(), "") for entry in entries}
        found = {*modules}
        return [name for name, home in homes.items() if home.partition(".")[0] not in self._offered | found]

    def including(self, entries: Iterable[E]) -> Registry[E]:
        """A copy with further entries, for one study.

        Raises:
            UserError: a name is taken.
        """
        self.load()
        copy = Registry[E](self.kind)
        copy._entries = dict(self._entries)
        for entry in entries:
            copy.add(entry)
        return copy

    def __iter__(self) -> Iterator[E]:
        self.load()
        return iter(self._entries.values())

    def __len__(self) -> int:
        self.load()
        return len(self._entries)

    def __contains__(self, name: str) -> bool:
        # What is there is found without a load, so that a module which is being imported can ask for its own entries.
        if name.lower() not in self._entries:
            self.load()
        return name.lower() in self._entries

    def __getitem__(self, name: str) -> E:
        self.load()
        try:
            return self._entries[name.lower()]
        except KeyError:
            raise UserError(self.unknown(name)) from None

    def groups(self) -> dict[str, list[E]]:
        """The members of each group, `all` first."""
        members: dict[str, list[E]] = {"all": list(self)}
        for entry in self:
            for group in entry.groups:
                members.setdefault(group, []).append(entry)
        return members

    def select(self, wanted: Iterable[str]) -> list[E]:
        """The entries that names and groups stand for, each once, in the order asked for.

        Raises:
            UserError: a name is unknown, or none is given.
        """
        groups = self.groups()
        chosen: dict[str, E] = {}
        names = {entry.name for entry in self}
        for word in wanted:
            # As it is spelled, and only then without regard to case: GRU is an entry, gru a group.
            known = word in names or (word in self and word not in groups)
            members = [self[word]] if known else groups.get(word.lower())
            if members is None:
                raise UserError(self.unknown(word))
            chosen.update({entry.name: entry for entry in members})
        if not chosen:
            raise UserError(f"no {self.kind} is named; give names or a group ({', '.join(groups)})")
        return list(chosen.values())

    def unknown(self, name: str) -> str:
        """That a name is unknown, in words, with those that are near."""
        names = [entry.name for entry in self]
        by_lower = {word.lower(): word for word in [*names, *self.groups()]}
        near = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(by_lower[word] for word in near)}?" if near else f"known: {', '.join(names)}"
        return f"unknown {self.kind} {name!r}: {hint}"


def _package(offered: EntryPoint) -> str:
    return offered.dist.name if offered.dist else "?"


def interactive() -> bool:
    """Whether somebody types: at a prompt, or in the cells of a notebook."""
    main = sys.modules.get("__main__")
    return hasattr(sys, "ps1") or hasattr(builtins, "__IPYTHON__") or not hasattr(main, "__file__")
