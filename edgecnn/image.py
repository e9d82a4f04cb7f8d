"""The one way an image becomes a tensor: fit, then colour, then one look into a 256-entry table.

Training, calibration, evaluation and the device all call `prepare`. A pixel has only 256 values, so mean,
standard deviation, scale and zero point are fused once into a table (`lookup`); a frame then costs one
resize, one colour conversion and one table look-up, and is exact in every dtype. Images come in as OpenCV
gives them: uint8, (h, w, 3), blue-green-red.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgecnn.card import InputSpec
from edgecnn.errors import DataError, ModelError

Array: TypeAlias = npt.NDArray[Any]
Image: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """Where the original image lies in the prepared one: prepared = source * scale_xy + offset_xy.

    Attributes:
        scale_xy: prepared pixels for each pixel of the original.
        offset_xy: where the original's top left corner lies, in prepared pixels (negative after a crop).
        source_wh: width and height of the original.
    """

    scale_xy: tuple[float, float]
    offset_xy: tuple[float, float]
    source_wh: tuple[int, int]

    def to_source(self, points_xy: Array) -> Array:
        """Map (n, 2) points from prepared pixels to pixels of the original, as float64. n may be 0."""
        return (np.asarray(points_xy, np.float64) - self.offset_xy) / self.scale_xy

    def to_prepared(self, points_xy: Array) -> Array:
        """Map (n, 2) points from pixels of the original to prepared pixels, as float64. n may be 0."""
        return np.asarray(points_xy, np.float64) * self.scale_xy + self.offset_xy


def lookup(spec: InputSpec, dtype: npt.DTypeLike, *, scale: float = 0.0, zero_point: int = 0) -> Array:
    """The table from a pixel's value to the tensor's value.

    Real value r = (x - mean) / std; an integer tensor holds round(r / scale) + zero_point, clipped to its
    dtype (Jacob et al., 2018, eq. 1). Halves round to even.

    Args:
        spec: says mean and std.
        dtype: float32, int8, uint8 or int16.
        scale: of the integer tensor; not used for float32.
        zero_point: likewise.

    Returns:
        (256, channels) of `dtype`.

    Raises:
        ModelError: another dtype, or an integer tensor without a scale.
    """
    dtype = np.dtype(dtype)
    pixels = np.arange(256, dtype=np.float64)[:, None]
    real = np.broadcast_to((pixels - np.array(spec.mean)) / np.array(spec.std), (256, spec.channels))
    if dtype == np.float32:
        return np.ascontiguousarray(real, np.float32)
    if dtype not in (np.int8, np.uint8, np.int16):
        raise ModelError(f"the input is {dtype}; edgecnn feeds float32, int8, uint8 and int16")
    if not scale > 0:
        raise ModelError(f"the {dtype} input has scale {scale}: it carries no usable quantization")
    limits = np.iinfo(dtype)
    return np.ascontiguousarray(
        np.clip(np.rint(real / scale) + zero_point, limits.min, limits.max).astype(dtype)
    )


def prepare(image: Image, table: Array, spec: InputSpec, *, out: Array | None = None) -> tuple[Array, View]:
    """Turn an image into the model's input tensor.

    Args:
        image: uint8, (h, w, 3) BGR or (h, w) grey, as OpenCV reads it; not changed.
        table: what `lookup` gave.
        spec: size, colour order, fit.
        out: C-contiguous (1, height, width, channels) of the table's dtype, written in place; may be the
            interpreter's own memory. None allocates.

    Returns:
        The tensor, (1, height, width, channels) of the table's dtype, and where the original lies in it.

    Raises:
        DataError: not a uint8 image of one or three channels, or an empty one.
    """
    pixels, view = fit(image, spec)
    if out is None:
        out = np.empty((1, spec.height, spec.width, spec.channels), table.dtype)
    target = out[0] if spec.channels == 3 else out[0, :, :, 0]
    columns = table if table.shape[1] > 1 and (table[:, 1:] != table[:, :1]).any() else table[:, :1]
    cv2.LUT(pixels, columns.reshape(1, 256, -1), target)
    return out, view


def fit(image: Image, spec: InputSpec) -> tuple[Image, View]:
    """The geometric half of `prepare`: resized and in the model's colour order, still 0..255.

    Returns:
        (height, width, 3), or (height, width) for gray, uint8; and where the original lies in it.

    Raises:
        DataError: not a uint8 image of one or three channels, or an empty one.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise DataError(
            f"an image must be uint8 (h, w, 3) BGR or (h, w) grey, not {image.dtype} {image.shape}. "
            "Use cv2.imread, or convert it first."
        )
    if image.size == 0:
        raise DataError(f"an image must have pixels, not shape {image.shape}")
    source_h, source_w = image.shape[:2]
    box, size_wh, corner = _placement((source_w, source_h), spec)
    inner, seen_wh = _resize(image[box[1] : box[3], box[0] : box[2]], size_wh, spec.resize)
    scale_xy = (size_wh[0] / seen_wh[0], size_wh[1] / seen_wh[1])
    offset_xy = (corner[0] - box[0] * scale_xy[0], corner[1] - box[1] * scale_xy[1])
    colored = _colored(inner, spec)
    if spec.fit == "letterbox" and size_wh != (spec.width, spec.height):
        padded = np.full((spec.height, spec.width, *colored.shape[2:]), spec.pad, np.uint8)
        padded[corner[1] : corner[1] + size_wh[1], corner[0] : corner[0] + size_wh[0]] = colored
        colored = padded
    return colored, View(scale_xy, offset_xy, (source_w, source_h))


