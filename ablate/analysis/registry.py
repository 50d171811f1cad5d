"""The registry of analyses, and the tables that they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from ablate.definitions.registry import Registry
from ablate.definitions.study_results import StudyResults

# An analysis takes a study's results and the tables of all analyses, each computed when it is asked for.
Compute = Callable[[StudyResults, Mapping[str, pd.DataFrame]], pd.DataFrame]


@dataclass(frozen=True)
class Analysis:
    """A named table, and the function that computes it."""

    name: str
    compute: Compute
    defined_at: str
    groups: tuple[str, ...] = ()


ANALYSES: Registry[Analysis] = Registry("analysis")


def analysis(name: str) -> Callable[[Compute], Compute]:
    """Register the decorated function as an analysis, whose table the report writes to tables/`name`.csv.

    The function takes a study's results and the tables of the other analyses, by name; it returns a table and changes
    neither. The order of the rows that it is given must not show in what it returns. Rows with a task or variant are
    put into the study's order afterwards. `ablate.testing.analyses.check_analysis` tells whether all this holds.

        @analysis("divergence")
        def divergence(results, tables):
            diverged = tables["scored_trials"]["state"].eq("diverged")
            return diverged.groupby(tables["scored_trials"]["variant"]).mean().reset_index(name="share")

    Raises:
        UserError: the name is taken.
    """

    def register(compute: Compute) -> Compute:
        ANALYSES.add(Analysis(name, compute, defined_at=f"{compute.__module__}.{compute.__qualname__}"))
        return compute

    return register


class AnalysisTables(Mapping[str, pd.DataFrame]):
    """The tables of a study by the name of their analysis: each is computed when it is first asked for, and once.

    Rows stand in the study's order of tasks and variants.
    """

    def __init__(self, results: StudyResults) -> None:
        self.results = results
        self._computed: dict[Analysis, pd.DataFrame] = {}
        self._under_way: list[str] = []

    def __getitem__(self, name: str) -> pd.DataFrame:
        """The table of an analysis.

        Raises:
            UserError: there is no analysis of this name.
            RecursionError: the analysis asks for its own table, by way of others.
        """
        entry = ANALYSES[name]
        if entry not in self._computed:
            if entry.name in self._under_way:
                raise RecursionError(f"analyses ask for one another: {' > '.join([*self._under_way, entry.name])}")
            self._under_way.append(entry.name)
            try:
                self._computed[entry] = self.results.ordered(entry.compute(self.results, self))
            except Exception as error:
                error.add_note(f"in the analysis {entry.name!r}, {entry.defined_at}")
                raise
            finally:
                self._under_way.pop()
        # A copy that shares its numbers until one of the two is changed, so that nobody changes another's table.
        return self._computed[entry].copy(deep=False)

    def __iter__(self) -> Iterator[str]:
        return (entry.name for entry in ANALYSES)

    def __len__(self) -> int:
        return len(ANALYSES)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in ANALYSES
