"""What a study has found: its trials, curves and samples, and what is known of its tasks and variants.

These classes are the one place that says which fields exist: the storage writes and reads them, the analyses
compute from them, the report prints them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ablate.definitions.scores import SCORES
from ablate.kept import Kept

if TYPE_CHECKING:
    import pandas as pd


EQUIVALENCE_MARGIN = 0.01


class _Metadata:
    """A dataclass of plain types, so that it can be kept as JSON."""

    former_names: ClassVar[Mapping[str, str]] = {}  # of fields, as older versions wrote them

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """Read what this or another version wrote: an unknown field is left out, a missing one has its default."""
        known = {each.name for each in fields(cls)}  # pyright: ignore[reportArgumentType]
        named = {cls.former_names.get(name, name): value for name, value in kept.items()}
        return cls(**{name: value for name, value in named.items() if name in known})


@dataclass(frozen=True)
class TaskMetadata(_Metadata):
    """One task: what is scored on it, and on which data."""

    name: str  # the task's name
    summary: str = ""  # one line
    loss: str = ""  # with the score, what makes it another task; empty in a study of before they were kept
    score: str = ""  # the name of what is reported, such as "error_rate"
    metric: str = "score"  # the unit, such as "nats per frame"
    direction: str = "minimize"  # or "maximize"
    baseline: float | None = None  # the test score of the best constant predictor
    theoretical_baseline: bool = False  # whether the baseline comes from theory and not from the data
    source: str = ""  # where the data came from
    sha256: str = ""  # over the numbers of the data, whatever their file
    counts: dict[str, int] = field(default_factory=dict)  # sequences by split
    frames: dict[str, int] = field(default_factory=dict)  # time steps by split
    notes: list[str] = field(default_factory=list)  # what a reader should know of this copy of the data
    settings: dict[str, object] = field(default_factory=dict)  # of its data, and the sizes of input and output

    former_names: ClassVar[Mapping[str, str]] = {"theory": "theoretical_baseline"}

    @property
    def room(self) -> float:
        """How far the baseline is from a perfect score; NaN where one of the two is not known."""
        if self.baseline is None or self.score not in SCORES:
            return math.nan
        return abs(self.baseline - SCORES[self.score].perfect)

    @property
    def baseline_name(self) -> str:
        """What a reader is told that the baseline is."""
        return "baseline of theory" if self.theoretical_baseline else "constant predictor"


@dataclass(frozen=True)
class VariantMetadata(_Metadata):
    """One variant: what it is, and its equations as LaTeX without dollar signs."""

    name: str  # the variant's name
    summary: str = ""  # one line
    source: str = ""  # the paper that the equations are from
    equations: list[str] = field(default_factory=list)  # as LaTeX
    family: str = ""  # the file that it stands in
    parent: str | None = None  # the variant that it changes one thing about
    difference: list[tuple[str, str]] = field(default_factory=list)  # equations marked "+" new, "-" gone, "" kept
    code: str = ""  # a digest of the source, where there are no equations
    initial: dict[str, str] = field(default_factory=dict)  # how weights start, where the variant says so
    parameters: str = ""  # as a formula in N units and M inputs
    states: int = 0  # vectors of N numbers
    stages: int = 0  # rounds of matrix products that wait for one another
    equal_to: str | None = None  # the variant that has the same law at random weights, so that no test should tell them

    @property
    def marked_equations(self) -> list[tuple[str, str]]:
        """The equations with their marks; unmarked where no parent is known."""
        return [(mark, line) for mark, line in self.difference] or [("", line) for line in self.equations]


def _no_rows() -> pd.DataFrame:
    import pandas as pd  # slow to import, and most of who need these classes need no table

    return pd.DataFrame()


@dataclass(frozen=True, eq=False)
class StudyResults:
    """All that a study has found. Any of its tables may be empty, and even lack its columns."""

    name: str  # the study's
    # A row a trial: task, variant, index, state, the hyperparameters, validation, test, best_epoch, epochs, parameters,
    # seconds, reason. `validation` and `test` are in the unit of the task's metric.
    trials: pd.DataFrame
    # A row an epoch: task, variant, index, epoch, train, validation. Empty where there are more than a million of them,
    # for which memory should not be asked: `curves_of` gives those of some trials, in any study.
    curves: pd.DataFrame
    samples: pd.DataFrame  # a row a trial whose network wrote a text: task, variant, index, sample
    tasks: list[TaskMetadata]  # in the order of the study
    variants: list[VariantMetadata]  # in the order of the study
    expected_trials: int  # planned for each task and variant
    reference: str = "V"  # the variant that all others are compared with
    # Search trials trained again with everything but the hyperparameters drawn anew: the columns of `trials`, and
    # purpose ("control" or "confirmation") and replicate (from 1).
    replicates: pd.DataFrame = field(default_factory=_no_rows)
    # Where hours cut the study short, by task the trials and replicates beyond its last whole index: they stand in the
    # study's tables, and not in these.
    not_compared: Mapping[str, int] = field(default_factory=dict)
    command: str = ""  # what made the study
    configuration: Mapping[str, Any] = field(default_factory=dict)  # nested
    environment: Mapping[str, str] = field(default_factory=dict)  # versions, machine, cores, backend
    kept: Kept = field(default_factory=Kept)  # what slow analyses have computed of it
    # Reads the curves of some trials, by task, variant and index, where `curves` holds none: all need not be in memory.
    read_curves: Callable[[pd.DataFrame], pd.DataFrame] | None = None

    def curves_of(self, trials: pd.DataFrame) -> pd.DataFrame:
        """The rows of curves of these trials, by task, variant and index."""
        if self.read_curves is not None:
            return self.read_curves(trials)
        return self.curves.merge(trials[["task", "variant", "index"]], how="inner") if len(self.curves) else self.curves

    @property
    def directions(self) -> dict[str, str]:
        """Whether a task's score is to "minimize" or to "maximize"."""
        return {task.name: task.direction for task in self.tasks}

    @property
    def baselines(self) -> dict[str, float | None]:
        """The test score of each task's baseline."""
        return {task.name: task.baseline for task in self.tasks}

    @property
    def margins(self) -> dict[str, float]:
        """By task the difference of scores that is of no practical matter, set beforehand; NaN without a baseline.

        It is `equivalence_margin`, 1 % by default, of the way from the baseline to a perfect score.
        """
        share = float(self.configuration.get("equivalence_margin", EQUIVALENCE_MARGIN))
        return {task.name: share * task.room for task in self.tasks}

    @property
    def matched_to(self) -> str:
        """The variant whose number of parameters all others have at each draw; empty where sizes are not matched."""
        if self.configuration.get("match", "none") == "none":
            return ""
        return str(self.configuration.get("reference") or StudyResults.reference)

    @property
    def processors(self) -> dict[str, int]:
        """On how many trials and replicates each kind of processor ran; empty where an older version ran them all."""
        tables = [table["processor"] for table in (self.trials, self.replicates) if "processor" in table]
        return dict(Counter(str(name) for names in tables for name in names.dropna()).most_common())

    @property
    def control_numbers(self) -> list[int]:
        """The replicates of the reference that are its negative controls."""
        table = self.replicates
        if not {"purpose", "variant", "replicate"} <= set(table):
            return []
        mine = table[table["purpose"].eq("control") & table["variant"].eq(self.reference)]
        return sorted({int(number) for number in mine["replicate"]})

    @property
    def controls(self) -> list[str]:
        """The names that tables give to the negative controls: trials of the reference under other names."""
        return [control_name(number) for number in self.control_numbers]

    @property
    def task_order(self) -> list[str]:
        """The study's tasks, then any other that has trials, so that no row is ever left out unseen."""
        return _with_others([task.name for task in self.tasks], _names(self.trials, "task"))

    @property
    def variant_order(self) -> list[str]:
        """The reference and its controls first, then the study's variants in its order, then any other with trials."""
        names = _with_others([variant.name for variant in self.variants], _names(self.trials, "variant"))
        first = [name for name in names if name == self.reference] + self.controls
        return list(dict.fromkeys([*first, *names]))

    def task(self, name: str) -> TaskMetadata:
        """What is known of a task; nothing but its name where the study does not announce it."""
        return next((task for task in self.tasks if task.name == name), TaskMetadata(name))

    def sign(self, task: str) -> float:
        """+1 where a lower score is better, -1 where a higher one is: a score times its sign is a loss."""
        return -1.0 if self.task(task).direction == "maximize" else 1.0

    def signs(self, table: pd.DataFrame) -> pd.Series:
        """The `sign` of each row's task, shape (rows,)."""
        signs = {task: self.sign(task) for task in _names(table, "task")}
        column: Any = table["task"]
        return _looked_up(column, signs)

    def ordered(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table's rows by task and variant in the orders above; within them as they stood."""
        places = {"task": self.task_order, "variant": self.variant_order}
        by = [name for name in places if name in table]
        if not by:
            return table
        ranks = {
            name: {value: rank for rank, value in enumerate(_with_others(places[name], _names(table, name)))}
            for name in by
        }
        return table.sort_values(
            by, key=lambda column: _looked_up(column, ranks[str(column.name)]), kind="stable", ignore_index=True
        )


def control_name(number: int) -> str:
    """What tables call a negative control."""
    return f"control {number}"


def _looked_up(column: pd.Series, found: Mapping[str, float]) -> pd.Series:
    """What each name in a column stands for; as categories, of which each is looked up once."""
    return column.astype("category").map(found).astype(float)  # pyright: ignore[reportArgumentType]


def _names(table: pd.DataFrame, column: str) -> set[str]:
    return set(map(str, table[column].unique())) if column in table else set()


def _with_others(names: list[str], found: set[str]) -> list[str]:
    return list(dict.fromkeys([*names, *sorted(found - set(names))]))
