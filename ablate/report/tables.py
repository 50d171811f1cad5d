"""All the numbers of a report, computed once: the figures and the page only show them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from ablate import analysis
from ablate.analysis.compare import TESTED
from ablate.analysis.frames import groups, records, where
from ablate.report.facts import Facts

_POINTS = ["task", "set", "variant", "index", "state", "learning_rate", "score"]


@dataclass(frozen=True)
class Tables:
    """The tables of a report, each in the study's order; the name of a field is the name of its CSV file."""

    counts: pd.DataFrame  # planned and ended trials by task and variant
    summary: pd.DataFrame  # best and median trial, parameters, wall time
    comparisons: pd.DataFrame  # every variant against the reference, by task and set
    boxes: pd.DataFrame  # quantiles, by task, set and variant
    views: pd.DataFrame  # the range of scores shown, by task and set
    points: pd.DataFrame  # the score of each trial, by set
    curves: pd.DataFrame  # each variant's best trial, a row an epoch
    curve_views: pd.DataFrame  # the range of validation scores shown, by task
    power: pd.DataFrame  # what the number of trials can tell, by task and set
    failures: pd.DataFrame  # the failed trials and their reasons
    samples: pd.DataFrame  # what each variant's best trial wrote, where networks can


def compute(trials: pd.DataFrame, curves: pd.DataFrame, facts: Facts, samples: pd.DataFrame | None = None) -> Tables:
    """The tables of a study from its trials, curves and samples, any of which may be empty."""
    directions, baselines = facts.directions, facts.baselines
    scored = analysis.scored(trials, directions)
    sets = facts.ordered(analysis.trial_sets(scored, directions=directions))
    anchored = [task.name for task in facts.tasks if task.theory]
    views = analysis.views(sets, baselines, directions, anchored)
    comparisons = analysis.compare_sets(sets, facts.reference, directions)
    best = analysis.best_curves(scored, curves, directions)
    tasks, variants = facts.task_order(scored["task"]), facts.variant_order(scored["variant"])
    failed = where(scored, state="failed").filter(["task", "variant", "index", "reason"])
    return Tables(
        counts=analysis.counts(scored, tasks, variants, facts.expected),
        summary=facts.ordered(analysis.summary(scored, directions)),
        comparisons=facts.ordered(comparisons),
        boxes=facts.ordered(
            analysis.box_statistics(scored, facts.reference, baselines, directions=directions, anchored=anchored)
        ),
        views=facts.ordered(views),
        points=sets.filter(_POINTS),
        curves=facts.ordered(best),
        curve_views=facts.ordered(analysis.curve_views(best, baselines, directions, anchored)),
        power=facts.ordered(_power(comparisons)),
        failures=facts.ordered(failed),
        samples=facts.ordered(
            analysis.best_samples(scored, pd.DataFrame() if samples is None else samples, directions)
        ),
    )


def _power(comparisons: pd.DataFrame) -> pd.DataFrame:
    """For each task and set: the fewest trials in a test, the tests made, and the difference that they can find."""
    columns = ["task", "set", "comparisons", "n", "detectable"]
    rows = []
    for (task, name), group in groups(comparisons, "task", "set"):
        pairs = records(group)
        tested = [pair for pair in pairs if pair["verdict"] in TESTED]
        n = min(min(pair["n"], pair["n_reference"]) for pair in tested or pairs)
        effect = analysis.detectable(n, len(tested)) if tested else math.inf
        rows.append(dict(zip(columns, (task, name, len(tested), n, effect), strict=True)))
    return pd.DataFrame(rows, columns=columns)
