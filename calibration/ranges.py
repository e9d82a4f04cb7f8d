"""From the values that went by to the range that int8 shall cover: one estimator for each method.

Ranges are true to the data: they lie inside that of the values, zero need not lie inside them, widths may be
zero. What the integers can hold is the quantizer's business, and so is which tensors share one scale: it
gives the result of MAX_POOL_2D, PAD or RESHAPE the range of what is read, and the parts of a CONCATENATION
that of the whole. So a range here speaks for one tensor only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf

import numpy as np

from calibration.entropy import least_divergence
from calibration.histogram import Histogram, Histograms, Values
from calibration.squared_error import least_squared_error
from edgecnn.card import InputSpec
from edgecnn.errors import ConversionError
from edgecnn.image import lookup

PERCENTILE = 99.999
"""Of the values on either side; what lies beyond is clipped. ResNet-8 on CIFAR-10 keeps 30.8 dB (99.99: 27.8,
99.9: 19.1, min-max: 30.6), EfficientNet-Lite0 on photographs 18.5 dB (99.99: 18.4, min-max: 18.2)."""


@dataclass(frozen=True)
class Ranges:
    """The range of each activation tensor of a model.

    Attributes:
        low_high: tensor name to (low, high), both finite, low <= high.
        method: a key of METHODS.
        samples: how many images were looked at.
        sha256: of the prepared images, in their order: says which ones they were.
    """

    low_high: Mapping[str, tuple[float, float]]
    method: str
    samples: int
    sha256: str


class MinMax:
    """The lowest and the highest value of all. In no order, nothing forgotten: one outlier counts in full."""

    def __init__(self) -> None:
        self._low, self._high = inf, -inf

    def watch(self, values: Values) -> None:
        """Widen the range to the values."""
        # np.minimum hands a NaN on, Python's min would lose it.
        self._low = float(np.minimum(self._low, values.min()))
        self._high = float(np.maximum(self._high, values.max()))

    def range(self) -> tuple[float, float]:
        """(lowest, highest)."""
        return self._low, self._high


def whole(histogram: Histogram) -> tuple[float, float]:
    """The lowest and the highest value: nothing is clipped, one outlier counts in full."""
    return histogram.low, histogram.high


def between_percentiles(histogram: Histogram, *, percentile: float = PERCENTILE) -> tuple[float, float]:
    """What is left when the outermost values on either side are cut off, whatever their distance.

    Args:
        histogram: of the tensor.
        percentile: above 50, at most 100; 99.99 cuts off one in 10,000 at either end.
    """
    if not 50 < percentile <= 100:
        raise ConversionError(f"a percentile of {percentile:g}: give one above 50, up to 100, such as 99.99")
    # numpy's definition: the lowest value is at 0 %, the highest at 100 %, and n - 1 steps lie between them.
    below = np.concatenate([[0], np.cumsum(histogram.counts)])
    cut = (1 - percentile / 100) * (histogram.total - 1)
    low, high = np.interp([cut + 0.5, histogram.total - 0.5 - cut], below, histogram.edges)
    if percentile == 100:
        return histogram.low, histogram.high
    return float(low), float(high)


METHODS: dict[str, Callable[[Histogram], tuple[float, float]]] = {
    "minmax": whole,
    "percentile": between_percentiles,
    "entropy": least_divergence,
    "mse": least_squared_error,
}
"""Name of the method to the function from a tensor's histogram to (low, high)."""


def check_method(method: str, percentile: float = PERCENTILE) -> Callable[[Histogram], tuple[float, float]]:
    """The estimator of that name.

    Raises:
        ConversionError: there is none; lists those there are. Or the percentile is none.
    """
    if method not in METHODS:
        raise ConversionError(f"{method!r} is no way to estimate ranges. Use {', '.join(METHODS)}.")
    if not 50 < percentile <= 100:
        raise ConversionError(f"a percentile of {percentile:g}: give one above 50, up to 100, such as 99.99")
    if method == "percentile":
        return partial(between_percentiles, percentile=percentile)
    return METHODS[method]


def ranges_of(histograms: Histograms, method: str, *, percentile: float = PERCENTILE) -> Ranges:
    """The ranges by one method, from values that were counted once.

    Tensors that must not be clipped keep their whole range by every method.

    Args:
        histograms: see `calibration.observe.histograms`.
        method: a key of METHODS.
        percentile: of the method of that name.

    Raises:
        ConversionError: an unknown method, or no percentile.
    """
    estimate = check_method(method, percentile)
    found = {
        name: whole(histogram) if name in histograms.unclipped else estimate(histogram)
        for name, histogram in histograms.tensors.items()
    }
    return Ranges({**found, **histograms.known}, method, histograms.samples, histograms.sha256)


def within(ranges: Ranges, limits: Mapping[str, tuple[float, float]]) -> Ranges:
    """The ranges, none of them wider than its limits: what lies beyond does not matter and may be clipped.

    Args:
        ranges: as estimated.
        limits: tensor name to (low, high); one that shares no value with its range changes nothing.
    """
    found = dict(ranges.low_high)
    for name, (least, most) in limits.items():
        if name in found and max(found[name][0], least) < min(found[name][1], most):
            found[name] = max(found[name][0], least), min(found[name][1], most)
    return replace(ranges, low_high=found)


def of_pixels(spec: InputSpec) -> tuple[float, float]:
    """The range of a model's input: known exactly, because a pixel has 256 values.

    What the calibration images show may be narrower, and would then clip brighter images later.
    """
    table = lookup(spec, np.float32)
    return float(table.min()), float(table.max())
