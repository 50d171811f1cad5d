"""What the tables of a study cannot hold and its report must say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class TaskFacts:
    """One task: what is scored on it, and on which data."""

    name: str
    summary: str = ""
    metric: str = "score"  # the unit, such as "nats per frame"
    direction: str = "minimize"  # or "maximize"
    baseline: float | None = None  # the test score of the best constant predictor
    source: str = ""  # where the data came from
    sha256: str = ""
    counts: dict[str, int] = field(default_factory=dict)  # sequences by split
    frames: dict[str, int] = field(default_factory=dict)  # time steps by split
    notes: list[str] = field(default_factory=list)  # what a reader should know of this copy of the data
    settings: dict[str, object] = field(default_factory=dict)  # of its data, and the sizes of input and output
    theory: bool = False  # whether the baseline comes from theory and not from the data

    @property
    def baseline_name(self) -> str:
        """What the baseline is, as a reader is told it."""
        return "baseline of theory" if self.theory else "constant predictor"


@dataclass(frozen=True)
class VariantFacts:
    """One variant: what it is, and its equations as LaTeX without dollar signs."""

    name: str
    summary: str = ""
    source: str = ""
    equations: list[str] = field(default_factory=list)
    family: str = ""
    parent: str | None = None  # the variant that it changes one thing about
    difference: list[tuple[str, str]] = field(default_factory=list)  # equations marked "+" new, "-" gone, "" kept
    initial: dict[str, str] = field(default_factory=dict)  # how weights start, where the variant says so
    parameters: str = ""  # as a formula in N units and M inputs
    states: int = 0  # vectors of N numbers
    stages: int = 0  # rounds of matrix products that wait for one another

    @property
    def marked(self) -> list[tuple[str, str]]:
        """The equations with their marks; unmarked where no parent is known."""
        return [(mark, line) for mark, line in self.difference] or [("", line) for line in self.equations]


@dataclass(frozen=True)
class Facts:
    """One study: everything but its numbers. Plain types throughout, so that it can be kept as JSON."""

    study: str
    command: str  # what made the study
    expected: int  # trials planned for each task and variant
    tasks: list[TaskFacts]  # in the order of the study
    variants: list[VariantFacts]
    reference: str = "V"
    configuration: dict[str, object] = field(default_factory=dict)  # nested; `paired` is read, the rest is shown
    environment: dict[str, str] = field(default_factory=dict)  # versions, machine, cores, engine

    @property
    def directions(self) -> dict[str, str]:
        return {task.name: task.direction for task in self.tasks}

    @property
    def baselines(self) -> dict[str, float | None]:
        return {task.name: task.baseline for task in self.tasks}

    @property
    def baseline_names(self) -> str:
        """What the baselines of the tasks are called, for a legend."""
        return " or ".join(dict.fromkeys(task.baseline_name for task in self.tasks if task.baseline is not None))

    def task(self, name: str) -> TaskFacts:
        """The facts of a task; bare ones where the study did not announce it."""
        return next((task for task in self.tasks if task.name == name), TaskFacts(name))

    def task_order(self, found: Iterable[str] = ()) -> list[str]:
        """The study's tasks, then any other that the tables hold, so that no row is ever left out unseen."""
        return _with_rest([task.name for task in self.tasks], found)

    def variant_order(self, found: Iterable[str] = ()) -> list[str]:
        """The reference first, then the study's variants in its order, then any other that the tables hold."""
        names = _with_rest([variant.name for variant in self.variants], found)
        return sorted(names, key=lambda name: name != self.reference)

    def ordered(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table's rows by task and variant in the orders above; within them as they stood."""
        places: Mapping[str, list[str]] = {
            "task": self.task_order(table["task"]),
            "variant": self.variant_order(table["variant"]) if "variant" in table else [],
        }
        by = [name for name in ("task", "variant") if name in table]
        return table.sort_values(
            by, key=lambda column: column.map(places[str(column.name)].index), kind="stable", ignore_index=True
        )


def _with_rest(names: list[str], found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*names, *sorted({str(name) for name in found} - set(names))]))
