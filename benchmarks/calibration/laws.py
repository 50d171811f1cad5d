"""The laws that simulated scores are drawn from; lower is better.

Where draws are shared, the scores of two variants at one draw have the correlation 0.75 before the noise of validation
and test. The laws are those of the prototype behind `ablate.statistics.selected`, and what real studies add to them:
caps, divergence, ties.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from ablate.analysis import AnalysisTables
from ablate.analysis.dataframes import where
from ablate.storage.folder import StudyFolder
from ablate.storage.results import load_results

Array = npt.NDArray[np.float64]

CORRELATION = 0.75
NOISE = 0.2  # of the validation and of the test score, beside a score's standard deviation of 1
CAPPED, DIVERGED = 0.2, 0.15  # shares of trials
_CAP = float(stats.norm.ppf(1 - CAPPED)) * math.hypot(1, NOISE)

NORMAL, HEAVY = "normal", "heavy-tailed"
DIVERGING, AT_CAP = "15 % diverged", "20 % at the cap"
RESAMPLED = ("resampled: handwriting", "resampled: music", "resampled: speech")
EXCHANGEABLE = (NORMAL, HEAVY, DIVERGING, AT_CAP, *RESAMPLED)
# Equal means, but no equal laws: sign flips and signed ranks promise nothing here.
WIDER, ONE_CAPPED = "spread 3 times the reference's", "20 % at the cap, none of the reference's"
UNEQUAL = (WIDER, ONE_CAPPED)
# Of two settings trained anew, equal means but one variance 3 times the other.
WIDE_VARIANT, WIDE_REFERENCE = "variance 3 times the reference's", "variance a third of the reference's"

# The standard deviation of a score before the noise, in which shifts are counted.
SPREAD = {HEAVY: math.sqrt(2 * math.sqrt(2 / math.pi))}


@dataclass(frozen=True, eq=False)
class Study:
    """The scores of one simulated task; the first variant is the reference."""

    validation: Array  # (variants, n), NaN where a trial diverged
    test: Array  # (variants, n)
    shifts: Array  # (variants,), by how much each variant's scores truly lie higher


def draw(rng: np.random.Generator, law: str, variants: int, n: int, paired: bool, shifts: Array) -> Study:
    """One task; `shifts` (variants,) are in standard deviations."""
    shifts = shifts * SPREAD.get(law, 1.0)
    scores = _resampled if law in RESAMPLED else _simulated
    validation, test = scores(rng, law, variants, n, paired)
    return Study(validation + shifts[:, None], test + shifts[:, None], shifts)


def _simulated(rng: np.random.Generator, law: str, variants: int, n: int, paired: bool) -> tuple[Array, Array]:
    own = rng.standard_normal((variants, n))
    z = math.sqrt(CORRELATION) * rng.standard_normal(n) + math.sqrt(1 - CORRELATION) * own if paired else own
    if law == HEAVY:
        z = np.sign(z) * np.abs(z) ** 1.5
    validation, test = z + NOISE * rng.standard_normal((2, variants, n))
    if law in (WIDER, WIDE_VARIANT):
        scale = 3 if law == WIDER else math.sqrt(3)
        validation[1:] *= scale
        test[1:] *= scale
    if law == WIDE_REFERENCE:
        validation[0] *= math.sqrt(3)
        test[0] *= math.sqrt(3)
    if law == DIVERGING:
        gone = rng.uniform(size=(variants, n)) < DIVERGED
        validation[gone], test = np.nan, np.where(gone, _CAP, np.minimum(test, _CAP))
    if law == AT_CAP:
        test = np.minimum(test, _CAP)
    if law == ONE_CAPPED:
        test[1:] = np.minimum(test[1:], _CAP) - _mean_below_cap()
    return validation, test


def _mean_below_cap() -> float:
    """The mean of a normal score that is capped."""
    scale = math.hypot(1, NOISE)
    return CAPPED * _CAP - scale * float(stats.norm.pdf(_CAP / scale))


def _resampled(rng: np.random.Generator, law: str, variants: int, n: int, paired: bool) -> tuple[Array, Array]:
    """Trials of the example study. Within a draw its variants are interchanged, so that all have one law."""
    validation, test = _example(law.removeprefix("resampled: "))
    draws, columns = test.shape
    rows = rng.integers(draws, size=n) if paired else rng.integers(draws, size=(variants, n))
    # A variant of the simulated study is at each draw any of the example's, and no two are the same.
    chosen = np.argsort(rng.uniform(size=(n, columns)), axis=1)[:, :variants].T
    return validation[rows, chosen], test[rows, chosen]


@cache
def _example(task: str) -> tuple[Array, Array]:
    """Validation and test losses of the example study, (draws, variants)."""
    results = load_results(StudyFolder(Path(__file__).parents[2] / "results", "example"))
    scored = where(AnalysisTables(results)["scored_trials"], task=task)
    validation, test = (
        results.sign(task) * scored.pivot(index="index", columns="variant", values=name).to_numpy(float)
        for name in ("validation", "score")
    )
    return validation, test
