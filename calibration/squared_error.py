"""The range whose int8 numbers come closest to a tensor's values, by mean squared error.

Low and high are searched independently. A bin's values lie evenly in it, for which the error of rounding and
clipping has a closed form: the integral of (x - Q(x))^2 between the bin's edges, where Q rounds to the
nearest of the 256 numbers that int8 has for the range. The zero point is a whole number, as the quantizer
makes it.
"""

from dataclasses import dataclass

import numpy as np

from calibration.histogram import Floats, Histogram

LEVELS = 256
"""Of int8."""

_CANDIDATES = np.geomspace(2.0**-9, 1.0, 64)
"""Shares of the lowest and the highest value that the first search tries: 64 x 64 pairs, 10 % apart."""

_ZOOMS = (1.02, 1.005)
"""Ratios between neighbours in the searches after it, each of 9 x 9 pairs around the best so far."""

_STEPS = (1.01, 1.003)
"""Likewise for the exact searches, each of 5 x 5 pairs."""


@dataclass(frozen=True)
class Grid:
    """The numbers that int8 has for a range.

    Attributes:
        scale: the distance between two numbers, > 0.
        lowest: the smallest number, <= 0, a multiple of the scale.
        highest: the largest, >= 0, likewise.
    """

    scale: float
    lowest: float
    highest: float


def grid(low: float, high: float) -> Grid:
    """The numbers for a range, which is first widened to hold zero (Jacob et al., 2018, section 3).

    `low` and `high` must not both be zero.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / (LEVELS - 1)
    below = round(-low / scale)
    return Grid(scale, -below * scale, (LEVELS - 1 - below) * scale)


def expected_error(histogram: Histogram, low: float, high: float) -> float:
    """The mean squared error of a tensor's values once they are int8 numbers of a range."""
    return _Values(histogram).error(low, high)


def least_squared_error(histogram: Histogram) -> tuple[float, float]:
    """The range with the smallest expected squared error, inside that of the values.

    A first search over all pairs takes the error of rounding as scale^2 / 12; the neighbourhood of the best
    pair is then searched with the exact integral.

    A side of the range that does not cross zero stays: int8's range holds zero in any case.
    """
    if histogram.low == histogram.high:
        return histogram.low, histogram.high
    values = _Values(histogram)
    best = (histogram.low, histogram.high)
    for shares in (_CANDIDATES, *(ratio ** np.arange(-4.0, 5.0) for ratio in _ZOOMS)):
        lows, highs = (_ends(end, shares, histogram) for end in best)
        errors = values.rough_errors(lows, highs)
        row, column = np.unravel_index(int(errors.argmin()), errors.shape)
        best = (float(lows[row]), float(highs[column]))
    least = values.error(*best)
    for ratio in _STEPS:
        lows, highs = (_ends(end, ratio ** np.arange(-2.0, 3.0), histogram) for end in best)
        for low in lows:
            for high in highs:
                if (error := values.error(low, high)) < least:
                    best, least = (float(low), float(high)), error
    return best


def _ends(end: float, shares: Floats, histogram: Histogram) -> Floats:
    """Other places for one end of a range: on its side of zero, inside the values' range."""
    if (end == histogram.low and end >= 0) or (end == histogram.high and end <= 0):
        return np.array([end])  # the range holds zero anyway: nothing is won by moving this end
    return np.unique(np.clip(end * shares, histogram.low, histogram.high))


class _Values:
    """A histogram without its empty bins, and its moments."""

    def __init__(self, histogram: Histogram) -> None:
        self._edges = histogram.edges
        self._width = np.diff(histogram.edges)
        self._share = histogram.counts / histogram.total
        # Of all values below each edge: how many, their sum, their sum of squares.
        left, right = histogram.edges[:-1], histogram.edges[1:]
        squares = (left * left + left * right + right * right) / 3
        self._moments = tuple(
            np.concatenate([[0.0], np.cumsum(self._share * mean)])
            for mean in (np.ones_like(left), (left + right) / 2, squares)
        )

    def error(self, low: float, high: float) -> float:
        """The mean squared error, from the exact integral over every bin."""
        numbers = grid(low, high)
        if not self._width.all():  # one bin, whose values are all the same
            return float((self._edges[0] - _nearest(self._edges[0], numbers)) ** 2)
        integral = np.diff(_integral(self._edges, numbers))
        # Not `@`: BLAS wakes a thread for each core, which on a busy machine takes longer than the sum.
        return float((self._share * integral / self._width).sum())

    def rough_errors(self, lows: Floats, highs: Floats) -> Floats:
        """(lows, highs): the error if rounding costs scale^2 / 12, and around zero the value itself."""
        low, high = np.minimum(lows, 0.0)[:, None], np.maximum(highs, 0.0)[None, :]
        scale = (high - low) / (LEVELS - 1)
        below_low, below_high = self._below(low), self._below(high)
        down, up = self._below(-scale / 2), self._below(scale / 2)
        rounded = (below_high[0] - below_low[0]) - (up[0] - down[0])
        error: Floats = np.maximum(rounded, 0) * scale**2 / 12 + (up[2] - down[2])
        error += below_low[2] - 2 * low * below_low[1] + low**2 * below_low[0]
        count, total, squares = (
            moment[-1] - part for moment, part in zip(self._moments, below_high, strict=True)
        )
        error += squares - 2 * high * total + high**2 * count
        return error

    def _below(self, value: Floats) -> list[Floats]:
        return [np.interp(value, self._edges, moment) for moment in self._moments]


def _nearest(value: float, numbers: Grid) -> float:
    rounded = round(value / numbers.scale) * numbers.scale
    return float(min(max(rounded, numbers.lowest), numbers.highest))


def _integral(ends: Floats, numbers: Grid) -> Floats:
    """The integral of (x - Q(x))^2 from 0 to each end.

    From 0 to the number k = round(x / scale) lie k whole steps of scale^3 / 12 each; the rest is a cube.
    So is what lies beyond the lowest or the highest number.
    """
    inside = np.clip(ends, numbers.lowest, numbers.highest)
    steps = inside / numbers.scale
    whole = np.rint(steps)
    rounding = numbers.scale**3 * (whole / 12 + _cube(steps - whole) / 3)
    return np.asarray(rounding + _cube(ends - inside) / 3)


def _cube(values: Floats) -> Floats:
    return values * values * values  # values**3 takes 20 times as long
