"""The one way an image becomes a tensor: fit, then colour, then one look into a 256-entry table.

Training, calibration, evaluation and the device all call `prepare`. A pixel has only 256 values, so mean,
standard deviation, scale and zero point are fused once into a table (`lookup`); a frame then costs one
resize, one colour conversion and one table look-up, and is exact in every dtype. Images come in as OpenCV
gives them: uint8, (h, w, 3), blue-green-red.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Any, Final, NamedTuple, TypeAlias

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
        table: what `lookup` gave; its first column alone will do where all columns are equal.
        spec: size, colour order, fit.
        out: C-contiguous (1, height, width, channels) of the table's dtype, written in place; may be the
            interpreter's own memory. None allocates.

    Returns:
        The tensor, (1, height, width, channels) of the table's dtype, and where the original lies in it.

    Raises:
        DataError: not a uint8 image of one or three channels, or an empty one.
    """
    if out is None:
        out = np.empty((1, spec.height, spec.width, spec.channels), table.dtype)
    target = out[0] if spec.channels == 3 else out[0, :, :, 0]
    if table.shape[1] > 1 and not (table[:, 1:] != table[:, :1]).any():
        table = table[:, :1]
    # Where values are of 8 bits, each step writes over the one before it, in the tensor itself: right after a
    # model has run, memory that this frame has not touched yet costs more than the arithmetic.
    room = target.view(np.uint8) if table.itemsize == 1 else None
    pixels, view = _fit(image, spec, room)
    if table.dtype != np.uint8 or table.shape[1] != 1 or table.tobytes() != _IDENTITY:
        cv2.LUT(pixels, table.reshape(1, 256, -1), target)
    elif pixels is not room:
        np.copyto(target, pixels)
    return out, view


def fit(image: Image, spec: InputSpec) -> tuple[Image, View]:
    """The geometric half of `prepare`: resized and in the model's colour order, still 0..255.

    Returns:
        (height, width, 3), or (height, width) for gray, uint8; and where the original lies in it.

    Raises:
        DataError: not a uint8 image of one or three channels, or an empty one.
    """
    return _fit(image, spec, None)


_IDENTITY = bytes(range(256))
_Box: TypeAlias = tuple[int, int, int, int]
_Size: TypeAlias = tuple[int, int]


class _Geometry(NamedTuple):
    """What happens to every image of one size.

    Attributes:
        part: which rows and columns of the source are used; None for all.
        halvings: how often that part is halved by averaging 2x2 pixels.
        size_wh: what is then resized to.
        corner: where that lies in the prepared image, x and y; None where it fills it.
        view: where the original lies in it.
    """

    part: tuple[slice, slice] | None
    halvings: int
    size_wh: _Size
    corner: tuple[int, int] | None
    view: View


def _fit(image: Image, spec: InputSpec, into: Image | None) -> tuple[Image, View]:
    """See `fit`; the result is `into`, of its shape, where one is given and the last step can write there."""
    shape = image.shape
    if image.dtype != np.uint8 or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
        raise DataError(
            f"an image must be uint8 (h, w, 3) BGR or (h, w) grey, not {image.dtype} {image.shape}. "
            "Use cv2.imread, or convert it first."
        )
    if not image.size:
        raise DataError(f"an image must have pixels, not shape {image.shape}")
    part, halvings, size_wh, corner, view = _geometry((shape[1], shape[0]), spec)
    if part is not None:
        image = image[part]
    for _ in range(halvings):
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    if corner is not None:
        into = None
    if (image.shape[1], image.shape[0]) != size_wh:
        place = into if into is not None and into.ndim == image.ndim else None
        if spec.resize == "corner":
            image = _sampled_at_corners(image, size_wh, place)
        else:
            resized = cv2.resize(image, size_wh, dst=place, interpolation=cv2.INTER_LINEAR)
            image = np.asarray(resized, np.uint8)
    colored = _colored(image, spec, into)
    if corner is not None:
        padded = np.full((spec.height, spec.width, *colored.shape[2:]), spec.pad, np.uint8)
        padded[corner[1] : corner[1] + size_wh[1], corner[0] : corner[0] + size_wh[0]] = colored
        colored = padded
    return colored, view


