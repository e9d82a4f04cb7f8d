"""The range that loses the least information about how a tensor's values are distributed.

The method is TensorRT's (S. Migacz, "8-bit inference with TensorRT", 2017), made right for asymmetric int8:

- low and high are searched independently, so that a tensor after ReLU spends no number on what never comes;
- values that every range tried would round to zero are left out of the comparison. Zero is always exact, but
  after a ReLU it is so frequent that smearing it over the cells beside it would decide everything, in
  favour of ranges that are far too narrow.

P is the distribution over cells, with what lies outside the range moved into its outermost cells. Q is that
of what lies inside, each of the 256 levels spread evenly over its cells that are not empty. The range with
the smallest divergence of Kullback and Leibler, sum of P log(P / Q), is chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import frexp
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.histogram import Histogram
from calibration.squared_error import LEVELS

CELLS = 1 << 10
"""Cells from zero to the power of two below the largest magnitude: 1024 to 2048 lie on the larger side."""

_CANDIDATES = 64
"""Ends that are tried on a side, evenly spaced; then as many around the best of them."""

_ROUNDS = 3
"""At most; each searches the high end, then the low one. Later ones rarely find anything."""


@dataclass(frozen=True, eq=False)
class Cells:
    """A histogram of equal cells, aligned to zero.

    Attributes:
        width: of a cell.
        first: position of the first cell; cell k holds the values from k * width to (k + 1) * width.
        counts: (n,) int64, without the values closer to zero than half a width; neither end is empty.
    """

    width: float
    first: int
    counts: npt.NDArray[np.int64]


def cells_of(histogram: Histogram) -> Cells | None:
    """The histogram in equal cells, each of whole bins; None where no value is left."""
    largest = max(-histogram.low, histogram.high)
    if largest == 0:
        return None
    width = 2.0 ** (frexp(largest)[1] - 1) / CELLS
    middles = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    counted = (histogram.counts > 0) & (np.abs(middles) > width / 2)
    if not counted.any():
        return None
    positions = np.floor(middles[counted] / width).astype(np.int64)
    first = int(positions.min())
    counts = np.bincount(positions - first, histogram.counts[counted]).astype(np.int64)
    return Cells(width, first, counts)


def divergence(cells: Cells, start: int, end: int) -> float:
    """KL divergence of the cells from themselves in int8, the range being the cells from `start` to `end`.

    Args:
        cells: of the tensor.
        start: position of the range's first cell in `cells.counts`, which is not empty.
        end: one behind the position of its last, which is not empty; start < end.
    """
    inside = cells.counts[start:end]
    reference = inside.astype(np.float64)
    reference[0] += cells.counts[:start].sum()
    reference[-1] += cells.counts[end:].sum()
    low, high = cells.first + start, cells.first + end  # in cell widths
    scale = (max(high, 0) - min(low, 0)) / (LEVELS - 1)
    levels = np.rint((np.arange(low, high) + 0.5) / scale).astype(np.int64)
    levels -= levels[0]
    filled = inside > 0
    spread = np.bincount(levels, inside) / np.maximum(np.bincount(levels, filled), 1)
    p = reference[filled] / reference.sum()
    q = spread[levels][filled] / inside.sum()
    return float((p * np.log(p / q)).sum())


def least_divergence(histogram: Histogram) -> tuple[float, float]:
    """The range with the smallest divergence, inside that of the values and at least 255 cells wide."""
    cells = cells_of(histogram)
    if cells is None:
        return histogram.low, histogram.high
    filled = np.flatnonzero(cells.counts)
    begins = filled[filled + cells.first < 0]  # an end that does not cross zero gains nothing from moving
    ends = filled[filled + cells.first >= 0] + 1
    best = (0, len(cells.counts))
    for _ in range(_ROUNDS):
        start, end = best
        end = _least([(start, int(one)) for one in ends[_wide(cells, start, ends)]], cells, best)[1]
        start = _least([(int(one), end) for one in begins[_wide(cells, begins, end)]], cells, (start, end))[0]
        if (start, end) == best:
            break
        best = start, end
    start, end = best
    # The outermost cells reach beyond the outermost values; an end that was not moved stays exact.
    low, high = (cells.first + start) * cells.width, (cells.first + end) * cells.width
    return (
        histogram.low if start == 0 else low,
        histogram.high if end == len(cells.counts) else min(high, histogram.high),
    )


def _wide(cells: Cells, start: Any, end: Any) -> Any:
    """Whether a range has at least one cell for each step: nothing finer can be compared."""
    width = np.maximum(cells.first + end, 0) - np.minimum(cells.first + start, 0)
    return width >= LEVELS - 1


def _least(options: Sequence[tuple[int, int]], cells: Cells, present: tuple[int, int]) -> tuple[int, int]:
    """The range with the least divergence: some of ascending options first, then those around the best."""
    best, least = present, divergence(cells, *present)
    around = options
    for _ in range(2):
        for option in _spaced(around):
            if (found := divergence(cells, *option)) < least:
                best, least = option, found
        if best not in options:
            break
        place, reach = options.index(best), -(-len(options) // _CANDIDATES)
        around = options[max(0, place - reach) : place + reach + 1]
    return best


def _spaced(options: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    """At most _CANDIDATES of the options, evenly spaced by width."""
    if len(options) <= _CANDIDATES:
        return options
    widths = np.array([end - start for start, end in options])
    order = widths.argsort()
    targets = np.linspace(widths.min(), widths.max(), _CANDIDATES)
    places = order[np.searchsorted(widths[order], targets)]
    return [options[place] for place in np.unique(places)]
