"""Whole indices: what a study that time has cut short may compare.

A search goes index by index over all tasks and variants. Where time ends it in the middle of one, some variants have a
trial more than others, and which ones follows from their order alone. So a study with hours compares, on each task, the
indices up to the last one that has ended for every variant, and for every control.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ablate.definitions.study_results import StudyResults

if TYPE_CHECKING:
    import pandas as pd


def whole_indices(
    trials: pd.DataFrame,
    replicates: pd.DataFrame,
    tasks: Sequence[str],
    variants: Sequence[str],
    reference: str = "V",
    controls: int = 0,
) -> dict[str, int]:
    """By task, how many indices, from 0 on, have ended in any state for every variant and control.

    Args:
        trials: with the columns of trials.csv.
        replicates: with those of replicates.csv; it may be empty, and lack them.
        controls: of the reference, at every index; none are planned where it is not among the variants.
    """
    wanted = [(name, 0) for name in variants]
    wanted += [(reference, number) for number in range(1, controls + 1) if reference in variants]
    there: dict[tuple[str, str, int], set[int]] = {}
    for table, purpose in ((trials, "search"), (replicates, "control")):
        if purpose == "control" and "purpose" in table:
            table = table[table["purpose"].eq(purpose)]
        if len(table):
            numbers = table["replicate"] if purpose == "control" else [0] * len(table)
            for task, name, index, number in zip(table["task"], table["variant"], table["index"], numbers, strict=True):
                there.setdefault((task, name, int(number)), set()).add(int(index))
    found = {}
    for task in tasks:
        ended = [there.get((task, *place), set()) for place in wanted]
        shared = set.intersection(*ended) if ended else set()
        found[task] = next(index for index in range(len(shared) + 1) if index not in shared)
    return found


def only_whole_indices(results: StudyResults) -> StudyResults:
    """A study's results up to the last whole index of each task, and how many trials stand beyond it."""
    whole = whole_indices(
        results.trials,
        results.replicates,
        [task.name for task in results.tasks],
        [variant.name for variant in results.variants],
        results.reference,
        int(results.configuration.get("controls", 0)),
    )

    def is_whole(table: pd.DataFrame) -> Any:
        return table["index"] < table["task"].map(whole.get).astype(float)

    def cut(table: pd.DataFrame) -> pd.DataFrame:
        return table.loc[is_whole(table)].reset_index(drop=True) if len(table) else table

    beyond: dict[str, int] = {}
    for table in (results.trials, results.replicates):
        for task in table.loc[~is_whole(table), "task"] if len(table) else ():
            beyond[task] = beyond.get(task, 0) + 1
    return replace(
        results,
        trials=cut(results.trials),
        curves=cut(results.curves),
        samples=cut(results.samples),
        replicates=cut(results.replicates),
        expected_trials=min(whole.values(), default=0),
        not_compared={task: beyond[task] for task in whole if task in beyond},
    )
