"""A registry of named things: variants and tasks are both kept in one of these."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
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


E = TypeVar("E", bound=Entry)


class Registry(Generic[E]):
    """Entries by name, in the order of their registration; names are matched without regard to case."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, E] = {}

    def add(self, entry: E) -> E:
        """Register an entry; a name already taken is refused, naming both sides."""
        taken = self._entries.get(entry.name.lower())
        if taken is not None:
            raise UserError(
                f"{self.kind} {entry.name!r} is defined twice: at {taken.defined_at} and at {entry.defined_at}; "
                "rename one of them"
            )
        for name in {entry.name} & set(self.groups()) or {each.name for each in self} & set(entry.groups):
            raise UserError(f"{entry.defined_at}: {name!r} would be both a {self.kind} and a group; rename one of them")
        self._entries[entry.name.lower()] = entry
        return entry

    def __iter__(self) -> Iterator[E]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._entries

    def __getitem__(self, name: str) -> E:
        try:
            return self._entries[name.lower()]
        except KeyError:
            raise UserError(self._unknown(name)) from None

    def groups(self) -> dict[str, list[E]]:
        """The members of each group, `all` first."""
        members: dict[str, list[E]] = {"all": list(self)}
        for entry in self:
            for group in entry.groups:
                members.setdefault(group, []).append(entry)
        return members

    def select(self, wanted: Iterable[str]) -> list[E]:
        """The entries that names and groups stand for, each once, in the order asked for."""
        groups = self.groups()
        chosen: dict[str, E] = {}
        names = {entry.name for entry in self}
        for word in wanted:
            # As it is spelled, and only then without regard to case: GRU is an entry, gru a group.
            known = word in names or (word in self and word not in groups)
            members = [self[word]] if known else groups.get(word.lower())
            if members is None:
                raise UserError(self._unknown(word))
            chosen.update({entry.name: entry for entry in members})
        if not chosen:
            raise UserError(f"no {self.kind} is named; give names or a group ({', '.join(groups)})")
        return list(chosen.values())

    def _unknown(self, name: str) -> str:
        names = [entry.name for entry in self]
        by_lower = {word.lower(): word for word in [*names, *self.groups()]}
        near = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(by_lower[word] for word in near)}?" if near else f"known: {', '.join(names)}"
        return f"unknown {self.kind} {name!r}: {hint}"
