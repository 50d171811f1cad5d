"""Several studies side by side: the same cells under two protocols, on two data sets, on two machines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ablate.analysis.compared import is_paired, pair
from ablate.analysis.dataframes import groups, records, where
from ablate.analysis.registry import AnalysisTables
from ablate.analysis.verdicts import BETTER, SETS, TESTED, WORSE
from ablate.definitions.study_results import StudyResults
from ablate.errors import UserError
from ablate.plan.dotted_names import flat
from ablate.statistics.families import adjust, correction_for
from ablate.statistics.levels import ALPHA
from ablate.statistics.standardised import Standardised, difference_of, standardised_pairs, standardised_samples

DIFFERENT, NOT_TOLD = "different", "not told apart"
SAME_SIGN, OPPOSITE, NEITHER, UNTESTED = "same", "opposite", "neither", "untested"

_EFFECTS = [
    *("task", "variant", "study", "reference", "n", "difference", "unit", "effect", "low", "high"),
    *("verdict", "best", "confirmed"),
]
_DIFFERENCES = [
    *("task", "variant", "study", "against", "difference", "low", "high", "p", "correction", "p_adjusted"),
    *("verdict", "draws", "agreement"),
]


def compare_studies(studies: Sequence[StudyResults]) -> dict[str, pd.DataFrame]:
    """The studies side by side on the tasks and variants that two or more have; the first is what others are held to.

    Returns:
        effects: each variant's mean difference from the reference over all trials by study, in the task's unit and in
            standard deviations of the reference's scores there (above zero is worse), with the 95 % interval of
            `comparisons` on that scale, the yardstick taken as known; and the verdicts of that study over all trials,
            the best tenth and best settings trained anew.
        differences: the standardised effect of each further study less that of the first, with 95 % interval and
            t-test that count the yardsticks' own errors; the comparisons of a task and two studies are one family.
            Studies of one seed share their draws, which is counted; else they are independent.
        agreement: for each task and two studies, how many verdicts over all trials agree.
        settings: the entries of the configuration, the data and the environment that differ, a column a study.

    Raises:
        UserError: fewer than two studies, two of one name, another reference, or no task and variant in common.
    """
    named = [results.name for results in studies]
    if len(studies) < 2:
        raise UserError("a comparison takes two studies or more")
    if twice := next((name for name in named if named.count(name) > 1), ""):
        raise UserError(f"two studies are called {twice!r}; a comparison tells them apart by name, so rename a folder")
    first = studies[0]
    held = [_held_to(results, first.reference) for results in studies]
    tables = {results.name: AnalysisTables(results) for results in held}
    found = {results.name: dict(_standardised(results, tables[results.name])) for results in held}
    common = [key for key in found[first.name] if any(key in found[name] for name in named[1:])]
    if not common:
        raise UserError(f"{', '.join(named)} have no task and variant in common that could be compared")
    effects = pd.DataFrame(_effects(held, tables, found, common), columns=_EFFECTS)
    differences = pd.DataFrame(_differences(held, effects, found, common), columns=_DIFFERENCES)
    return {
        "effects": effects,
        "differences": differences,
        "agreement": _agreement(differences),
        "settings": _settings(studies),
    }


def _held_to(results: StudyResults, reference: str) -> StudyResults:
    if reference not in set(results.trials["variant"] if len(results.trials) else ()):
        raise UserError(
            f"study {results.name!r} has no trials of {reference}, the reference of the first study; "
            "give --reference to --report-only of that one first"
        )
    return replace(results, reference=reference)


_Key = tuple[str, str]


def _standardised(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[_Key, Standardised]]:
    """The effect of each variant by task and variant, where it can be told."""
    scored = tables["scored_trials"].dropna(subset="score")
    # Studies of one seed draw the same at an index, also where their ranges differ.
    seed = results.configuration.get("seed")
    source = results.name if seed is None else f"seed {seed}, paired {is_paired(results)}"
    for task in results.task_order:
        here, sign = where(scored, task=task), results.sign(task)
        mine = where(here, variant=results.reference)
        for variant in dict.fromkeys(here["variant"]):
            if variant == results.reference or variant in results.controls:
                continue
            trials = where(here, variant=variant)
            if is_paired(results):
                a, b = pair(trials, mine)
                draws: list[Hashable] = [(source, int(index)) for index in a.index]
                effect = standardised_pairs(sign * a["score"].to_numpy(float), sign * b["score"].to_numpy(float), draws)
            else:
                names: list[list[Hashable]] = [
                    [(source, name, int(index)) for index in table["index"]]
                    for name, table in ((variant, trials), (results.reference, mine))
                ]
                a, b = (sign * table["score"].to_numpy(float) for table in (trials, mine))
                effect = standardised_samples(a, b, *names)
            if effect is not None:
                yield (task, variant), effect


def _effects(
    studies: Sequence[StudyResults],
    tables: Mapping[str, AnalysisTables],
    found: Mapping[str, Mapping[_Key, Standardised]],
    common: Sequence[_Key],
) -> Iterator[dict[str, Any]]:
    compared = {
        name: {(row["task"], row["variant"], row["set"]): row for row in records(each["comparisons"])}
        for name, each in tables.items()
    }
    for task, variant in common:
        for results in studies:
            effect = found[results.name].get((task, variant))
            if effect is None:
                continue
            rows = {name: compared[results.name].get((task, variant, name), {}) for name in SETS}
            key = {"task": task, "variant": variant, "study": results.name, "reference": results.reference}
            numbers = {"n": rows["all"]["n"], "difference": rows["all"]["difference"]}
            scale = results.sign(task) / effect.spread
            low, high = sorted((scale * rows["all"]["low"], scale * rows["all"]["high"]))
            interval = {"effect": effect.value, "low": low, "high": high}
            verdicts = {"verdict": rows["all"]["verdict"]}
            verdicts |= {name: rows[name].get("verdict", "") for name in ("best", "confirmed")}
            yield {**key, **numbers, "unit": results.task(task).metric, **interval, **verdicts}


def _differences(
    studies: Sequence[StudyResults],
    effects: pd.DataFrame,
    found: Mapping[str, Mapping[_Key, Standardised]],
    common: Sequence[_Key],
) -> Iterator[dict[str, Any]]:
    verdicts = {(row["task"], row["variant"], row["study"]): row["verdict"] for row in records(effects)}
    first, *others = (results.name for results in studies)
    for name in others:
        for task in dict.fromkeys(task for task, _ in common):
            rows = []
            for variant in (variant for each, variant in common if each == task):
                one, other = found[first][task, variant], found[name].get((task, variant))
                if other is None:
                    continue
                test = difference_of(other, one)
                shared = bool(one.influence.keys() & other.influence.keys())
                row = {"task": task, "variant": variant, "study": name, "against": first}
                row |= {"draws": "shared" if shared else "independent", "difference": other.value - one.value}
                row |= {"low": math.nan, "high": math.nan, "p": math.nan, "verdict": "no variance"}
                if test is not None:
                    row |= {"low": test.difference.low, "high": test.difference.high, "p": test.p}
                pair_ = verdicts[task, variant, first], verdicts[task, variant, name]
                rows.append(row | {"agreement": _agree(*pair_, first, name)})
            correction = correction_for(sum(not math.isnan(row["p"]) for row in rows))
            for row, p in zip(rows, adjust([row["p"] for row in rows], correction), strict=True):
                row |= {"correction": correction, "p_adjusted": p}
                if not math.isnan(p):
                    row["verdict"] = DIFFERENT if p < ALPHA else NOT_TOLD
            yield from rows


def _agree(one: str, other: str, first: str, second: str) -> str:
    """How two verdicts agree."""
    if one not in TESTED or other not in TESTED:
        return UNTESTED
    told = [verdict in (WORSE, BETTER) for verdict in (one, other)]
    if all(told):
        return SAME_SIGN if one == other else OPPOSITE
    return f"only in {first if told[0] else second}" if any(told) else NEITHER


def _agreement(differences: pd.DataFrame) -> pd.DataFrame:
    """A row for each task and two studies: how often the verdicts agree, and how many effects differ."""
    rows = []
    for (study, against, task), group in groups(differences, "study", "against", "task"):
        counts = Counter(group["agreement"])
        row = {"task": task, "study": study, "against": against, "variants": len(group)}
        row |= {SAME_SIGN: counts[SAME_SIGN], OPPOSITE: counts[OPPOSITE]}
        row |= {"only_study": counts[f"only in {study}"], "only_against": counts[f"only in {against}"]}
        row |= {NEITHER: counts[NEITHER], UNTESTED: counts[UNTESTED]}
        rows.append({**row, "different": Counter(group["verdict"])[DIFFERENT]})
    return pd.DataFrame(rows)


def _settings(studies: Sequence[StudyResults]) -> pd.DataFrame:
    """What differs in how the studies were made, a row an entry."""
    entries_of = {}
    for results in studies:
        entries = {name: str(value) for name, value in flat(results.configuration)}
        entries |= {"trials a task and variant": str(results.expected_trials)}
        for task in results.tasks:
            entries |= {f"data of {task.name}": f"{task.source} ({task.sha256[:12]})"}
        entries_of[results.name] = entries | dict(results.environment)
    names = dict.fromkeys(name for entries in entries_of.values() for name in entries)
    rows = [
        {"setting": name, **{study: entries.get(name, "") for study, entries in entries_of.items()}}
        for name in names
        if name not in ("study", "results") and len({entries.get(name) for entries in entries_of.values()}) > 1
    ]
    return pd.DataFrame(rows, columns=["setting", *entries_of])
