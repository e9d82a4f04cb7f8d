"""How often each value occurs in a tensor, counted while it goes by, in one pass and bounded memory.

Bins are those of a number with a 10-bit mantissa: 1024 for each octave, over the 14 octaves below the largest
magnitude. So a bin is 0.1 % of its value wide wherever the values are, an outlier does not swallow the rest
in one bin, and the counts do not depend on the order of the images. What lies closer to zero than 2**-14 of
the largest magnitude is one bin: int8 cannot tell it from zero. Which range suits a histogram is not known
here; see `calibration.ranges`.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn import files
from edgecnn.errors import DataError

Values: TypeAlias = npt.NDArray[np.float32]
Floats: TypeAlias = npt.NDArray[np.float64]

FORMAT = 1
"""Of the files that `Histograms.save` writes."""

_OCTAVES = 14
_OCTAVE = 1 << 10
"""Bins in an octave."""
_SHIFT = 23 - 10
"""From the bits of a float32 to exponent and the first 10 bits of its mantissa."""
_SIDE = _OCTAVES * _OCTAVE
"""Bins for each sign."""
_CHUNK = 1 << 14
"""Values counted at a time: what is in between stays in the processor's cache (2.5 times as fast)."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """The values of one tensor over all images.

    Attributes:
        edges: (n + 1,) float64, ascending; the first is the lowest value of all and the last the highest,
            exactly. The two are equal where the tensor never moved.
        counts: (n,) int64, how many values each bin holds; at least one, and neither end is empty.
    """

    edges: Floats
    counts: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        edges, counts = self.edges, self.counts
        if counts.ndim != 1 or not len(counts) or edges.shape != (len(counts) + 1,):
            raise DataError(f"a histogram of {counts.shape} counts cannot have {edges.shape} edges")
        if not np.isfinite(edges).all() or (np.diff(edges) < 0).any():
            raise DataError("the edges of a histogram must be finite and ascend")
        if (counts < 0).any() or not counts.any():
            raise DataError("the counts of a histogram must be 0 or more, and one of them above 0")

    @property
    def low(self) -> float:
        """The lowest value of all."""
        return float(self.edges[0])

    @property
    def high(self) -> float:
        """The highest value of all."""
        return float(self.edges[-1])

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    def share_outside(self, low: float, high: float) -> float:
        """The share of values that a range clips, in [0, 1]; those of a bin lie evenly in it."""
        if low <= self.low and high >= self.high:
            return 0.0
        if self.low == self.high:
            return 1.0
        below = np.concatenate([[0], np.cumsum(self.counts)]) / self.total
        inside = np.interp(high, self.edges, below) - np.interp(low, self.edges, below)
        return float(min(1.0, max(0.0, 1.0 - inside)))


@dataclass(frozen=True)
class Histograms:
    """The histograms of a model's activations.

    Attributes:
        tensors: name to histogram, in execution order; the model's input is not among them.
        known: name to the range of tensors that are not estimated: the model's input.
        unclipped: names of tensors whose range is always that of all values: see `calibration.observe`.
        samples: how many images were looked at.
        sha256: of the prepared images, in their order.
    """

    tensors: Mapping[str, Histogram]
    known: Mapping[str, tuple[float, float]]
    unclipped: frozenset[str]
    samples: int
    sha256: str

    def save(self, path: Path) -> None:
        """Write a `.npz` file, which `numpy.load` opens without pickle; replaces what is there.

        It holds `names`, `samples`, `sha256`, `unclipped` (names), `known` and `known_low_high`, and for the
        tensor at position 7 of `names` the arrays `7.edges` and `7.counts`.
        """
        arrays: dict[str, Any] = {
            "format": np.array(FORMAT),
            "names": np.array(list(self.tensors), np.str_),
            "samples": np.array(self.samples),
            "sha256": np.array(self.sha256),
            "unclipped": np.array(sorted(self.unclipped), np.str_),
            "known": np.array(list(self.known), np.str_),
            "known_low_high": np.array(list(self.known.values()), np.float64).reshape(-1, 2),
        }
        for number, histogram in enumerate(self.tensors.values()):
            arrays[f"{number}.edges"] = histogram.edges
            arrays[f"{number}.counts"] = histogram.counts
        with files.replacing(path) as beside, beside.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Histograms":
        """Read what `save` wrote. Executes nothing from the file.

        Raises:
            DataError: there is no such file, or it holds something else.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
                if int(content["format"]) != FORMAT:
                    raise DataError(
                        f"is of format {int(content['format'])}, but this edgecnn reads {FORMAT}. Update it."
                    )
                tensors = {
                    str(name): Histogram(
                        np.asarray(content[f"{number}.edges"], np.float64),
                        np.asarray(content[f"{number}.counts"], np.int64),
                    )
                    for number, name in enumerate(content["names"])
                }
                pairs = np.asarray(content["known_low_high"], np.float64).reshape(-1, 2)
                return cls(
                    tensors,
                    {
                        str(name): (float(low), float(high))
                        for name, (low, high) in zip(content["known"], pairs, strict=True)
                    },
                    frozenset(str(name) for name in content["unclipped"]),
                    int(content["samples"]),
                    str(content["sha256"]),
                )
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        except (
            OSError,
            EOFError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            zipfile.BadZipFile,
        ) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise DataError(f"{path}: cannot be read as histograms ({reason}). Calibrate again.") from None


