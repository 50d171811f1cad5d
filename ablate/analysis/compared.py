"""What every comparison of two variants says, whichever of their trials it is made from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ablate.analysis.dataframes import groups, where
from ablate.analysis.trials import MIN_TRIALS
from ablate.definitions.study_results import StudyResults
from ablate.statistics.independent import MeanTest
from ablate.statistics.interval import Estimate

Array = npt.NDArray[np.float64]

# Why there is no test.
TOO_FEW, NO_REFERENCE, NO_VARIANCE = "too few trials", "reference missing", "no variance"

NUMBERS = (
    *("mean", "mean_reference", "difference", "low", "high", "median_difference", "median_low", "median_high"),
    *("probability_better", "probability_low", "probability_high", "error", "df", "p", "p_rank"),
)


def is_paired(results: StudyResults) -> bool:
    """Whether the variants of this study share the draws of their hyperparameters."""
    return bool(results.configuration.get("paired", True))


def row_of(variant: str, n: int, n_reference: int, verdict: str = "") -> dict[str, Any]:
    """A comparison of which nothing is known but its size, and why there is no test."""
    return {
        "variant": variant,
        "n": n,
        "n_reference": n_reference,
        "verdict": verdict,
        **dict.fromkeys(NUMBERS, math.nan),
    }


def means(scores: Array, reference: Array) -> dict[str, float]:
    """The means of two samples and their difference; NaN for one without values."""
    mean, of_reference = (float(x.mean()) if len(x) else math.nan for x in (scores, reference))
    return {"mean": mean, "mean_reference": of_reference, "difference": mean - of_reference}


def of_test(test: MeanTest) -> dict[str, float]:
    """The columns that a test of means fills."""
    return {**estimate("difference", test.difference), "error": test.error, "df": test.df, "p": test.p}


def estimate(name: str, found: Estimate) -> dict[str, float]:
    """An estimate's columns: `difference` has the ends low and high, any other name those that begin like it."""
    ends = ("low", "high") if name == "difference" else (f"{name.split('_')[0]}_low", f"{name.split('_')[0]}_high")
    return {name: found.value, ends[0]: found.low, ends[1]: found.high}


def independent_scores(
    variant: str, trials: pd.DataFrame, reference: pd.DataFrame
) -> tuple[Array, Array, dict[str, Any]]:
    """The scores of two independent samples, and their row, whose verdict says so where they cannot be tested."""
    a, b = (table["score"].to_numpy(float) for table in (trials, reference))
    verdict = NO_REFERENCE if len(b) == 0 else TOO_FEW if min(len(a), len(b)) < MIN_TRIALS else ""
    return a, b, row_of(variant, len(a), len(b), verdict) | means(a, b)


def others(scored: pd.DataFrame, task: str, reference: str) -> tuple[pd.DataFrame, Iterator[tuple[str, pd.DataFrame]]]:
    """The scored trials of the reference on a task, and those of every other variant by its name."""
    here = where(scored.dropna(subset="score"), task=task)
    rest = ((name, group) for (name,), group in groups(here, "variant") if name != reference)
    return where(here, variant=reference), rest


def pair(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trials at the draws that both have, in the same order."""
    _, at_first, at_second = np.intersect1d(first["index"], second["index"], return_indices=True)
    return first.iloc[at_first], second.iloc[at_second]
