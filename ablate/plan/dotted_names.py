"""A nested configuration as one list of dotted names, as on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of a nested configuration with their dotted names; an empty table is an entry."""
    for name, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
