"""ablate: which parts of a recurrent cell matter, and why.

The names below are imported when they are first used, so that `import ablate` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ablate.__about__ import __version__

if TYPE_CHECKING:
    from ablate.api.layer import RecurrentLayer, layer
    from ablate.api.run import load, run
    from ablate.api.study import Study
    from ablate.definitions.variant import VARIANTS, module_variant, variant
    from ablate.errors import UserError

_HOMES = {
    "RecurrentLayer": "ablate.api.layer",
    "Study": "ablate.api.study",
    "UserError": "ablate.errors",
    "VARIANTS": "ablate.definitions.variant",
    "layer": "ablate.api.layer",
    "load": "ablate.api.run",
    "module_variant": "ablate.definitions.variant",
    "run": "ablate.api.run",
    "variant": "ablate.definitions.variant",
}

__all__ = [
    "VARIANTS",
    "RecurrentLayer",
    "Study",
    "UserError",
    "__version__",
    "layer",
    "load",
    "module_variant",
    "run",
    "variant",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ablate' has no attribute {name!r}")
    module = import_module(_HOMES[name])
    if name in ("variant", "module_variant"):
        module.VARIANTS.load()  # the registered ones stand before those that are made with it
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
