"""What is known of one tensor of a converted file beside the reference's, and the sums that lead there.

Only sums over images are kept. Where the two tensors come from says `calibration.dissect`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, isfinite, log10, nan, sqrt
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration.pairing import Node
from edgecnn.graph import Graph, Tensor

Array: TypeAlias = npt.NDArray[Any]
Powers: TypeAlias = npt.NDArray[np.float64]

_ROWS: Final = 4096
"""Squares are summed in float32 for so many rows, then in float64: rounding stays below 1e-4."""

_BULK: Final = 0.999


@dataclass(frozen=True, eq=False)
class Channels:
    """What is known of each slice of a tensor along its last axis; of a CONCATENATION, along its own.

    Attributes:
        signal: (c,) power of the reference's values: their squares' sum over all images.
        local: (c,) power of the operator's own error.
        low: (c,) the reference's lowest value.
        high: (c,) its highest.
        values: how many values each has had.
    """

    signal: Powers
    local: Powers
    low: Powers
    high: Powers
    values: int


@dataclass(frozen=True, eq=False)
class LayerError:
    """One tensor of the converted file beside the reference's.

    Attributes:
        node: the tensor and what makes it, in the converted file.
        tensor: the tensor itself.
        reference: the reference's tensor of the same meaning.
        paired_by: "name" or "structure".
        sqnr_db: power of the reference's values over that of all error gathered so far, in decibels.
        cosine: between the two, over all images; 1 is the same direction. nan where one is all zeros.
        local_sqnr_db: the same with the error of this operator alone.
        parts_db: of a concatenation: the local SQNR of the part that each input fills, else ().
        arriving: share of the gathered error that this operator did not add, 0..1.
        inputs, weights, grid: the operator's own error by source, as shares of the signal's power.
        clipping: that part of `grid` which comes from values beyond the range.
        clipped: share of the reference's values that lie beyond the converted file's range.
        used: lowest and highest value in the reference.
        bulk: the range of 99.9 % of them, as finely as the converted file's steps tell; None for float.
        written: lowest and highest value that the converted file can write; None for float.
        step: of its integers; 0.0 for float.
        channels: figures of each channel.
    """

    node: Node
    tensor: Tensor
    reference: Tensor
    paired_by: str
    sqnr_db: float
    cosine: float
    local_sqnr_db: float
    parts_db: tuple[float, ...]
    arriving: float
    inputs: float
    weights: float
    grid: float
    clipping: float
    clipped: float
    used: tuple[float, float]
    bulk: tuple[float, float] | None
    written: tuple[float, float] | None
    step: float
    channels: Channels


class Sums:
    """Adds up what goes by at one tensor, image after image."""

    def __init__(self, graph: Graph, node: Node, shapes: Mapping[int, tuple[int, ...]]) -> None:
        self._node = node
        self._tensor = graph.tensors[node.tensor]
        shape = shapes[node.tensor]
        self._axis = len(shape) - 1
        self._parts: list[int] = []
        if node.kind == "CONCATENATION":
            self._axis = int(graph.ops[node.operator].options.get("axis", -1)) % len(shape)
            self._parts = [shapes[source][self._axis] for source in node.sources if source in shapes]
        channels = shape[self._axis] if shape else 1
        if sum(self._parts) != channels:
            self._parts = []  # a constant is joined too, or the same tensor twice
        self._limits = _limits(self._tensor)
        self._signal, self._error, self._local = np.zeros((3, channels))
        self._inputs, self._grid, self._clip = np.zeros((3, channels))
        self._low, self._high = np.full(channels, inf), np.full(channels, -inf)
        self._cross = self._made = 0.0
        self._clipped = self._values = 0
        self._histogram = np.zeros(256, np.int64)

    def add_input(self, right: Array, made: Array) -> None:
        """Add an image's own tensor: nothing arrives there; what is no rounding is another preparation."""
        self.add(right, made, made, right, real(stored(right, self._tensor), self._tensor), None)

    def add(
        self, right: Array, made: Array, alone: Array, coarse: Array, writable: Array, codes: Array | None
    ) -> None:
        """Add one image.

        Args:
            right: the reference's values.
            made: the converted file's.
            alone: what its operator makes of the reference's inputs.
            coarse: what the reference's operator makes of them as the converted file can write them.
            writable: the reference's values as the converted file can write them.
            codes: the integers of `writable`.
        """
        right = self._rows(right)
        made = self._rows(made)
        self._signal += _squares(right)
        self._error += _squares(made - right)
        self._local += _squares(self._rows(alone) - right)
        self._inputs += _squares(self._rows(coarse) - right)
        self._grid += _squares(self._rows(writable) - right)
        self._cross += float(
            sum(np.einsum("nc,nc->c", r, m).sum(dtype=np.float64) for r, m in _blocks(right, made))
        )
        self._made += float(_squares(made).sum())
        self._values += right.size
        np.minimum(self._low, right.min(axis=0), out=self._low)
        np.maximum(self._high, right.max(axis=0), out=self._high)
        if self._limits is not None:
            low, high, step = self._limits
            beyond = np.maximum(right - np.float32(high), 0) + np.maximum(np.float32(low) - right, 0)
            if beyond.any():
                self._clip += _squares(beyond)
                self._clipped += int(np.count_nonzero(beyond > step / 2))
        if codes is not None and codes.itemsize == 1:
            self._histogram += np.bincount(codes.view(np.uint8).ravel(), minlength=256)

    def result(self, reference: Tensor, paired_by: str) -> LayerError:
        """What is known after all images."""
        signal, error, local = (float(one.sum()) for one in (self._signal, self._error, self._local))
        inputs, grid = float(self._inputs.sum()), float(self._grid.sum())
        arriving = 1 - min(1.0, local / error) if error > 0 else 0.0
        norm = sqrt(signal) * sqrt(self._made)
        return LayerError(
            node=self._node,
            tensor=self._tensor,
            reference=reference,
            paired_by=paired_by,
            sqnr_db=decibels(signal, error),
            cosine=self._cross / norm if norm else nan,
            local_sqnr_db=decibels(signal, local),
            parts_db=self._parts_db(),
            arriving=arriving,
            inputs=_share(inputs, signal),
            weights=_share(max(0.0, local - inputs - grid), signal),
            grid=_share(grid, signal),
            clipping=_share(float(self._clip.sum()), signal),
            clipped=self._clipped / self._values,
            used=(float(self._low.min()), float(self._high.max())),
            bulk=self._bulk(),
            written=None if self._limits is None else self._limits[:2],
            step=0.0 if self._limits is None else self._limits[2],
            channels=Channels(
                self._signal, self._local, self._low, self._high, self._values // len(self._signal)
            ),
        )

    def _rows(self, values: Array) -> Array:
        """(n, channels)."""
        if values.ndim and self._axis != values.ndim - 1:
            values = np.moveaxis(values, self._axis, -1)
        return values.reshape(-1, len(self._signal))

    def _parts_db(self) -> tuple[float, ...]:
        if len(self._parts) < 2:
            return ()
        ends = np.cumsum(self._parts)[:-1]
        pairs = zip(np.split(self._signal, ends), np.split(self._local, ends), strict=True)
        return tuple(decibels(float(signal.sum()), float(error.sum())) for signal, error in pairs)

    def _bulk(self) -> tuple[float, float] | None:
        """The range without the outermost thousandth, cut from whichever end is emptier."""
        total = int(self._histogram.sum())
        if self._limits is None or not total:
            return None
        counts = self._histogram if self._tensor.dtype == "uint8" else np.roll(self._histogram, 128)
        low, high, left = 0, 255, total - _BULK * total
        while low < high:
            end = low if counts[low] <= counts[high] else high
            left -= counts[end]
            if left < 0:
                break
            low, high = (low + 1, high) if end == low else (low, high - 1)
        return self._limits[0] + low * self._limits[2], self._limits[0] + high * self._limits[2]


