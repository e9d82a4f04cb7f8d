"""How the range of each activation grows from image to image: whether it settles, and who sets it alone.

One `Spread` watches one tensor, beside the estimator that finds its range or in place of it. Images fall in
turn into eight groups, of which every half, quarter and eighth is a smaller calibration set: so growth with
the number of images is seen without keeping any image's values, and without depending on their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import ceil, inf, log
from typing import Final

import numpy as np
import numpy.typing as npt

GROUPS: Final = 8

ENOUGH: Final = 16
"""Fewer images are too few, whatever their ranges do."""

SETTLED: Final = 0.07
"""Growth of the last doubling below which more images hardly help. It falls slowly, since the largest of more
values is larger: ResNet-8 on CIFAR-10 has 0.08 to 0.15 at 4 images, 0.04 to 0.06 at 256."""

UNSETTLED: Final = 0.1
"""Growth from which it is told; drawn scenes still have 0.07 at 256 images, and lose nothing by it."""

ALONE: Final = 0.1
"""By how much an image may widen the ranges on average. Of 256 images of CIFAR-10 none widened them by more
than 0.03; one of saturated noise among them does by 0.15 to 0.3."""

_SLOWING: Final = 0.9
"""Growth of a doubling over that of the one before: 0.10 at 4 images and 0.05 at 256, in the same runs."""

_MOST_GROWTH: Final = 0.15  # that is believed: of one or two images it says nothing


class Spread:
    """Watches one tensor. Memory does not grow with the images."""

    def __init__(self) -> None:
        self.images = 0
        self.low, self.high = np.full(GROUPS, inf), np.full(GROUPS, -inf)
        self.lowest, self.highest = [(inf, -1), (inf, -1)], [(-inf, -1), (-inf, -1)]

    def watch(self, values: npt.NDArray[np.float32]) -> None:
        """Look at the values of the next image; they are not kept."""
        low, high = float(values.min()), float(values.max())
        group = self.images % GROUPS
        self.low[group] = np.minimum(self.low[group], low)  # keeps a NaN
        self.high[group] = np.maximum(self.high[group], high)
        if low < self.lowest[1][0]:
            self.lowest = sorted([self.lowest[0], (low, self.images)])
        if high > self.highest[1][0]:
            self.highest = sorted([self.highest[0], (high, self.images)], reverse=True)
        self.images += 1

    def range(self) -> tuple[float, float]:
        """(lowest, highest) so far; (inf, -inf) before the first image, NaN where a value was."""
        return float(self.low.min()), float(self.high.max())

    def widths(self) -> list[float]:
        """Mean width over all ways to take 1, 2, 4, 8 of the groups that hold images."""
        held = min(GROUPS, self.images)
        found = []
        for count in (1, 2, 4, 8):
            if count <= held:
                ways = np.array(list(combinations(range(held), count)))
                found.append(float((self.high[ways].max(1) - self.low[ways].min(1)).mean()))
        return found

    def widened(self) -> dict[int, float]:
        """Image number to the share of the width that only it accounts for; images that set an end."""
        (low, lowest), (next_low, _) = self.lowest
        (high, highest), (next_high, _) = self.highest
        width = high - low
        if not width > 0 or self.images < 2:
            return {}
        found = {lowest: 0.0, highest: 0.0}
        found[lowest] += (next_low - low) / width
        found[highest] += (high - next_high) / width
        return found


@dataclass(frozen=True)
class Growth:
    """How ranges grow with the number of images.

    Attributes:
        curve: (images, mean width relative to that of all images), ascending; the last is (n, 1.0).
        last: by how much the last doubling widened the ranges on average, in [0, 1].
        needed: about how many images would bring `last` down to `SETTLED`; at least as many as there are.
    """

    curve: tuple[tuple[int, float], ...]
    last: float
    needed: int


def growth(spreads: Sequence[Spread]) -> Growth:
    """How the ranges of all tensors grow on average; at least one image was watched."""
    images = spreads[0].images
    held = min(GROUPS, images)
    sizes = [count for count in (1, 2, 4, 8) if count <= held]
    moving = [(one, high - low) for one in spreads for low, high in [one.range()] if high > low]
    if not moving:
        return Growth(((images, 1.0),), 0.0, max(images, ENOUGH))
    relative = np.array([np.array(one.widths()) / width for one, width in moving]).mean(0)
    curve = [(images * size // held, float(width)) for size, width in zip(sizes, relative, strict=True)]
    if sizes[-1] != held:  # three images, five: no power of two
        curve.append((images, 1.0))
    steps = [1 - before[1] / after[1] for before, after in pairwise(curve)]
    last = float(np.mean(steps[-2:])) if steps else 1.0
    return Growth(tuple(curve), last, _needed(images, last))


def alone(spreads: Sequence[Spread]) -> dict[int, float]:
    """Image number to the share by which it alone widens the ranges, on average over all tensors."""
    found: dict[int, float] = {}
    for one in spreads:
        for image, share in one.widened().items():
            found[image] = found.get(image, 0.0) + share / len(spreads)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def outliers(shares: dict[int, float], images: int) -> list[tuple[int, float]]:
    """Images that widen the ranges alone by more than any should; each of few images widens them more."""
    limit = max(ALONE, 3 / images)
    return [(image, share) for image, share in shares.items() if share > limit]


def _needed(images: int, last: float) -> int:
    if last <= SETTLED:
        return max(images, ENOUGH)
    doublings = ceil(log(SETTLED / min(last, _MOST_GROWTH)) / log(_SLOWING))
    return max(ENOUGH, images * 2**doublings)