class Tally:
    """Counts the values of one tensor, image after image."""

    def __init__(self) -> None:
        self._low, self._high = inf, -inf
        self._top = _OCTAVES  # exponent, as float32 writes it, of the highest octave; no lower: see _first
        self._counts = np.zeros(2 * _SIDE + 1, np.int64)

    def watch(self, values: Values) -> None:
        """Count the values of one image; they are not kept."""
        # np.minimum hands a NaN on, Python's min would lose it.
        self._low = float(np.minimum(self._low, values.min()))
        self._high = float(np.maximum(self._high, values.max()))
        if not (isfinite(self._low) and isfinite(self._high)):
            return
        largest = np.float32(max(-self._low, self._high))
        self._raise(int(largest.view(np.int32) >> 23))
        flat = np.ascontiguousarray(values, np.float32).reshape(-1)
        for start in range(0, flat.size, _CHUNK):
            self._count(flat[start : start + _CHUNK])

    def range(self) -> tuple[float, float]:
        """(lowest, highest); (inf, -inf) before the first image; NaN or infinite where a value was."""
        return self._low, self._high

    def histogram(self) -> Histogram:
        """What was counted, with bins from the lowest value to the highest.

        Raises:
            DataError: nothing was counted, or a value was infinite or not a number.
        """
        if not (isfinite(self._low) and isfinite(self._high)):
            raise DataError(f"values from {self._low} to {self._high} have no histogram")
        filled = np.flatnonzero(self._counts)
        first, last = int(filled[0]), int(filled[-1]) + 1
        keys = np.arange(self._first, self._first + _SIDE + 1, dtype=np.int32) << _SHIFT
        magnitudes = keys.view(np.float32).astype(np.float64)
        edges = np.concatenate([-magnitudes[::-1], magnitudes])[first : last + 1]
        edges[0], edges[-1] = self._low, self._high
        return Histogram(edges, self._counts[first:last].copy())

    @property
    def _first(self) -> int:
        """Exponent and mantissa of the smallest magnitude that has a bin of its own; above those of zero."""
        return (self._top - _OCTAVES + 1) << 10

    def _count(self, values: Values) -> None:
        bits = values.view(np.int32)
        position = bits & np.int32(0x7FFFFFFF)
        position >>= _SHIFT
        position -= np.int32(self._first - 1)
        np.maximum(position, 0, out=position)
        sign = bits >> 31  # -1 below zero, else 0
        position ^= sign  # with the next line: negated where the value is below zero
        position -= sign
        position += np.int32(_SIDE)
        np.add.at(self._counts, position, 1)

    def _raise(self, top: int) -> None:
        """Make room for larger magnitudes: the lowest octaves join the bin around zero."""
        lost = min(max(0, top - self._top) * _OCTAVE, _SIDE)
        if not lost:
            return
        counts, moved = self._counts, np.zeros_like(self._counts)
        moved[_SIDE] = counts[_SIDE - lost : _SIDE + lost + 1].sum()
        moved[_SIDE + 1 : 2 * _SIDE + 1 - lost] = counts[_SIDE + 1 + lost :]
        moved[lost:_SIDE] = counts[: _SIDE - lost]
        self._counts, self._top = moved, top
