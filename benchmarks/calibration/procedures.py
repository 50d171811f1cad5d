"""What is measured: every comparison of the project on simulated studies, through the project's own functions.

A procedure takes studies of one cell and returns, for each quantity, its outcome in each of them. Errors, power and
coverage of one test look at the first variant alone, so that outcomes are independent; errors of a family look at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from scipy import special

from ablate.analysis.trials import how_many_best
from ablate.statistics.equivalence import two_one_sided
from ablate.statistics.families import HOLM, adjust, adjust_outsider, correction_for
from ablate.statistics.independent import MeanTest, mann_whitney, welch
from ablate.statistics.interval import (
    Estimate,
    mean_interval,
    median_interval,
    probability_interval,
    standard_error,
    superiority_interval,
)
from ablate.statistics.levels import ALPHA
from ablate.statistics.paired import flip_intervals, sign_flips, signed_ranks
from ablate.statistics.selected import Selected, compare_independent, compare_paired
from benchmarks.calibration.laws import Array, Study

# What others do; nothing is promised of it.
PAPER, IGNORING = "best tenth: the paper's Welch", "all trials: Welch, pairs ignored"

Outcomes = dict[str, float]
Procedure = Callable[[Sequence[Study]], list[Outcomes]]

ERROR, FAMILY, DISCOVERIES = "error of one test", "family-wise error", "false discovery rate"
POWER, POWER_ADJUSTED, CONTROL = "power of one test", "power after the correction", "control called different"
MEAN, MEDIAN = "coverage: mean difference", "coverage: median difference"
STUDENT = "coverage: mean difference, by Student"  # for comparison
PROBABILITY, BOOTSTRAP = "coverage: probability better", "coverage: probability better, by bootstrap"
BEST_MEAN = "coverage: best-tenth difference"
COVERAGES = (MEAN, MEDIAN, PROBABILITY, BEST_MEAN)  # of the intervals that the project gives
RESAMPLES = 999
MAX_COVERED = 9  # intervals look at two variants, whatever their number, and are counted in the smaller studies
TRAININGS = 5  # of a variant's best setting; the reference's has as many as the cell says


def judged(p: Sequence[float], study: Study, correction: str = "") -> Outcomes:
    """What p-values of every variant against the reference say, where it is known which variants differ."""
    equal = study.shifts[1:] == study.shifts[0]
    correction = correction or correction_for(len(p))
    called = np.array(adjust(p, correction)) < ALPHA
    found = {ERROR: p[0] < ALPHA} if equal[0] else {POWER: p[0] < ALPHA, POWER_ADJUSTED: called[0]}
    if len(p) > 1 and equal.any():
        false = called & equal
        found[FAMILY if correction == HOLM else DISCOVERIES] = (
            false.any() if correction == HOLM else false.sum() / max(1, called.sum())
        )
        # The last variant as a control: it stands outside of the family, and is judged as if it had joined.
        family = list(p[:-1])
        found[CONTROL] = adjust_outsider(p[-1], family, correction_for(len(family))) < ALPHA
    return {name: float(value) for name, value in found.items()}


def covers(estimate: Estimate, truth: float) -> float:
    """Whether the interval holds the truth; NaN for one without ends."""
    return math.nan if math.isnan(estimate.low) else float(estimate.low <= truth <= estimate.high)


def sign_flip(studies: Sequence[Study]) -> list[Outcomes]:
    """All trials, paired: the mean difference by sign flips, with all intervals of paired differences."""
    found = _flipped(studies, lambda d: d)
    if len(studies[0].test) > MAX_COVERED:
        return found
    intervals = flip_intervals([study.test[1] - study.test[0] for study in studies])
    for study, outcomes, interval in zip(studies, found, intervals, strict=True):
        d, truth = study.test[1] - study.test[0], float(study.shifts[1])
        outcomes |= {MEAN: covers(interval, truth), STUDENT: covers(mean_interval(d), truth)}
        outcomes |= {MEDIAN: covers(median_interval(d), truth)}
        if truth == 0:
            outcomes[PROBABILITY] = covers(probability_interval(d), 0.5)
    return found


def signed_rank(studies: Sequence[Study]) -> list[Outcomes]:
    """All trials, paired: signed ranks."""
    return _flipped(studies, signed_ranks)


def _flipped(studies: Sequence[Study], score: Callable[[Array], Array]) -> list[Outcomes]:
    p = iter(sign_flips([score(d) for study in studies for d in study.test[1:] - study.test[0]]))
    return [judged([next(p) for _ in study.test[1:]], study) for study in studies]


def of_welch(study: Study) -> Outcomes:
    """All trials, independent: the means."""
    tests = [welch(variant, study.test[0]) for variant in study.test[1:]]
    return judged(_p(tests), study) | {MEAN: _covered(tests[0], study)}


def of_mann_whitney(study: Study) -> Outcomes:
    """All trials, independent: the ranks."""
    found = judged([mann_whitney(variant, study.test[0]) for variant in study.test[1:]], study)
    if study.shifts[1] == 0:
        found[PROBABILITY] = covers(superiority_interval(study.test[1], study.test[0]), 0.5)
    return found


def best_paired(study: Study) -> Outcomes:
    """The best tenth, on shared draws."""
    tests = [compare_paired(variant, reference) for variant, reference in _selections(study)]
    return judged(_p(tests), study) | {BEST_MEAN: _covered(tests[0], study)}


def best_independent(study: Study) -> Outcomes:
    """The best tenth, each variant on draws of its own."""
    tests = [compare_independent(variant, reference) for variant, reference in _selections(study)]
    return judged(_p(tests), study) | {BEST_MEAN: _covered(tests[0], study)}


def paper(study: Study) -> Outcomes:
    """The best tenth as the paper compares it: taken for a plain sample."""
    tests = [welch(variant.chosen, reference.chosen) for variant, reference in _selections(study)]
    found = judged(_p(tests), study, HOLM) | {BEST_MEAN: _covered(tests[0], study)}
    found.pop(CONTROL, None)
    return found


def confirmed(study: Study) -> Outcomes:
    """The best settings trained anew, 5 times against the reference's 10."""
    tests = [welch(row, study.test[0]) for row in study.test[1:, :TRAININGS]]
    return judged(_p(tests), study) | {MEAN: _covered(tests[0], study)}


