"""ablate: which parts of a recurrent cell matter, and why.

The names below are imported when they are first used, so that `import ablate` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ablate.__about__ import __version__

if TYPE_CHECKING:
    from ablate.api.compare import compare
    from ablate.api.layer import RecurrentLayer, layer
    from ablate.api.run import load, run
    from ablate.api.study import Study
    from ablate.cell.language import exp, log, maximum, minimum, relu, sigmoid, softplus, sqrt, tanh
    from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
    from ablate.definitions.scores import SCORES, Score
    from ablate.definitions.task import TASKS, Task
    from ablate.definitions.variant import VARIANTS, module_variant, variant
    from ablate.errors import UserError

_HOMES = {
    "Dataset": "ablate.definitions.dataset",
    "RecurrentLayer": "ablate.api.layer",
    "SCORES": "ablate.definitions.scores",
    "Score": "ablate.definitions.scores",
    "Sequences": "ablate.definitions.dataset",
    "Study": "ablate.api.study",
    "TASKS": "ablate.definitions.task",
    "TargetPosition": "ablate.definitions.dataset",
    "Task": "ablate.definitions.task",
    "UserError": "ablate.errors",
    "VARIANTS": "ablate.definitions.variant",
    "compare": "ablate.api.compare",
    "layer": "ablate.api.layer",
    "load": "ablate.api.run",
    "module_variant": "ablate.definitions.variant",
    "run": "ablate.api.run",
    "variant": "ablate.definitions.variant",
    **dict.fromkeys(
        ("exp", "log", "maximum", "minimum", "relu", "sigmoid", "softplus", "sqrt", "tanh"), "ablate.cell.language"
    ),
}

__all__ = [
    "SCORES",
    "TASKS",
    "VARIANTS",
    "Dataset",
    "RecurrentLayer",
    "Score",
    "Sequences",
    "Study",
    "TargetPosition",
    "Task",
    "UserError",
    "__version__",
    "compare",
    "exp",
    "layer",
    "load",
    "log",
    "maximum",
    "minimum",
    "module_variant",
    "relu",
    "run",
    "sigmoid",
    "softplus",
    "sqrt",
    "tanh",
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
