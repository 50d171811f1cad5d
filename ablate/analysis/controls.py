"""Negative controls: comparisons of what is equal, which tell how often the study's tests call out for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from ablate.analysis.comparisons import compare
from ablate.analysis.dataframes import groups, records, where
from ablate.analysis.registry import analysis
from ablate.analysis.verdicts import CONTROL, SETS, TESTED, VARIANT
from ablate.definitions.study_results import StudyResults
from ablate.statistics.families import adjust_outsider, correction_for
from ablate.statistics.interval import excluded_rate
from ablate.statistics.levels import ALPHA

EQUAL = "equal in law"

_COLUMNS = [
    *("task", "set", "kind", "variant", "reference", "n", "difference", "low", "high", "p", "p_adjusted", "different"),
]


@analysis("controls")
def controls(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Comparisons in which nothing differs, a row each: none of them should be called different.

    Columns:
        set: which trials are compared, see `comparisons`.
        kind: "control", the reference against itself, its settings shared and all else drawn anew; or "equal in law",
            two variants that compute the same function under weights of the same distribution.
        reference: what the variant is compared with.
        n: trials of the variant, or pairs.
        difference: the variant's mean less that of the other.
        low: lower end of the 95 % interval of the difference.
        high: its upper end.
        p: two-sided p-value.
        p_adjusted: as if this comparison alone had joined the family of its task and set.
        different: whether it is called different at the 5 % level.
    """
    table = where(tables["comparisons"], role=CONTROL)
    rows = [{**row, "kind": CONTROL} for row in records(table) if row["verdict"] in TESTED]
    families = {
        key: where(group, role=VARIANT)["p"].tolist() for key, group in groups(tables["comparisons"], "task", "set")
    }
    trials = {name: tables[name] for name in ("scored_trials", "confirmation_trials")}
    for variant in results.variants:
        if not variant.equal_to or _starts_apart(results):
            continue
        names = [variant.name, variant.equal_to]
        of_the_two = {table: rows.loc[rows["variant"].isin(names)] for table, rows in trials.items()}
        for task in results.task_order:
            for name in SETS:
                found = compare(results, of_the_two, task, name, variant.equal_to)
                family = families.get((task, name), [])
                rows += [
                    {**row, "task": task, "set": name, "kind": EQUAL, "reference": variant.equal_to}
                    | {"p_adjusted": _adjusted(row["p"], family)}
                    for row in found
                    if row["variant"] == variant.name and not math.isnan(row["p"])
                ]
    found = pd.DataFrame(rows, columns=_COLUMNS)
    return found.assign(different=found["p_adjusted"].astype(float) < ALPHA)


@analysis("control_rates")
def control_rates(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How many controls were called different, a row for each set and kind, and what that excludes.

    Columns:
        set: which trials are compared, see `comparisons`.
        kind: as in `controls`.
        comparisons: how many there are.
        different: how many of them were called different.
        excluded_above: rates of false calls above this one are excluded at the 5 % level.
    """
    rows = [
        {"set": name, "kind": kind, "comparisons": len(group), "different": int(group["different"].to_numpy().sum())}
        for (name, kind), group in groups(tables["controls"], "set", "kind")
    ]
    for row in rows:
        row["excluded_above"] = excluded_rate(row["different"], row["comparisons"])
    return pd.DataFrame(rows, columns=["set", "kind", "comparisons", "different", "excluded_above"])


def _starts_apart(results: StudyResults) -> bool:
    """Whether the study starts weights so that cells differ which are else equal in law."""
    training, search = (results.configuration.get(key, {}) for key in ("training", "search"))
    return bool(training.get("forget_bias") or "forget_bias" in search or training.get("initialisation") == "native")


def _adjusted(p: float, family: list[float]) -> float:
    return adjust_outsider(p, family, correction_for(sum(not math.isnan(each) for each in family)))
