"""Modules that register something are found by where they stand, not by a list."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules


def import_modules(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, in the order of their names, so that what they register is there.

    Called by the package's own `__init__` as `import_modules(__name__, __path__)`.
    """
    for name in sorted(module.name for module in iter_modules(path)):
        import_module(f"{package}.{name}")
