"""Whether a variant differs from the reference on the tasks taken together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.compared import TOO_FEW, is_paired
from ablate.analysis.dataframes import unique, where
from ablate.analysis.learning import unlearned
from ablate.analysis.registry import analysis
from ablate.analysis.trials import MIN_TRIALS
from ablate.analysis.verdicts import judge_family
from ablate.definitions.study_results import StudyResults
from ablate.statistics.interval import mean_interval
from ablate.statistics.paired import sign_flips, signed_ranks
from ablate.statistics.ranks import MIN_BLOCKS, critical_difference, friedman, mean_ranks

_COLUMNS = [
    *("variant", "reference", "role", "tasks", "n", "difference", "low", "high", "mean_rank", "p_mean", "p"),
    *("correction", "p_adjusted", "verdict"),
]


@analysis("across_tasks")
def across_tasks(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every variant against the reference over the blocks (task, index), where two tasks or more have shared draws.

    Within a block the variants share their hyperparameters. A difference of losses counts in standard deviations of
    the reference's scores on its task, so that tasks weigh alike. H0: in every block, variant and reference are
    exchangeable. The variants are one family; the controls stand outside of it.

    Columns:
        reference: the variant that this one is compared with.
        role: "variant", or "control" for the reference under another name.
        tasks: how many there are.
        n: blocks that both have a score in.
        difference: mean standardised difference; above zero where the variant is worse, whatever the task's direction.
        low: lower end of its 95 % interval.
        high: its upper end.
        mean_rank: among all variants, within the blocks that all have a score in; 1 is the best.
        p_mean: of sign flips of the standardised differences.
        p: of their signed ranks, zeros by Pratt, which decides, also on the direction: a few large differences can
            pull the mean to the other side of zero.
        correction: what guards the family: "Holm" for up to ten comparisons, else "Benjamini-Hochberg".
        p_adjusted: p after it.
        verdict: "worse", "better" or "no significant difference" at the 5 % level; "nothing learned", as in
            `comparisons`, where not one trial on any task beats the baseline; or "too few trials".
    """
    blocks = _blocks(results, tables["scored_trials"])
    if len({task for task, _ in blocks.index}) < 2 or results.reference not in blocks or not is_paired(results):
        return pd.DataFrame(columns=_COLUMNS)
    names = [name for name in results.variant_order if name in blocks and name != results.reference]
    differences = [(blocks[name] - blocks[results.reference]).dropna().to_numpy() for name in names]
    ranked = [signed_ranks(d) for d in differences]
    found = sign_flips([*differences, *ranked])
    whole = blocks.drop(columns=[name for name in results.controls if name in blocks]).dropna()
    ranks = dict(zip(whole.columns, mean_ranks(whole.to_numpy()), strict=True)) if len(whole) else {}
    rows: list[dict[str, Any]] = []
    tasks = {"reference": results.reference, "tasks": len(set(blocks.index.get_level_values("task")))}
    for k, (name, d) in enumerate(zip(names, differences, strict=True)):
        row = {"variant": name, **tasks, "n": len(d), "verdict": TOO_FEW, "p": math.nan}
        row["mean_rank"] = ranks.get(name, math.nan)
        if len(d) >= MIN_TRIALS:
            row |= mean_interval(d)._asdict() | {"p_mean": found[k], "p": found[len(names) + k]}
            row |= {"difference": row.pop("value"), "direction": float(ranked[k].sum())}
        rows.append(row)
    nothing = set.intersection(*(unlearned(results, tables["scored_trials"], task) for task in results.task_order))
    return pd.DataFrame(judge_family(rows, results.controls, nothing), columns=_COLUMNS)


@analysis("rank_tests")
def rank_tests(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Friedman's test over the tasks' mean scores, a row where there are ten tasks or more: fewer cannot carry it.

    Columns:
        tasks: blocks of the test.
        variants: that have a score on all of them, the reference among them.
        p: that no variant differs.
        critical_difference: how far two mean ranks must lie apart (Nemenyi), at the 5 % level, all pairs considered.
    """
    columns = ["tasks", "variants", "p", "critical_difference"]
    losses = _mean_losses(results, tables["scored_trials"])
    if len(losses) < MIN_BLOCKS or len(losses.columns) < 3:
        return pd.DataFrame(columns=columns)
    row = (len(losses), len(losses.columns), friedman(losses.to_numpy()))
    return pd.DataFrame([(*row, critical_difference(row[1], row[0]))], columns=columns)


def _blocks(results: StudyResults, scored: pd.DataFrame) -> pd.DataFrame:
    """Losses in standard deviations of the reference's, a row for each task and index, a column a variant."""
    parts = []
    for task in unique(scored, "task"):
        here = where(scored.dropna(subset="score"), task=task)
        scores = where(here, variant=results.reference)["score"].to_numpy(float)
        spread = float(scores.std(ddof=1)) if len(scores) > 1 else 0.0
        if spread > 0:  # else there is no yardstick
            parts.append(here.assign(loss=results.sign(task) * here["score"] / spread))
    if not parts:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], []], names=["task", "index"]))
    return pd.concat(parts).pivot_table(index=["task", "index"], columns="variant", values="loss")


def _mean_losses(results: StudyResults, scored: pd.DataFrame) -> pd.DataFrame:
    """The mean loss of each variant, a row a task, without controls and what lacks a task."""
    table = scored.dropna(subset="score")
    table = table.assign(loss=table["score"] * results.signs(table))
    wide = table.pivot_table(index="task", columns="variant", values="loss")
    return wide.drop(columns=[name for name in results.controls if name in wide]).dropna(axis="columns")
