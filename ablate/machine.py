"""The machine that this process runs on."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

_VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}  # flags of Linux, the widest first: sums are made in other orders


@cache
def processor() -> str:
    """The kind of its processor, on which the last bits of a result depend.

    A virtual machine may call processors of different generations by one name, so that family, model and the width of
    vectors are said as well, where Linux tells them: `AMD EPYC family 26 model 2 AVX-512`.
    """
    file = Path("/proc/cpuinfo")
    return kind_of(file.read_text() if file.exists() else "") or platform.machine()


def kind_of(cpuinfo: str) -> str:
    """The kind of the first processor in Linux's `/proc/cpuinfo`; empty where that names none."""
    first: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        first.setdefault(key.strip(), value.strip())
    if not first.get("model name"):
        return ""
    flags = first.get("flags", "").split()
    parts = [first["model name"]]
    parts += [f"{word} {first[key]}" for key, word in (("cpu family", "family"), ("model", "model")) if first.get(key)]
    parts += [name for flag, name in _VECTORS.items() if flag in flags][:1]
    return " ".join(parts)
