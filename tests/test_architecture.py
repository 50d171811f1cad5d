"""The house: imports go one way, and the packages that hold variants and tasks are loaded like any other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

# From the ground up: a room imports from those before it, and from itself.
ROOMS = (
    *(
        "__about__",
        "errors",
        "credentials",
        "machine",
        "cache",
        "files",
        "kept",
        "statistics",
        "importance",
        "cell",
        "definitions",
        "plan",
        "data",
        "storage",
    ),
    *("training", "trackers", "analysis", "report", "execution", "api", "testing", "cli"),
)
PACKAGES = ("ablate", "variants", "tasks", "benchmarks")


def modules() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    found = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(file: Path) -> Iterator[str]:
    """What a file imports, as dotted names; inside functions and for types too."""
    todo: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        todo += ast.iter_child_nodes(node)


def room(module: str) -> str:
    return [*module.split("."), ""][1]


def test_no_import_goes_in_a_circle() -> None:
    """Nor one that is made late or for types alone: these are for what is slow, not for what is upside down."""
    known = modules()
    graph = {name: {each for each in imports(file) if each in known and each != name} for name, file in known.items()}
    # A package's __init__ is imported before its modules, which is no circle unless it imports them itself.
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("name", [name for name in modules() if name.startswith("ablate.")])
def test_imports_go_one_way(name: str) -> None:
    file = modules()[name]
    assert room(name) in ROOMS, f"{name} is in no known room"
    for imported in imports(file):
        if imported.startswith("ablate.") and room(imported):
            assert ROOMS.index(room(imported)) <= ROOMS.index(room(name)), f"{name} imports {imported}"


def test_the_library_imports_neither_variants_nor_tasks() -> None:
    """They are offered by entry points, as those of other packages are."""
    for name, file in modules().items():
        if name.startswith("ablate"):
            for imported in imports(file):
                assert imported.split(".")[0] not in ("variants", "tasks", "benchmarks", "tests"), f"{name}: {imported}"


def test_files_can_be_read_in_one_sitting() -> None:
    for name, file in modules().items():
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, f"{name}: split it by concept"
