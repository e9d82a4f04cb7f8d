"""From the values that went by to the range that int8 shall cover: one estimator for each method.

An estimator watches one tensor. Ranges are true to the data: zero need not lie inside, widths may be zero;
what the integers can hold is the quantizer's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.card import InputSpec
from edgecnn.image import lookup

Values: TypeAlias = npt.NDArray[np.float32]


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


class Estimator(Protocol):
    """Watches the values of one tensor and says in the end which range covers them best."""

    def watch(self, values: Values) -> None:
        """Look at the tensor's values for one image; they are not kept."""

    def range(self) -> tuple[float, float]:
        """(low, high); (inf, -inf) before the first image."""


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


METHODS: dict[str, type[Estimator]] = {"minmax": MinMax}


def of_pixels(spec: InputSpec) -> tuple[float, float]:
    """The range of a model's input: known exactly, because a pixel has 256 values.

    What the calibration images show may be narrower, and would then clip brighter images later.
    """
    table = lookup(spec, np.float32)
    return float(table.min()), float(table.max())
