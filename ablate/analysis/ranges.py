"""Whether verdicts hang on where the ranges of the search end, or on when training ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ablate.analysis.axes import places, sampled_axes, values
from ablate.analysis.comparisons import compare, judge
from ablate.analysis.dataframes import groups, records, where
from ablate.analysis.registry import analysis
from ablate.analysis.trials import DRAWN_TRAINING, by_validation, how_many_best
from ablate.analysis.verdicts import OPPOSITE, TESTED, VARIANT
from ablate.definitions.study_results import StudyResults

EDGE = 0.1  # of a range, at either end
AXES = ("learning_rate", "momentum", "input_noise", *DRAWN_TRAINING)  # not the size: more is better
LEAST = {"momentum": 0.0, "input_noise": 0.0}  # nothing lies below, so that a range may well end there
HALVES = {"lower half": (0.0, 0.5), "upper half": (0.5, 1.0)}


@analysis("ranges")
def ranges(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Where the best tenth of each variant's trials, by validation, lies in the range of each axis.

    Columns:
        axis: a hyperparameter that was drawn from a range; the size is left out, since more is better there.
        n: the best trials.
        place: their median place in the range, from 0 to 1 on the scale of the search.
        edge: "low" or "high" where that is within a tenth of an end of the range, so that better settings may lie
            beyond it; else empty, as at an end where noise or momentum is 0.
    """
    axes = {name: axis for name, axis in sampled_axes(results).items() if name in AXES}
    rows = []
    ranked = by_validation(results, tables["scored_trials"].dropna(subset="score"))
    for (task, variant), group in groups(ranked, "task", "variant"):
        best = where(group.head(how_many_best(len(group))), state="completed")
        for name, axis in axes.items() if len(best) else ():
            place = float(np.median(places(best, name, axis)))
            near = {"low": place < EDGE, "high": place > 1 - EDGE}
            edge = next((end for end, is_near in near.items() if is_near and not _is_least(name, axis, end)), "")
            rows.append({"task": task, "variant": variant, "axis": name, "n": len(best), "place": place, "edge": edge})
    return pd.DataFrame(rows, columns=["task", "variant", "axis", "n", "place", "edge"])


def _is_least(name: str, axis: dict[str, Any], end: str) -> bool:
    """Whether nothing lies beyond an end of a range."""
    return name in LEAST and float(values(np.array(float(end == "high")), axis)) <= LEAST[name]


@analysis("subrange_comparisons")
def subrange_comparisons(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The comparison of all trials made again on either half of each range, for what the ranges may decide.

    Columns:
        axis: the hyperparameter whose range was halved, on the scale of the search.
        half: "lower half" or "upper half".
        n: trials of the variant, or pairs, in it.
        difference: the variant's mean less that of the reference.
        low: lower end of its 95 % interval.
        high: its upper end.
        p_adjusted: the p-value after the correction over the variants.
        verdict: as in `comparisons`.
        whole: the verdict on the whole range.
    """
    columns = ["task", "axis", "half", "variant", "n", "difference", "low", "high", "p_adjusted", "verdict", "whole"]
    whole = {(row["task"], row["variant"]): row["verdict"] for row in records(where(tables["comparisons"], set="all"))}
    scored = tables["scored_trials"].dropna(subset="score")
    rows = []
    for name, axis in sampled_axes(results).items():
        if name not in AXES:
            continue
        at = places(scored, name, axis)
        for half, (low, high) in HALVES.items():
            part = {"scored_trials": scored.loc[(at >= low) & (at <= high)]}
            for task in results.task_order:
                for row in judge(results, part, compare(results, part, task, "all", results.reference), task, "all"):
                    rows.append({**row, "axis": name, "half": half, "whole": whole.get((task, row["variant"]))})
    return pd.DataFrame(rows, columns=columns)


@analysis("range_dependence")
def range_dependence(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The verdicts over all trials that the ranges of the search may have decided, a row each.

    Columns:
        verdict: on the whole range, as in `comparisons`.
        edges: axes at whose end the variant's or the reference's best trials lie.
        reversed_on: halves of a range on which the verdict is the opposite one.
    """
    columns = ["task", "variant", "verdict", "edges", "reversed_on"]
    at_edge: dict[tuple[str, str], list[str]] = {}
    for row in records(tables["ranges"]):
        if row["edge"]:
            at_edge.setdefault((row["task"], row["variant"]), []).append(f"{row['axis']} {row['edge']}")
    turned: dict[tuple[str, str], list[str]] = {}
    for row in records(tables["subrange_comparisons"]):
        if OPPOSITE.get(row["whole"]) == row["verdict"]:
            turned.setdefault((row["task"], row["variant"]), []).append(f"{row['axis']} {row['half']}")
    rows = []
    for row in records(where(tables["comparisons"], set="all", role=VARIANT)):
        key = row["task"], row["variant"]
        edges = [
            *at_edge.get(key, []),
            *(f"{each} (reference)" for each in at_edge.get((key[0], results.reference), [])),
        ]
        if row["verdict"] in TESTED and (edges or key in turned):
            found = {
                "verdict": row["verdict"],
                "edges": ", ".join(edges),
                "reversed_on": ", ".join(turned.get(key, [])),
            }
            rows.append({"task": key[0], "variant": key[1], **found})
    return pd.DataFrame(rows, columns=columns)


@analysis("training_length")
def training_length(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Whether training was cut short: the share of completed trials that were still getting better, a row a task.

    Columns:
        n: completed trials.
        last: the share of them whose best epoch is the last one.
        cut_short: whether that is more than half.
    """
    rows = []
    for (task,), group in groups(where(tables["scored_trials"], state="completed"), "task"):
        last = float(group["best_epoch"].eq(group["epochs"]).to_numpy().mean())
        rows.append({"task": task, "n": len(group), "last": last, "cut_short": last > 0.5})
    return pd.DataFrame(rows, columns=["task", "n", "last", "cut_short"])