@lru_cache(maxsize=64)
def _geometry(source_wh: _Size, spec: InputSpec) -> _Geometry:
    """What happens to every image of one size: a camera's frames all have the same."""
    box, size_wh, corner = _placement(source_wh, spec)
    width, height = box[2] - box[0], box[3] - box[1]
    halvings = 0
    if spec.resize == "area":
        # OpenCV averages blocks of 2x2 several times faster than any other; halving until less than a
        # factor of two remains makes the bilinear step safe. A rest of a block is left out, and reported.
        halvings = max(0, min(width // size_wh[0], height // size_wh[1]).bit_length() - 1)
        width, height = width >> halvings << halvings, height >> halvings << halvings
    scale_xy = (size_wh[0] / width, size_wh[1] / height)
    # Pixel i of n is sampled at i * side / n: its centre, i + 1/2, shows what lies at i * side / n + 1/2.
    shift_xy = [(1 - scale) / 2 if spec.resize == "corner" else 0.0 for scale in scale_xy]
    offset_xy = (
        corner[0] - box[0] * scale_xy[0] + shift_xy[0],
        corner[1] - box[1] * scale_xy[1] + shift_xy[1],
    )
    part = (slice(box[1], box[1] + height), slice(box[0], box[0] + width))
    whole = (slice(0, source_wh[1]), slice(0, source_wh[0]))
    pads = spec.fit == "letterbox" and size_wh != (spec.width, spec.height)
    return _Geometry(
        part=None if part == whole else part,
        halvings=halvings,
        size_wh=size_wh,
        corner=corner if pads else None,
        view=View(scale_xy, offset_xy, source_wh),
    )


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


def _sampled_at_corners(image: Image, size_wh: _Size, into: Image | None) -> Image:
    """The image, resized as `InputSpec.resize` calls `corner`. Bit for bit what MediaPipe's classifier sees.

    MediaPipe 1.2 calls OpenCV 3's warpPerspective (image_to_tensor_converter_opencv.cc), which knows 32
    places between two pixels. That of OpenCV 5 knows more; its remap with 16-bit maps still computes that.
    """
    if max(image.shape) > _LONGEST_SIDE:
        raise DataError(
            f"an image of {image.shape[1]} x {image.shape[0]} pixels is too large for resize 'corner', which "
            f"takes {_LONGEST_SIDE} on a side. Shrink it first."
        )
    whole, part = _corners((image.shape[1], image.shape[0]), size_wh)
    sampled = np.empty((size_wh[1], size_wh[0], *image.shape[2:]), np.uint8) if into is None else into
    rows = len(whole)
    step = image.shape[0] * rows // size_wh[1]
    for number in range(size_wh[1] // rows):
        cv2.remap(
            image[number * step : (number + 1) * step + 1],  # the last row is looked at by the one before it
            whole,
            part,
            cv2.INTER_LINEAR,
            dst=sampled[number * rows : (number + 1) * rows],
            borderMode=cv2.BORDER_REPLICATE,
        )
    return sampled


_PLACES: Final = 32
"""Places between two pixels (INTER_TAB_SIZE)."""

_PARTS: Final = (6, 5, 4, 3, 2, 1)
"""In how many an image is sampled, the first that is possible. More calls cost more than they save."""

_LONGEST_SIDE: Final = 32766
"""Of an image that cv2.remap takes."""


@lru_cache(maxsize=4)  # 6 bytes a pixel
def _corners(source_wh: _Size, size_wh: _Size) -> tuple[Array, Array]:
    """Where every pixel is sampled: (rows, w, 2) int16, the pixel; (rows, w) uint16, the place after it.

    Where source and target have a common divisor, the places repeat down the image; `rows` is then a part
    of the target's height: a table of a sixth stays in the caches, which a model leaves empty.

    A place halfway between two goes to the even one. MediaPipe's goes where the rounding errors of its matrix
    push it; there is none where 64 divides neither width nor height of the target.
    """
    common = gcd(size_wh[1], source_wh[1])
    rows = size_wh[1] // next(parts for parts in _PARTS if common % parts == 0)
    x, y = (
        np.rint(np.arange(count) * (side * _PLACES) / total).astype(np.int32)
        for count, total, side in zip((size_wh[0], rows), size_wh, source_wh, strict=True)
    )
    whole = np.empty((rows, size_wh[0], 2), np.int16)
    whole[..., 0], whole[..., 1] = x // _PLACES, (y // _PLACES)[:, None]
    part = (y % _PLACES * _PLACES)[:, None] + x % _PLACES
    return whole, part.astype(np.uint16)


def _colored(image: Image, spec: InputSpec, into: Image | None) -> Image:
    grey = image.ndim == 2
    if spec.color == ("gray" if grey else "bgr"):
        return image
    to_color = cv2.COLOR_GRAY2BGR if grey else cv2.COLOR_BGR2RGB
    code = cv2.COLOR_BGR2GRAY if spec.color == "gray" else to_color
    colored = np.asarray(cv2.cvtColor(image, code, dst=into), np.uint8)
    return colored if into is None else into
