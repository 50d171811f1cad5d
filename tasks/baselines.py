"""What constant predictors score, where tasks share it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ablate.definitions.dataset import Dataset
from ablate.definitions.task import Settings


def most_frequent_class(dataset: Dataset, settings: Settings) -> float:
    """Test error in per cent when the class that is most frequent in training is always predicted."""
    train, test = (dataset.splits[split].targets[:, 0] for split in ("train", "test"))
    return float(100 * (test != np.bincount(train).argmax()).mean())


def binary_entropy(probabilities: npt.ArrayLike) -> float:
    """Nats that targets of 0 or 1 cost when each is predicted by its probability of a 1; summed over all."""
    p = np.asarray(probabilities, np.float64)
    return float(-(p * np.log(p) + (1 - p) * np.log1p(-p)).sum())
