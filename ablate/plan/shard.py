"""A shard: a slice of a study by index, which one of several machines runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ablate.errors import UserError


@dataclass(frozen=True)
class Shard:
    """The i-th of n shards has the indices i-1, i-1+n, ..., so that all of them end at about the same time."""

    number: int  # i, from 1
    of: int  # n

    def __contains__(self, index: int) -> bool:
        return index % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.number}-of-{self.of}"


def parse_shard(text: str) -> Shard | None:
    """The shard that `2/4` stands for; None for an empty text.

    Raises:
        UserError: it stands for none.
    """
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"shard is {text!r}; it must be i/n, the i-th of n shards, such as 2/4")
    return Shard(int(found[1]), int(found[2]))
