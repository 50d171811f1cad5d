"""Practical equivalence, by two one-sided t-tests (Schuirmann 1987), and one of the two alone."""

from __future__ import annotations

import math

from scipy import special


def two_one_sided(difference: float, error: float, df: float, margin: float) -> float:
    """The p-value of the hypothesis that the true difference is `margin` or more, to either side.

    Small where the difference is shown to be within the margin. NaN without a margin or degrees of freedom.
    """
    return below_margin(abs(difference), error, df, margin)


def below_margin(difference: float, error: float, df: float, margin: float) -> float:
    """The p-value of the hypothesis that the true difference is `margin` or more: small where it is shown to be less.

    Of losses this is non-inferiority. NaN without a margin or degrees of freedom.
    """
    if not (margin > 0 and df > 0) or math.isnan(error):
        return math.nan
    if error == 0:
        return 0.0 if difference < margin else 1.0
    return float(special.stdtr(df, (difference - margin) / error))
