"""Where many boxes are and how they move, out of noisy places at irregular times.

Centre and size of each box move at a velocity that only chance changes: white noise acceleration, Bar-Shalom,
Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001), section 6.2.2. The four
numbers of a box do not depend on each other, so that each has a filter of place and rate alone, all of them
are one array, and no matrix is ever inverted. Time is real seconds: a frame that comes late moves further.
"""

from typing import Final

import numpy as np

from edgecnn.results import Array

PLACE, RATE, PLACE_VARIANCE, COVARIANCE, RATE_VARIANCE = range(5)
"""The first index of a state, (5, n, 4) float64; the last is centre x, centre y, width, height."""

_MEASURED: Final = 0.05
"""Standard deviation of a detector's edges and centres, as a share of the box's width or height (ByteTrack's
own, 1/20)."""

_FLOOR_PX: Final = 0.5
"""A detector's box is never more certain than this."""

_START: Final = np.array([2.0, 2.0, 0.5, 0.5])
"""Standard deviation of the rate of something new, in sizes of the box a second."""

_DRIFT: Final = np.array([3.0, 3.0, 0.8, 0.8])
"""How much the rate changes by itself, in sizes of the box a second, after one second (ByteTrack's 1/160 of
the height a frame, at 30 frames a second, is 1.0; a camera that turns wants more, benchmarks/tracking.py)."""

_GROWTH_S: Final = 0.5
"""Growth dies away with this time constant where nothing is seen: nothing grows for long."""

_SMALLEST_PX: Final = 1.0


def begin(measured: Array) -> Array:
    """The state, (5, n, 4), of n boxes, (n, 4), that are seen for the first time."""
    state = np.zeros((5, *measured.shape))
    state[PLACE] = measured
    state[PLACE_VARIANCE] = _variance(measured)
    state[RATE_VARIANCE] = (_START * _size(measured)) ** 2
    return state


def predict(state: Array, dt_s: float) -> Array:
    """The state `dt_s` seconds later, with nothing seen."""
    place, rate, variance, covariance, rate_variance = state
    drift = (_DRIFT * _size(place)) ** 2
    later = np.empty_like(state)
    later[PLACE] = place + dt_s * rate
    later[RATE] = rate
    later[PLACE_VARIANCE] = variance + dt_s * (2 * covariance + dt_s * rate_variance) + dt_s**3 / 3 * drift
    later[COVARIANCE] = covariance + dt_s * rate_variance + dt_s**2 / 2 * drift
    later[RATE_VARIANCE] = rate_variance + dt_s * drift
    np.maximum(later[PLACE, :, 2:], _SMALLEST_PX, out=later[PLACE, :, 2:])
    return later


def fade(state: Array, unseen: Array, dt_s: float) -> None:
    """Let growth die away, in place, of those boxes, (n,) bool, that were not seen for `dt_s` seconds."""
    state[RATE][unseen, 2:] *= np.exp(-dt_s / _GROWTH_S)


def correct(state: Array, measured: Array) -> Array:
    """The state, now that each of its boxes has been seen at `measured`, (n, 4)."""
    place, rate, variance, covariance, rate_variance = state
    certainty = 1 / (variance + _variance(measured))
    gain, rate_gain = variance * certainty, covariance * certainty
    surprise = measured - place
    better = np.empty_like(state)
    better[PLACE] = place + gain * surprise
    better[RATE] = rate + rate_gain * surprise
    better[PLACE_VARIANCE] = (1 - gain) * variance
    better[COVARIANCE] = (1 - gain) * covariance
    better[RATE_VARIANCE] = rate_variance - rate_gain * covariance
    np.maximum(better[PLACE, :, 2:], _SMALLEST_PX, out=better[PLACE, :, 2:])
    return better


def centred(xyxy: Array) -> Array:
    """Centre x, centre y, width, height of boxes given as left, top, right, bottom; (n, 4) float64."""
    corners = xyxy.astype(np.float64)
    size = corners[:, 2:] - corners[:, :2]
    return np.concatenate([corners[:, :2] + size / 2, size], 1)


def cornered(centred: Array) -> Array:
    """Left, top, right, bottom of boxes given as centre and size; (n, 4) of the same type."""
    half = centred[:, 2:] / 2
    return np.concatenate([centred[:, :2] - half, centred[:, :2] + half], 1)


def _size(boxes: Array) -> Array:
    """(n, 1): the mean of width and height. How fast a thing moves does not depend on its being narrow."""
    return (boxes[:, 2:3] + boxes[:, 3:4]) / 2


def _variance(measured: Array) -> Array:
    """(n, 4): how uncertain a detector's boxes are."""
    extent = np.concatenate([measured[:, 2:], measured[:, 2:]], 1)
    deviation = np.maximum(_MEASURED * extent, _FLOOR_PX)
    return deviation * deviation
