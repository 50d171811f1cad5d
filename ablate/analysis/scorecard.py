"""Which claims of the papers a study supports or contradicts, and of which it cannot tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from ablate.analysis.claims import (
    BETTER_THAN,
    CLAIMS,
    NO_DIFFERENCE,
    NOT_WORSE,
    WORSE_THAN,
    Claim,
    Difference,
    MostCritical,
    NoneBetter,
    Paper,
    Share,
    Trend,
)
from ablate.analysis.compared import is_paired
from ablate.analysis.comparisons import compare, judge
from ablate.analysis.dataframes import records, where
from ablate.analysis.registry import analysis
from ablate.analysis.responses import POOLED
from ablate.analysis.verdicts import BETTER, TESTED, WORSE
from ablate.definitions.study_results import StudyResults
from ablate.importance.functional_anova import share_error
from ablate.statistics.equivalence import below_margin
from ablate.statistics.families import adjust, correction_for, holm
from ablate.statistics.levels import ALPHA
from ablate.statistics.ranks import rank_correlation

SUPPORTS, CONTRADICTS, CANNOT_TELL = "supports", "contradicts", "cannot tell"
MIN_DRAWS = 10  # of a trend
TUNED = ("best", "confirmed")  # the sets that ask of tuned cells, as the papers do
NOT_COMPUTED = "importance was not computed (--report-only --full)"


@dataclass(frozen=True)
class Finding:
    """What a study says of a claim on one task."""

    verdict: str = CANNOT_TELL
    reason: str = ""
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    set: str = ""
    n: float = math.nan


@dataclass(frozen=True)
class _Study:
    results: StudyResults
    tables: Mapping[str, pd.DataFrame]
    _compared: dict[tuple[str, str, str], list[dict[str, Any]]] = field(default_factory=dict)

    def compared(self, paper: Paper, task: str, reference: str = "") -> list[dict[str, Any]]:
        """The paper's variants against its reference, once tuned; its comparisons of a task are one family."""
        key = paper.name, task, reference or paper.reference
        if key not in self._compared:  # which many claims ask for
            self._compared[key] = self._compare(paper, task, key[-1])
        return self._compared[key]

    def _compare(self, paper: Paper, task: str, reference: str) -> list[dict[str, Any]]:
        family = [paper.reference, *paper.variants]
        names = ("scored_trials", "confirmation_trials")
        tables = {name: self.tables[name].loc[self.tables[name]["variant"].isin(family)] for name in names}
        results = replace(self.results, reference=reference)
        for name in TUNED:
            rows = judge(results, tables, compare(results, tables, task, name, results.reference), task, name)
            if any(row["verdict"] in TESTED for row in rows):
                self._add_one_sided(rows, task)
                return rows
        return []

    def _add_one_sided(self, rows: list[dict[str, Any]], task: str) -> None:
        """Whether each is shown to be no worse, and no better, than by the margin: corrected like the verdicts."""
        for name, side in (("not_worse", self.results.sign(task)), ("not_better", -self.results.sign(task))):
            p = [below_margin(side * row["difference"], row["error"], row["df"], row["margin"]) for row in rows]
            for row, adjusted in zip(rows, adjust(p, correction_for(sum(each == each for each in p))), strict=True):
                row[name] = adjusted < ALPHA and row["verdict"] in TESTED

    def unit(self, task: str) -> str:
        return self.results.task(task).metric


