"""What tuning reaches: the mean test score of the best k of n trials, chosen on the validation set.

The chosen trials are no sample: they are order statistics (or what goes with them), whose mean varies more than their
own spread tells. With q = k/n, and m_edge the mean test score around the cut, the variance of their mean m_sel is
[s2_sel + (1 - q)(m_sel - m_edge)^2] / k (Stigler 1973 for trimmed means). For normal scores and q = 0.1 that is
2.19 times s2_sel / k, with which a test at 5 % errs in 18 % of cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from ablate.statistics.independent import MeanTest, mean_test
from ablate.statistics.interval import standard_error, t_interval

MIN_TRIALS, MIN_SELECTED = 100, 10  # below these the tests err too often: 11 % at n = 50, k = 5


@dataclass(frozen=True, eq=False)
class Selected:
    """The best k of n trials by validation, lower being better; equal ones are told apart by their order.

    Args:
        validation: (n,); NaN comes last.
        test: (n,).
    """

    validation: npt.NDArray[np.float64]
    test: npt.NDArray[np.float64]
    k: int

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """The trials from the best validation score to the worst."""
        return np.argsort(self.validation, kind="stable")  # NaN is sorted last

    @property
    def chosen(self) -> npt.NDArray[np.float64]:
        """The test scores of the chosen trials, (k,)."""
        return self.test[self.order[: self.k]]

    @property
    def edge(self) -> float:
        """The mean test score around the cut: of k/2 trials on each side."""
        half = self.k // 2
        return float(self.test[self.order[self.k - half : self.k + half]].mean())

    @property
    def mean(self) -> float:
        """The mean test score of the chosen trials."""
        return float(self.chosen.mean())

    @property
    def error(self) -> float:
        """The standard error of `mean`."""
        spread = standard_error(self.chosen) ** 2
        return math.sqrt(spread + (1 - self.k / len(self.test)) * (self.mean - self.edge) ** 2 / self.k)

    @property
    def pseudo_values(self) -> npt.NDArray[np.float64]:
        """What each trial adds to the mean, (n,): their mean is `mean`, and they pair as the trials do."""
        edge = self.edge
        values = np.full(len(self.test), edge)
        at = self.order[: self.k]
        values[at] += (self.test[at] - edge) * len(self.test) / self.k
        return values


def compare_independent(first: Selected, second: Selected) -> MeanTest | None:
    """The means of two selections from independent draws; None where neither varies."""
    return mean_test((first.mean, first.error, first.k - 1), (second.mean, second.error, second.k - 1))


def compare_paired(first: Selected, second: Selected) -> MeanTest | None:
    """The means of two selections from the same draws, trial by trial; None where the pseudo-values never differ.

    About as many pseudo-values vary as trials were chosen, so there are k - 1 degrees of freedom.
    """
    differences = first.pseudo_values - second.pseudo_values
    error = standard_error(differences)
    if error == 0:
        return None
    df = min(first.k, second.k) - 1
    p = float(2 * special.stdtr(df, -abs(differences.mean()) / error))
    return MeanTest(t_interval(float(differences.mean()), error, df), error, df, p)
