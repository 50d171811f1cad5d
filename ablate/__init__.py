"""ablate: which parts of a recurrent cell matter, and why.

The names below are imported when they are first used, so that `import ablate` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ablate.__about__ import __version__

if TYPE_CHECKING:
    from ablate.definitions.variant import variant

_HOMES = {"variant": "ablate.definitions.variant"}

__all__ = ["__version__", "variant"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ablate' has no attribute {name!r}")
    module = import_module(_HOMES[name])
    if name == "variant":
        module.VARIANTS.load()  # the registered ones stand before those that are made with it
    return getattr(module, name)
