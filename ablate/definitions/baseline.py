"""The best constant predictor: what is reached without looking at the inputs, learnt from the training targets."""

from __future__ import annotations

import numpy as np

from ablate.definitions.dataset import Dataset
from ablate.definitions.scores import SCORES, Loss


def best_constant(loss: Loss, score: str, dataset: Dataset) -> float:
    """The test score of always predicting what is best in training: the shares of the classes, or the means.

    A class or column that training has never or always seen is predicted with the odds of half a target, so that the
    likelihood stays finite.
    """
    train, test = (np.asarray(dataset.splits[split].targets) for split in ("train", "test"))
    errors = 0.0
    if loss == "cross_entropy":
        counts = np.bincount(train[:, 0], minlength=dataset.output_size).astype(np.float64)
        shares = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
        mean_loss = float(-np.log(shares[test[:, 0]]).mean())
        errors = float((test[:, 0] != counts.argmax()).mean())
    elif loss == "binary_cross_entropy":
        least = 0.5 / len(train)
        p = train.mean(axis=0, dtype=np.float64).clip(least, 1 - least)
        q = test.mean(axis=0, dtype=np.float64)
        mean_loss = float(-(q * np.log(p) + (1 - q) * np.log1p(-p)).sum())
    elif loss == "squared_error":
        mean = train.mean(axis=0, dtype=np.float64)
        mean_loss = float(((test - mean) ** 2).sum(axis=1).mean())
    else:
        raise ValueError(f"the baseline of {loss} does not follow from the data")
    return float(SCORES[score].value(mean_loss, errors))
