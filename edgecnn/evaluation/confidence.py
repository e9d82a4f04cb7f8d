"""Whether a model is as sure as it is right."""

import numpy as np

from edgecnn.image import Array


def calibration_error(confidence: Array, right: Array, bins: int = 15) -> float:
    """By how much confidence misses accuracy on average, in [0, 1].

    Images are gathered in `bins` equal steps of confidence; each step's gap between mean confidence and
    accuracy counts by its images (expected calibration error; Guo et al., 2017, arXiv:1706.04599).

    Args:
        confidence: (n,) the probability of each decision, in [0, 1]; n must be > 0.
        right: (n,) bool.
        bins: how many steps.
    """
    step = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(step, confidence.astype(np.float64) - right, bins)
    return float(np.abs(gaps).sum() / len(confidence))