@analysis("scorecard")
def scorecard(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The claims of Greff et al. (2017) and Jozefowicz et al. (2015), a row for each claim and task.

    Both papers speak of tuned cells, so differences are those of the tenth that validation chose, or of best settings
    trained anew, never of settings at random. The comparisons that a paper makes on a task are one family. A claim
    that nothing differs is supported by equivalence within the margin alone, never by a test that found nothing.

    Columns:
        paper: who claims it.
        section: where in the paper.
        claim: in our words.
        paper_task: the task of the paper.
        data: what this study has for it; empty where it lacks the task.
        set: the trials that speak, see `comparisons`; "draws" for trends and shares of variance.
        n: trials of the variant, or draws.
        estimate: the variant's mean less the reference's, a rank correlation with the loss, or a share of the variance;
            of claims on several variants that of the closest call.
        low: lower end of its 95 % interval, not widened for the number of claims; of shares 0.05 below, or
            1 - R^2 where that is more: the accuracy to which the surrogates recover known functions.
        high: its upper end.
        unit: of the estimate.
        verdict: "supports", "contradicts" or "cannot tell".
        reason: what it rests on, or why it cannot be told.
    """
    columns = ["paper", "section", "claim", "task", "paper_task", "data", "set", "n", "estimate", "low", "high"]
    study, rows = _Study(results, tables), []
    for claim in CLAIMS:
        for task, paper_task in claim.tasks.items():
            key = {"paper": claim.paper.name, "section": claim.section, "claim": claim.text}
            there = task in results.task_order
            finding = _find(study, claim, task) if there else Finding(reason=f"the study has no task {task}")
            data = results.task(task).source if there else ""
            rows.append({**key, "task": task, "paper_task": paper_task, "data": data, **finding.__dict__})
    return pd.DataFrame(rows, columns=[*columns, "unit", "verdict", "reason"])


def _find(study: _Study, claim: Claim, task: str) -> Finding:
    match claim.measure:
        case Difference() as measure:
            return _difference(study, claim.paper, measure, task)
        case NoneBetter():
            return _none_better(study, claim.paper, task)
        case MostCritical() as measure:
            return _most_critical(study, claim.paper, measure, task)
        case Trend() as measure:
            return _trend(study, claim.paper, measure, task)
        case Share() as measure:
            return _share(study, measure, task)


def _of(study: _Study, row: Mapping[str, Any]) -> Finding:
    """A comparison's numbers, nothing concluded."""
    numbers = {"estimate": row["difference"], "low": row["low"], "high": row["high"], "n": row["n"]}
    return Finding(unit=study.unit(row["task"]), set=row["set"], **numbers)


def _untested(study: _Study, paper: Paper, task: str, names: tuple[str, ...]) -> str:
    """Why there is no comparison of tuned cells."""
    there = set(where(study.tables["scored_trials"], task=task)["variant"])
    if missing := [name for name in names if name not in there]:
        return f"no trials of {', '.join(missing)}"
    return "too few trials to compare tuned cells: 100 a variant, or best settings trained anew (--confirm 5)"


def _difference(study: _Study, paper: Paper, measure: Difference, task: str) -> Finding:
    row = next((row for row in study.compared(paper, task) if row["variant"] == measure.variant), None)
    if row is None or row["verdict"] not in TESTED:
        why = _untested(study, paper, task, (paper.reference, measure.variant))
        return Finding(reason=row["verdict"] if row else why)
    worse, better = row["verdict"] == WORSE, row["verdict"] == BETTER
    equal = bool(row["equivalent"])
    supported = {
        WORSE_THAN: worse,
        BETTER_THAN: better,
        NOT_WORSE: row["not_worse"],
        NO_DIFFERENCE: equal,
    }[measure.expected]
    contradicted = {
        WORSE_THAN: better or equal,
        BETTER_THAN: worse or equal,
        NOT_WORSE: worse,
        NO_DIFFERENCE: worse or better,
    }[measure.expected]
    reason = "within the margin" if equal else row["verdict"]
    if measure.expected == NOT_WORSE and supported:
        reason = "worse by less than the margin, if at all"
    verdict = SUPPORTS if supported else CONTRADICTS if contradicted else CANNOT_TELL
    return replace(_of(study, row), verdict=verdict, reason=reason)


def _none_better(study: _Study, paper: Paper, task: str) -> Finding:
    rows = study.compared(paper, task)
    tested = [row for row in rows if row["verdict"] in TESTED]
    if not tested:
        return Finding(reason=_untested(study, paper, task, (paper.reference, *paper.variants)))
    best = min(tested, key=lambda row: study.results.sign(task) * row["difference"])
    better = [row["variant"] for row in tested if row["verdict"] == BETTER and not row["equivalent"]]
    shown = [row for row in tested if row["not_better"]]
    finding = replace(_of(study, best), reason=f"the closest is {best['variant']}")
    if better:
        return replace(finding, verdict=CONTRADICTS, reason=f"better: {', '.join(better)}")
    if len(shown) == len(paper.variants):
        return replace(finding, verdict=SUPPORTS, reason="each is better by less than the margin, if at all")
    return finding


def _most_critical(study: _Study, paper: Paper, measure: MostCritical, task: str) -> Finding:
    """Each of the critical parts against each of the others, Holm over all of these comparisons."""
    sign, rows = study.results.sign(task), []
    others = [name for name in paper.variants if name not in measure.variants]
    for critical in measure.variants:
        found = study.compared(paper, task, reference=critical)
        # Turned round: how much worse the critical one is than the other.
        rows += [{**row, "against": critical} for row in found if row["variant"] in others and row["p"] == row["p"]]
    if len(rows) < len(measure.variants) * len(others):
        why = _untested(study, paper, task, (*measure.variants, *others))
        return Finding(reason=why)
    adjusted = holm([row["p"] for row in rows])
    losses = [sign * row["difference"] for row in rows]  # below zero where the critical part is the worse one to miss
    closest = rows[max(range(len(rows)), key=lambda k: losses[k])]
    finding = replace(_of(study, closest), reason=f"the closest is {closest['variant']} less {closest['against']}")
    against = [
        f"{row['variant']} is worse than {row['against']}"
        for row, p, loss in zip(rows, adjusted, losses, strict=True)
        if p < ALPHA and loss > 0
    ]
    if against:
        return replace(finding, verdict=CONTRADICTS, reason="; ".join(against))
    if all(p < ALPHA for p in adjusted):
        return replace(finding, verdict=SUPPORTS, reason="each is worse than every other")
    return finding


def _trend(study: _Study, paper: Paper, measure: Trend, task: str) -> Finding:
    """Over the paper's cells; those that share a draw are averaged, since they are one draw of the axis."""
    trials = where(study.tables["scored_trials"].dropna(subset=["score", measure.axis]), task=task)
    trials = trials.loc[trials["variant"].isin([paper.reference, *paper.variants])]
    if is_paired(study.results):
        trials = trials.groupby("index")[["score", measure.axis]].mean()
    if len(trials) < MIN_DRAWS or trials[measure.axis].nunique() < 3:
        return Finding(reason=f"fewer than {MIN_DRAWS} draws")
    found = rank_correlation(trials[measure.axis], study.results.sign(task) * trials["score"])
    rises, falls = found.low > 0, found.high < 0
    supported, contradicted = (rises, falls) if measure.rises else (falls, rises)
    verdict = SUPPORTS if supported else CONTRADICTS if contradicted else CANNOT_TELL
    return Finding(
        verdict, "", found.value, found.low, found.high, "rank correlation with the loss", "draws", len(trials)
    )


def _share(study: _Study, measure: Share, task: str) -> Finding:
    if "importance" not in study.tables:
        return Finding(reason=NOT_COMPUTED)
    table = where(study.tables["importance"], task=task, response="score", region="whole")
    table = table.loc[table["variant"].isin([POOLED]) & table["claimed"].astype(bool)]
    if table.empty:
        return Finding(reason=f"{NOT_COMPUTED}, or its surrogates predict too little")
    rows = records(table)
    main = {row["axis"]: row["share"] for row in rows if row["term"] == "main"}
    pairs = {frozenset((row["axis"], row["other"])): row["share"] for row in rows if row["term"] == "pair"}
    if not measure.axes:
        share = 1 - sum(main.values())
    elif len(measure.axes) == 1:
        share = main.get(measure.axes[0], math.nan)
    else:
        share = pairs.get(frozenset(measure.axes), math.nan)
    if math.isnan(share):
        return Finding(reason=f"{' and '.join(measure.axes)} did not vary")
    error = share_error(rows[0]["r2"])
    low, high = max(0.0, share - error), min(1.0, share + error)
    if measure.largest:
        next_ = max(value for axis, value in main.items() if axis != measure.axes[0]) if len(main) > 1 else 0.0
        supported, contradicted = low > next_ + error, high < next_ - error
    else:
        supported, contradicted = measure.low <= low and high <= measure.high, high < measure.low or low > measure.high
    verdict = SUPPORTS if supported else CONTRADICTS if contradicted else CANNOT_TELL
    return Finding(
        verdict, f"R² {rows[0]['r2']:.2f}", share, low, high, "share of the variance", "draws", rows[0]["points"]
    )
