"""Training images varied at random: moved, mirrored, scaled, turned, recoloured, partly covered.

Each image of a batch gets its own variation. Where it goes is an explicit 2x3 matrix (`placements`), so that
boxes can go with it; what shows beyond the border is the image's mirror image. Knows pixels only: labels
stay, and whether a mirrored image still means the same is for the caller to say (`flip`).
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgecnn.errors import DataError

Pixels: TypeAlias = npt.NDArray[np.uint8]
Matrices: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Augment:
    """How far images may be varied. Every amount is drawn evenly from its range; `Augment()` varies nothing.

    Attributes:
        flip: mirror half of the images, left to right.
        shift: of the image's width and height: up to this share to each side, in [0, 1).
        scale: smallest and largest magnification about the centre, above 0; evenly in its logarithm.
        rotate_deg: up to this angle either way.
        brightness: up to this share of the whole range is added or taken away, in [0, 1].
        contrast: differences from mid-grey are multiplied by 1 - contrast to 1 + contrast, in [0, 1].
        saturation: differences from a pixel's own grey likewise, in [0, 1]. Grey images stay as they are.
        cutout: side of a mid-grey square at a random place, as a share of the image's, in [0, 1]
            (DeVries & Taylor, 2017).
    """

    flip: bool = False
    shift: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    rotate_deg: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    cutout: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", tuple(self.scale))  # a list, where it comes from JSON
        for name in ("shift", "brightness", "contrast", "saturation", "cutout"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"augment: {name} must be in 0..1, not {getattr(self, name)}")
        if not 0 <= self.rotate_deg <= 180:
            raise DataError(f"augment: rotate_deg must be in 0..180, not {self.rotate_deg}")
        low, high, *others = *self.scale, 0.0, 0.0
        if len(others) != 2 or not 0 < low <= high:
            raise DataError(f"augment: scale must be (smallest, largest) above 0, not {self.scale}")

    @staticmethod
    def for_size(height: int, width: int) -> "Augment":
        """What suits photographs of a size.

        Up to 64 pixels: mirrored and shifted by an eighth (4 pixels of 32, as He et al., 2016, for CIFAR).
        Larger: objects come nearer and farther, and light changes.
        """
        if min(height, width) <= 64:
            return Augment(flip=True, shift=0.125)
        return Augment(
            flip=True, shift=0.1, scale=(0.8, 1.4), rotate_deg=5, brightness=0.1, contrast=0.2, saturation=0.3
        )

    @property
    def moves_freely(self) -> bool:
        """Whether pixels must be interpolated; else they move by whole pixels."""
        return self.scale != (1.0, 1.0) or self.rotate_deg > 0

    @property
    def recolours(self) -> bool:
        """Whether pixels change their values."""
        return self.brightness > 0 or self.contrast > 0 or self.saturation > 0


def augment(batch: Pixels, how: Augment, random: np.random.Generator) -> Pixels:
    """Vary every image of a batch.

    Args:
        batch: (n, h, w, c) uint8 with 1 or 3 channels, whose order does not matter. n may be 0.
        how: how far.
        random: the result is a function of its state and the batch; how much it is advanced follows from n.

    Returns:
        (n, h, w, c) uint8, new.
    """
    count, height, width, _ = batch.shape
    matrices = placements(how, count, (width, height), random)
    looks = random.random((count, 3)) * 2 - 1
    holes = random.random((count, 2))
    out = move(batch, matrices) if how.moves_freely else _move_whole_pixels(batch, matrices)
    if how.recolours:
        _recolour(out, how, looks)
    if how.cutout:
        _cut_out(out, how.cutout, holes)
    return out


def placements(how: Augment, count: int, size_wh: tuple[int, int], random: np.random.Generator) -> Matrices:
    """Where each image goes: matrices (count, 2, 3) float64 with new = m[:, :2] @ old + m[:, 2].

    Points are in pixels, the origin at the top left corner of the top left pixel, as in `edgecnn.results`.
    Shifts are whole pixels.
    """
    width, height = size_wh
    draws = random.random((count, 5))
    mirror = np.where(how.flip & (draws[:, 0] < 0.5), -1.0, 1.0)
    shift_x = np.rint((draws[:, 1] * 2 - 1) * how.shift * width)
    shift_y = np.rint((draws[:, 2] * 2 - 1) * how.shift * height)
    low, high = np.log(how.scale)
    magnification = np.exp(low + draws[:, 3] * (high - low))
    angle = np.deg2rad(how.rotate_deg) * (draws[:, 4] * 2 - 1)
    cosine, sine = magnification * np.cos(angle), magnification * np.sin(angle)
    matrices = np.empty((count, 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = mirror * cosine, -sine
    matrices[:, 1, 0], matrices[:, 1, 1] = mirror * sine, cosine
    centre = np.array([width / 2, height / 2])
    matrices[:, :, 2] = centre - matrices[:, :, :2] @ centre + np.stack([shift_x, shift_y], 1)
    return matrices


def move(batch: Pixels, matrices: Matrices) -> Pixels:
    """Move every image by its matrix, interpolating between pixels.

    Args:
        batch: (n, h, w, c) uint8.
        matrices: (n, 2, 3), as from `placements`.
    """
    _, height, width, channels = batch.shape
    out = np.empty_like(batch)
    by_index = matrices.copy()  # OpenCV counts from the centre of the top left pixel
    by_index[:, :, 2] += matrices[:, :, :2].sum(2) / 2 - 0.5
    for image, matrix, target in zip(batch, by_index, out, strict=True):
        moved = cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        target[:] = moved.reshape(height, width, channels)
    return out


def _move_whole_pixels(batch: Pixels, matrices: Matrices) -> Pixels:
    """`move` for matrices that mirror and shift only: ten times faster for small images."""
    _, height, width, _ = batch.shape
    out = np.empty_like(batch)
    mirrored = matrices[:, 0, 0] < 0
    right = np.rint(matrices[:, 0, 2] - width * mirrored).astype(np.int64)
    down = np.rint(matrices[:, 1, 2]).astype(np.int64)
    right = np.where(mirrored, -right, right)  # shifted first, then mirrored
    margin_x, margin_y = int(abs(right).max(initial=0)), int(abs(down).max(initial=0))
    rows = zip(batch, out, mirrored.tolist(), right.tolist(), down.tolist(), strict=True)
    for image, target, is_mirrored, x, y in rows:
        padded = cv2.copyMakeBorder(image, margin_y, margin_y, margin_x, margin_x, cv2.BORDER_REFLECT_101)
        top, left = margin_y - y, margin_x - x
        window = padded[top : top + height, left : left + width]
        target[:] = (cv2.flip(window, 1) if is_mirrored else window).reshape(target.shape)
    return out


def _recolour(batch: Pixels, how: Augment, looks: npt.NDArray[np.float64]) -> None:
    """Saturation about the mean of the channels, then contrast, then brightness: one 3x4 matrix per image."""
    count, height, width, channels = batch.shape
    added = 255 * how.brightness * looks[:, 0]
    contrast = 1 + how.contrast * looks[:, 1]
    saturation = (1 + how.saturation * looks[:, 2])[:, None, None]
    mix: npt.NDArray[Any] = np.full((channels, channels), 1 / channels)
    colour = np.empty((count, channels, channels + 1), np.float32)
    colour[:, :, :channels] = contrast[:, None, None] * (saturation * (np.eye(channels) - mix) + mix)
    colour[:, :, channels] = (127.5 - 127.5 * contrast + added)[:, None]
    for image, matrix in zip(batch, colour, strict=True):
        image[:] = cv2.transform(image, matrix).reshape(height, width, channels)


def _cut_out(batch: Pixels, side: float, holes: npt.NDArray[np.float64]) -> None:
    """The square's centre lies anywhere in the image, so part of it may fall outside."""
    _, height, width, _ = batch.shape
    tall, wide = round(side * height), round(side * width)
    tops = np.rint(holes[:, 0] * height - tall / 2).astype(int)
    lefts = np.rint(holes[:, 1] * width - wide / 2).astype(int)
    for image, top, left in zip(batch, tops.tolist(), lefts.tolist(), strict=True):
        image[max(0, top) : max(0, top + tall), max(0, left) : max(0, left + wide)] = 128