def short_name(tensor: Tensor) -> str:
    """One name out of those that TensorFlow joins with semicolons, the layer's own."""
    return [part for part in tensor.name.split(";") if part][-1] if tensor.name.strip(";") else "(no name)"


def decibels(signal: float, error: float) -> float:
    """Signal over error, both powers; inf without error, -inf without signal or with an infinite error."""
    if error == 0:
        return inf
    if not isfinite(error):
        return -inf
    return 10 * log10(signal / error) if signal > 0 else -inf


def real(codes: Array, tensor: Tensor) -> Array:
    """The real numbers, float32."""
    if not len(tensor.scale) or codes.dtype == np.float32:
        return codes.astype(np.float32, copy=False)
    # widen before subtracting: int8 -128 minus a zero point of 10 does not fit int8
    widened = codes.astype(np.float32) - np.float32(tensor.zero_point[0])
    return widened * np.float32(tensor.scale[0])


def stored(values: Array, tensor: Tensor) -> Array:
    """The real numbers as the tensor can hold them."""
    if not len(tensor.scale) or tensor.dtype == "float32":
        return values.astype(tensor.dtype, copy=False)
    limits = np.iinfo(tensor.dtype)
    steps = np.rint(np.nan_to_num(values) / np.float32(tensor.scale[0])) + np.float32(tensor.zero_point[0])
    return np.clip(steps, limits.min, limits.max).astype(tensor.dtype)


def _limits(tensor: Tensor) -> tuple[float, float, float] | None:
    """Lowest and highest number that the tensor can hold, and its step; None for float."""
    if tensor.dtype == "float32" or not len(tensor.scale):
        return None
    limits, step, zero = np.iinfo(tensor.dtype), float(tensor.scale[0]), int(tensor.zero_point[0])
    return (limits.min - zero) * step, (limits.max - zero) * step, step


def _blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    for start in range(0, len(arrays[0]), _ROWS):
        yield tuple(array[start : start + _ROWS] for array in arrays)


def _squares(values: Array) -> Powers:
    """(channels,) sums of squares of (n, channels)."""
    total = np.zeros(values.shape[1])
    for (block,) in _blocks(values):
        total += np.einsum("nc,nc->c", block, block)
    return total


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else (inf if part > 0 else 0.0)