def superiority(study: Study) -> Outcomes:
    """Newcombe's interval of the probability better, and the one of a bootstrap, at a normal law or without a shift."""
    first, second = study.test[1, :TRAININGS], study.test[0]
    truth = float(special.ndtr(-study.shifts[1] / math.sqrt(2 * 1.04)))
    return {
        PROBABILITY: covers(superiority_interval(first, second), truth),
        BOOTSTRAP: covers(_bootstrap(first, second), truth),
    }


def equivalence(study: Study) -> Outcomes:
    """Two one-sided tests of paired trials whose true difference is the margin: nothing may be called equivalent."""
    d = study.test[1] - study.test[0]
    p = two_one_sided(float(d.mean()), standard_error(d), len(d) - 1, float(study.shifts[1]))
    return {ERROR: float(p < ALPHA)}


def equivalence_independent(study: Study) -> Outcomes:
    """The same of independent trials."""
    test = welch(study.test[1], study.test[0])
    margin = float(study.shifts[1])
    return {
        ERROR: float(test is not None and two_one_sided(test.difference.value, test.error, test.df, margin) < ALPHA)
    }


def _selections(study: Study) -> Iterable[tuple[Selected, Selected]]:
    k = how_many_best(study.test.shape[1])
    reference, *variants = (Selected(v, t, k) for v, t in zip(study.validation, study.test, strict=True))
    return [(variant, reference) for variant in variants]


def _p(tests: Sequence[MeanTest | None]) -> list[float]:
    return [math.nan if test is None else test.p for test in tests]


def _covered(test: MeanTest | None, study: Study) -> float:
    return math.nan if test is None else covers(test.difference, float(study.shifts[1]))


def _bootstrap(first: Array, second: Array) -> Estimate:
    """The percentile interval, for comparison: near 0 and 1 it is a point."""
    rng = np.random.default_rng(0)
    x, y = (rng.choice(sample, (RESAMPLES, len(sample))) for sample in (first, second))
    below = (x[:, :, None] < y[:, None, :]).mean(axis=(1, 2))
    low, high = np.quantile(below, [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(float(below.mean()), float(low), float(high))


def each(one: Callable[[Study], Outcomes]) -> Procedure:
    return lambda studies: [one(study) for study in studies]


PROCEDURES: dict[str, Procedure] = {
    "all trials: sign flips": sign_flip,
    "all trials: signed ranks": signed_rank,
    "all trials: Welch": each(of_welch),
    "all trials: Mann-Whitney": each(of_mann_whitney),
    "best tenth: pseudo-values": each(best_paired),
    "best tenth: variance of order statistics": each(best_independent),
    PAPER: each(paper),
    IGNORING: each(of_welch),
    "confirmed: Welch, 5 against 10": each(confirmed),
    "confirmed: Welch, 10 against 10": each(of_welch),
    "confirmed: probability better, 5 against 10": each(superiority),
    "equivalence: paired": each(equivalence),
    "equivalence: independent": each(equivalence_independent),
}
