"""What a number of trials can find, and how many a difference needs."""

from __future__ import annotations

import math

from scipy import special

from ablate.statistics.levels import ALPHA, POWER
from ablate.statistics.paired import smallest_p

MAX_TRIALS = 1_000_000
ASSUMED_CORRELATION = 0.75  # of two variants' scores at the same draw: 0.73 to 0.78 in the example study


def detectable_difference(n: int, comparisons: int, correlation: float = 0.0, paired: bool = True) -> float:
    """The smallest difference of means, in standard deviations of the scores, that is found in POWER of all studies.

    At the level of the strictest step of a correction, ALPHA / comparisons. By quantiles of the central t-distribution
    (Cohen 1988); infinite where so few pairs cannot reach that level by sign flips.

    Args:
        n: trials of each variant.
        correlation: between the scores of two variants at one draw.
        paired: whether pairs are compared; otherwise two independent samples of n.
    """
    level = ALPHA / max(1, comparisons)
    df = n - 1 if paired else 2 * n - 2
    if df < 1 or (paired and smallest_p(n) >= level):
        return math.inf
    quantiles = float(special.stdtrit(df, 1 - level / 2) + special.stdtrit(df, POWER))
    return quantiles * math.sqrt(2 * (1 - correlation if paired else 1.0) / n)


def trials_needed(difference: float, comparisons: int, correlation: float = 0.0, paired: bool = True) -> int:
    """How many trials of each variant find a difference, in standard deviations of the scores; see above."""
    low, high = 1, 2
    while detectable_difference(high, comparisons, correlation, paired) > difference:
        low, high = high, 2 * high
        if high > MAX_TRIALS:
            return high
    while high - low > 1:
        middle = (low + high) // 2
        if detectable_difference(middle, comparisons, correlation, paired) > difference:
            low = middle
        else:
            high = middle
    return high


def confirmation_difference(n: int, n_reference: int, comparisons: int) -> float:
    """The same for two settings trained n and n_reference times, in standard deviations between such trainings."""
    df = n + n_reference - 2
    if min(n, n_reference) < 2:
        return math.inf
    quantiles = special.stdtrit(df, 1 - ALPHA / max(1, comparisons) / 2) + special.stdtrit(df, POWER)
    return float(quantiles) * math.sqrt(1 / n + 1 / n_reference)
