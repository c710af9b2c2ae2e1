"""Calibration by temperature, and its measure.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the T > 0 at which softmax(logits / T) has the least cross-entropy.

    Args:
        logits: Shape (n, 2).
        targets: Probability of class 1, shape (n,).
    """
    soft = np.stack([1 - targets, targets], axis=1)

    def loss(log_t: float) -> float:
        return float(-(soft * log_softmax(logits / np.exp(log_t), axis=1)).sum(axis=1).mean())

    minimum = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded")
    return float(np.exp(minimum.x))


def expected_calibration_error(positive: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy over equal-width bins, 0 to 1.

    Args:
        positive: Probability of the positive class, shape (n,).
        labels: 0 or 1, shape (n,).
        bins: Number of confidence bins.
    """
    confidence = np.maximum(positive, 1 - positive)
    right = (positive >= 0.5) == (labels >= 0.5)
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[which == b].mean() - right[which == b].mean()) * (which == b).mean()
        for b in range(bins)
        if (which == b).any()
    ]
    return float(sum(gaps))
