"""Which cells are measured."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.calibration.cells import Cell
from benchmarks.calibration.laws import (
    AT_CAP,
    EXCHANGEABLE,
    HEAVY,
    NORMAL,
    RESAMPLED,
    UNEQUAL,
    WIDE_REFERENCE,
    WIDE_VARIANT,
    WIDER,
)
from benchmarks.calibration.procedures import IGNORING, PAPER

STUDIES = 2000
SIZES = (12, 20, 50, 100, 200)
FEW, MANY = 9, 41  # variants: the paper's, and what is the most that the example study has

PAIRED = ("all trials: sign flips", "all trials: signed ranks")
INDEPENDENT = ("all trials: Welch", "all trials: Mann-Whitney")
BEST = ("best tenth: pseudo-values", True), ("best tenth: variance of order statistics", False)
CONFIRMED = ("confirmed: Welch, 5 against 10", "confirmed: Welch, 10 against 10")
SUPERIORITY = "confirmed: probability better, 5 against 10"


def grid(studies: int = STUDIES) -> Iterator[Cell]:
    """All cells. There are fewer studies where they take long: of many trials or variants, and through the tables."""
    half, fewer, fewest = (max(1, studies // part) for part in (2, 4, 10))
    yield from _all_trials(NORMAL, FEW, studies)
    yield from _all_trials(NORMAL, MANY, fewer, (12,))
    for law in (*EXCHANGEABLE[1:], *UNEQUAL):
        for n, many in ((12, studies), (20, half), (200, fewer)):
            yield from _all_trials(law, FEW, many, (n,))
    # With many variants no more of the rank tests, which have no say in a verdict.
    for law, n in (*((NORMAL, n) for n in SIZES[1:]), *((law, 20) for law in EXCHANGEABLE[1:])):
        many = studies if n == 20 else fewest
        yield Cell(PAIRED[0], law, n, MANY, many)
        yield Cell(INDEPENDENT[0], law, n, MANY, many, paired=False)
    for variants, many in ((FEW, studies), (MANY, fewer)):
        third = (variants - 1) // 3
        yield from _all_trials(NORMAL, variants, many, (50,), 0.5, third)
        for law in EXCHANGEABLE:
            yield from _best_tenth(law, variants, studies if law == NORMAL else many // 2)
        yield from _best_tenth(NORMAL, variants, many, 0.5, third)
    for law in (NORMAL, HEAVY):
        yield from _best_tenth(law, FEW, studies, 0.5, 1)
    yield from _all_trials(NORMAL, FEW, studies, (24,), 0.5, 1)
    yield Cell(IGNORING, NORMAL, 24, FEW, studies, True, 0.5, 1)  # what is lost where the pairs are not used
    for law in (NORMAL, HEAVY, WIDE_VARIANT, WIDE_REFERENCE):
        for procedure in CONFIRMED:
            yield Cell(procedure, law, 10, FEW, 4 * studies, paired=False)
            yield Cell(procedure, law, 10, MANY, studies, paired=False)
        yield Cell(SUPERIORITY, law, 10, 2, studies, paired=False)
    for shift in (1.0, 2.0, 3.0):
        yield Cell(SUPERIORITY, NORMAL, 10, 2, studies, paired=False, shift=shift, shifted=1)
    for law in (NORMAL, HEAVY, AT_CAP):
        for n in SIZES:
            yield Cell("equivalence: paired", law, n, 2, studies, shift=1.0, shifted=1)
            yield Cell("equivalence: independent", law, n, 2, studies, paired=False, shift=1.0, shifted=1)
    yield from _tables(max(1, studies // 10))


def _all_trials(
    law: str, variants: int, studies: int, sizes: tuple[int, ...] = SIZES, shift: float = 0.0, shifted: int = 0
) -> Iterator[Cell]:
    for n in sizes:
        for procedure in PAIRED:
            yield Cell(procedure, law, n, variants, studies, True, shift, shifted)
        for procedure in INDEPENDENT:
            yield Cell(procedure, law, n, variants, studies, False, shift, shifted)


def _best_tenth(law: str, variants: int, studies: int, shift: float = 0.0, shifted: int = 0) -> Iterator[Cell]:
    for n in (100, 200):
        for procedure, paired in BEST:
            yield Cell(procedure, law, n, variants, studies, paired, shift, shifted)
            yield Cell(PAPER, law, n, variants, studies, paired, shift, shifted)


def _tables(studies: int) -> Iterator[Cell]:
    for law in (NORMAL, AT_CAP, RESAMPLED[1], WIDER):
        yield Cell("across tasks: signed ranks", law, 12, FEW, studies, tasks=3)
    yield Cell("verdicts on all trials, paired", NORMAL, 12, FEW, studies)
    yield Cell("verdicts on all trials, paired, no baseline", AT_CAP, 12, FEW, studies)
    yield Cell("verdicts on all trials, independent", NORMAL, 12, FEW, studies, paired=False)
    yield Cell("verdicts on the best tenth, paired", NORMAL, 100, FEW, max(1, studies // 2))
    for shifted in (0, FEW - 2, FEW - 1):
        yield Cell("best set: all trials", NORMAL, 12, FEW, studies, True, 0.25 if shifted else 0.0, shifted)
    yield Cell("best set: best tenth", NORMAL, 100, FEW, max(1, studies // 2))