_Box: TypeAlias = tuple[int, int, int, int]
_Size: TypeAlias = tuple[int, int]


def _placement(source_wh: _Size, spec: InputSpec) -> tuple[_Box, _Size, _Size]:
    """Which box of the source is used, the size it is resized to, and where its corner then lies."""
    source_w, source_h = source_wh
    whole, target = (0, 0, source_w, source_h), (spec.width, spec.height)
    if spec.fit == "stretch":
        return whole, target, (0, 0)
    ratio_x, ratio_y = spec.width / source_w, spec.height / source_h
    if spec.fit == "letterbox":
        scale = min(ratio_x, ratio_y)
        width = min(spec.width, max(1, round(source_w * scale)))
        height = min(spec.height, max(1, round(source_h * scale)))
        return whole, (width, height), ((spec.width - width) // 2, (spec.height - height) // 2)
    scale = max(ratio_x, ratio_y)
    width = min(source_w, max(1, round(spec.width / scale)))
    height = min(source_h, max(1, round(spec.height / scale)))
    left, top = (source_w - width) // 2, (source_h - height) // 2
    return (left, top, left + width, top + height), target, (0, 0)


def _resize(image: Image, size_wh: _Size, how: str) -> tuple[Image, tuple[int, int]]:
    """The resized image, and the (width, height) of the source that it shows."""
    height, width = image.shape[:2]
    if how == "area":
        # OpenCV averages blocks of 2x2 several times faster than any other; halving until less than a
        # factor of two remains makes the bilinear step safe. A rest of a block is left out, and reported.
        halvings = max(0, min(width // size_wh[0], height // size_wh[1]).bit_length() - 1)
        width, height = width >> halvings << halvings, height >> halvings << halvings
        image = image[:height, :width]
        for _ in range(halvings):
            half = (image.shape[1] // 2, image.shape[0] // 2)
            image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    if (image.shape[1], image.shape[0]) != size_wh:
        image = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)
    return image, (width, height)


def _colored(image: Image, spec: InputSpec) -> Image:
    grey = image.ndim == 2
    if spec.color == "gray":
        return image if grey else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    if grey:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return image if spec.color == "bgr" else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
