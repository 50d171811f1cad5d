"""A study in the hands of who works with it: its tables, comparisons and figures."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.definitions.study_results import StudyResults
from ablate.errors import UserError, storage_errors
from ablate.plan.config import cores
from ablate.storage.folder import StudyFolder
from ablate.storage.results import load_results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ablate.analysis import AnalysisTables

SHOWN = 12  # variants that are named one by one


class Study:
    """What a study has found, as it stood when `ablate.run` or `ablate.load` gave it.

    Tables are pandas' own, and the reader's: changing one changes neither the study nor another table.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._results = load_results(folder)

    @property
    def name(self) -> str:
        """The study's name."""
        return self._folder.name

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._folder.path

    @property
    def results(self) -> StudyResults:
        """All that it has found, with what is known of its tasks, variants and environment."""
        return self._results

    @property
    def trials(self) -> pd.DataFrame:
        """A row a trial: coordinates, state, hyperparameters, scores in the unit of the task's metric, seconds.

        The scores of a diverged trial are NaN, so that a mean of them flatters what diverges: compare by `scored`.
        """
        return self.results.trials.copy()

    @property
    def curves(self) -> pd.DataFrame:
        """A row an epoch: the training and validation score."""
        return self.results.curves_of(self.results.trials)

    @property
    def samples(self) -> pd.DataFrame:
        """A row a trial whose network wrote a text."""
        return self.results.samples.copy()

    @property
    def replicates(self) -> pd.DataFrame:
        """A row a replicate, which trains a trial's setting anew: as `trials`, with `purpose` and `replicate`."""
        return self.results.replicates.copy()

    @property
    def scored(self) -> pd.DataFrame:
        """The trials with `score`, by which they are compared: no worse than the baseline, which diverged ones have."""
        return self.table("scored_trials")

    @property
    def tables(self) -> list[str]:
        """The names of the analyses, for `table`."""
        return list(self._tables)

    def table(self, name: str) -> pd.DataFrame:
        """The table of an analysis, as the report writes it to tables/`name`.csv.

        Those of importance hold what has been computed: see `report`.

        Raises:
            UserError: there is no analysis of this name.
        """
        return self._tables[name].copy()

    def compare(self, reference: str | None = None, variants: Sequence[str] | None = None) -> pd.DataFrame:
        """Every variant against one of them: the table "comparisons", whose docstring says what it holds.

            study.compare("CIFG")
            study.compare(variants=["NIG", "NFG", "NOG"])  # a family declared beforehand, corrected on its own

        Args:
            reference: what they are compared with; the study's own reference if None.
            variants: the family that is compared; every variant if None.

        Raises:
            UserError: the study has no trials of one of these variants.
        """
        from ablate.analysis import AnalysisTables

        results = self.results
        reference = self._variant(reference or results.reference)
        trials, replicates = results.trials, results.replicates
        if variants is not None:
            family = [reference, *map(self._variant, variants)]
            trials = trials[trials["variant"].isin(family)]
            replicates = replicates[replicates["variant"].isin(family)] if len(replicates) else replicates
        results = replace(results, reference=reference, trials=trials, replicates=replicates)
        return AnalysisTables(results)["comparisons"]

    def _variant(self, name: str) -> str:
        """The name of a variant as the study spells it."""
        found = [each for each in self.results.variant_order if each in set(self.results.trials["variant"])]
        spelled = {each.lower(): each for each in found}
        if name.lower() not in spelled:
            raise UserError(f"study {self.name!r} has no trials of {name!r}; it has {', '.join(found) or 'none'}")
        return spelled[name.lower()]

    @property
    def figures(self) -> list[str]:
        """The names of the figures, for `figure`."""
        from ablate.report.registry import FIGURES

        self._load_report()
        return [figure.name for figure in FIGURES]

    def figure(self, name: str = "boxes") -> Figure:
        """A figure of the report, drawn anew; a notebook shows it.

        Raises:
            UserError: there is no figure of this name.
        """
        from ablate.report.registry import FIGURES

        self._load_report()
        figure = FIGURES[name](self._tables)
        _show_in_notebooks(type(figure))
        return figure

    def report(self, full: bool = False) -> Path:
        """The page of the report, which is written where it does not show all trials.

        Args:
            full: write it anew with importance, which takes minutes; `table` has it then.

        Raises:
            UserError: it has to be written, and another process is running the study.
        """
        from ablate.storage.views import REPORT, Views

        if full or not Views(self._folder, self._folder.config()).are_current([REPORT]):
            from ablate.execution.progress import ProgressDisplay
            from ablate.execution.sweep import report_study

            self._folder.lock()
            try:
                with storage_errors(self._folder.path):
                    report_study(self._folder, cores(), ProgressDisplay([]).step, full)
            finally:
                self._folder.unlock()
            self.__dict__.pop("_tables", None)  # those of slow analyses have changed
        return self._folder.report_file

    @cached_property
    def _tables(self) -> AnalysisTables:
        from ablate.analysis import AnalysisTables

        return AnalysisTables(self.results)

    @staticmethod
    def _load_report() -> None:
        import ablate.report  # noqa: F401  registers its figures

    def _facts(self) -> dict[str, str]:
        results = self.results
        states = results.trials["state"].value_counts() if len(results.trials) else {}
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        variants = results.variant_order
        return {
            "tasks": ", ".join(results.task_order),
            "variants": ", ".join(variants) if len(variants) <= SHOWN else f"{len(variants)} variants",
            "trials": f"{len(results.trials)} trials{f' ({counts})' if counts else ''}",
            "folder": str(self.path),
        }

    def __repr__(self) -> str:
        facts = self._facts()
        return f"<Study {self.name!r}: {facts['trials']} of {facts['variants']} on {facts['tasks']}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align: left">{key}</th><td style="text-align: left">{escape(value)}</td></tr>'
            for key, value in self._facts().items()
        )
        return f"<table><caption>Study {escape(self.name)}</caption><tbody>{rows}</tbody></table>"


def _show_in_notebooks(kind: type[Any]) -> None:
    """Let IPython, if it runs, show these figures, whether or not pyplot has been set up for it."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        shell.display_formatter.formatters["image/png"].for_type(kind, _png)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
