"""Statistics: plain functions from tables to tables; nothing here draws or trains."""

from ablate.analysis.boxes import box_statistics, compare_sets, curve_views, views
from ablate.analysis.compare import MIN_TRIALS, compare, detectable, holm, welch
from ablate.analysis.trials import (
    FRACTION,
    best_curves,
    best_fraction,
    best_samples,
    counts,
    scored,
    summary,
    trial_sets,
)

__all__ = [
    "FRACTION",
    "MIN_TRIALS",
    "best_curves",
    "best_fraction",
    "best_samples",
    "box_statistics",
    "compare",
    "compare_sets",
    "counts",
    "curve_views",
    "detectable",
    "holm",
    "scored",
    "summary",
    "trial_sets",
    "views",
    "welch",
]
