"""What a variant changes about another: their equations side by side, as a programmer's diff."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

KEPT, NEW, GONE = "", "+", "-"


def difference(own: Sequence[str], parent: Sequence[str]) -> list[tuple[str, str]]:
    """Each equation of the two with its mark: kept, new in `own`, or gone from `parent`."""
    marked: list[tuple[str, str]] = []
    matcher = difflib.SequenceMatcher(None, parent, own, autojunk=False)
    for what, p0, p1, o0, o1 in matcher.get_opcodes():
        if what == "equal":
            marked += [(KEPT, line) for line in own[o0:o1]]
        else:
            marked += [(GONE, line) for line in parent[p0:p1]] + [(NEW, line) for line in own[o0:o1]]
    return marked
