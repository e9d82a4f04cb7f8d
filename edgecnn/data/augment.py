"""Training images varied at random: moved, mirrored, scaled, turned, recoloured, partly covered.

Each image of a batch gets its own variation. Where it goes is an explicit 2x3 matrix (`placements`), so that
boxes can go with it (`edgecnn.data.augment_boxes`); what shows beyond the border is the image's mirror image.
Knows pixels only: labels stay, and whether a mirrored or turned image still means the same is for the caller
to say (`flip`, `upside_down`, `quarter_turns`).
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgecnn.errors import DataError

Pixels: TypeAlias = npt.NDArray[np.uint8]
Matrices: TypeAlias = npt.NDArray[np.float64]
Windows: TypeAlias = npt.NDArray[np.int64]


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
        upside_down: mirror half of the images, top to bottom: where there is no up, as under a microscope.
        quarter_turns: turn by 0, 90, 180 or 270 degrees; images that are not square by 0 or 180.
        hue: colours turn about grey by up to this share of the colour circle either way, in [0, 0.5].
        mosaic: share of the images that are put together from four, in [0, 1] (Bochkovskiy et al., 2020,
            YOLOv4). Only where boxes are learned: four images have no one label.
    """

    flip: bool = False
    shift: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    rotate_deg: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    cutout: float = 0.0
    upside_down: bool = False
    quarter_turns: bool = False
    hue: float = 0.0
    mosaic: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", tuple(self.scale))  # a list, where it comes from JSON
        for name in ("shift", "brightness", "contrast", "saturation", "cutout", "mosaic"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"augment: {name} must be in 0..1, not {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise DataError(f"augment: hue must be in 0..0.5, not {self.hue}")
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

    @staticmethod
    def for_boxes(height: int, width: int) -> "Augment":
        """What suits detection on images of a size: objects at other places, sizes and in other company.

        Nothing is turned: a turned object's box is only known roughly. Up to 64 pixels, where halving an
        image leaves nothing of its objects: no mosaic.
        """
        small = min(height, width) <= 64
        return Augment(
            flip=True,
            shift=0.1,
            scale=(0.8, 1.4) if small else (0.6, 1.6),
            brightness=0.15,
            contrast=0.25,
            saturation=0.4,
            mosaic=0.0 if small else 0.5,
        )

    @property
    def moves_freely(self) -> bool:
        """Whether pixels must be interpolated; else they move by whole pixels."""
        return self.scale != (1.0, 1.0) or self.rotate_deg > 0

    @property
    def recolours(self) -> bool:
        """Whether pixels change their values."""
        return self.brightness > 0 or self.contrast > 0 or self.saturation > 0 or self.hue > 0


def augment(batch: Pixels, how: Augment, random: np.random.Generator) -> Pixels:
    """Vary every image of a batch.

    Args:
        batch: (n, h, w, c) uint8 with 1 or 3 channels, whose order does not matter. n may be 0.
        how: how far.
        random: the result is a function of its state and the batch; how much it is advanced follows from n.

    Returns:
        (n, h, w, c) uint8, new.

    Raises:
        DataError: `how` asks for mosaics.
    """
    if how.mosaic:
        raise DataError(
            f"augment: mosaic is {how.mosaic}, but four images in one have no one label. Set it to 0."
        )
    count, height, width, _ = batch.shape
    matrices = placements(how, count, (width, height), random)
    looks = random.random((count, 3)) * 2 - 1
    holes = random.random((count, 2))
    hues = random.random((count,)) * 2 - 1
    whole = not (how.moves_freely or how.quarter_turns)
    out = _move_whole_pixels(batch, matrices) if whole else move(batch, matrices)
    recolour(out, how, looks, hues)
    cut_out(out, squares(how.cutout, holes, (width, height)))
    return out


def placements(how: Augment, count: int, size_wh: tuple[int, int], random: np.random.Generator) -> Matrices:
    """Where each image goes: matrices (count, 2, 3) float64 with new = m[:, :2] @ old + m[:, 2].

    Points are in pixels, the origin at the top left corner of the top left pixel, as in `edgecnn.results`.
    Shifts are whole pixels.
    """
    width, height = size_wh
    draws = random.random((count, 5))
    exact = _mirrors_and_turns(how, draws[:, 0], square=width == height)
    shift_x = np.rint((draws[:, 1] * 2 - 1) * how.shift * width)
    shift_y = np.rint((draws[:, 2] * 2 - 1) * how.shift * height)
    low, high = np.log(how.scale)
    magnification = np.exp(low + draws[:, 3] * (high - low))
    angle = np.deg2rad(how.rotate_deg) * (draws[:, 4] * 2 - 1)
    cosine, sine = magnification * np.cos(angle), magnification * np.sin(angle)
    matrices = np.empty((count, 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine, -sine
    matrices[:, 1, 0], matrices[:, 1, 1] = sine, cosine
    matrices[:, :, :2] @= exact
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


def recolour(
    batch: Pixels, how: Augment, looks: npt.NDArray[np.float64], hues: npt.NDArray[np.float64]
) -> None:
    """Vary the colours in place: hue, saturation, contrast, then brightness, as one 3x4 matrix per image.

    Hue turns about the grey axis, saturation stretches from the mean of the channels. Images of one channel
    have neither.

    Args:
        batch: (n, h, w, c) uint8.
        how: how far.
        looks: (n, 3) in [-1, 1): brightness, contrast, saturation.
        hues: (n,) likewise.
    """
    if not how.recolours:
        return
    count, height, width, channels = batch.shape
    added = 255 * how.brightness * looks[:, 0]
    contrast = 1 + how.contrast * looks[:, 1]
    saturation = (1 + how.saturation * looks[:, 2])[:, None, None]
    mix: npt.NDArray[Any] = np.full((channels, channels), 1 / channels)
    turned = _about_grey(2 * np.pi * how.hue * hues) if how.hue and channels == 3 else np.eye(channels)
    colour = np.empty((count, channels, channels + 1), np.float32)
    colour[:, :, :channels] = contrast[:, None, None] * (saturation * (turned - mix) + mix)
    colour[:, :, channels] = (127.5 - 127.5 * contrast + added)[:, None]
    for image, matrix in zip(batch, colour, strict=True):
        image[:] = cv2.transform(image, matrix).reshape(height, width, channels)


def squares(side: float, holes: npt.NDArray[np.float64], size_wh: tuple[int, int]) -> Windows:
    """Where images are covered: x1, y1, x2, y2 in pixels, (n, 4) int64.

    A square's centre lies anywhere in the image, so part of it may fall outside; that part is cut off here.

    Args:
        side: as a share of the image's, in [0, 1].
        holes: (n, 2) in [0, 1): the centres, y first.
        size_wh: of the images.
    """
    width, height = size_wh
    tall, wide = round(side * height), round(side * width)
    top = np.rint(holes[:, 0] * height - tall / 2)
    left = np.rint(holes[:, 1] * width - wide / 2)
    corners = np.stack([left, top, left + wide, top + tall], 1)
    return np.asarray(np.clip(corners, 0, [width, height, width, height]), np.int64)


def cut_out(batch: Pixels, windows: Windows) -> None:
    """Cover one window of every image with mid-grey, in place: x1, y1, x2, y2 in pixels, (n, 4)."""
    for image, (left, top, right, bottom) in zip(batch, windows.tolist(), strict=True):
        image[top:bottom, left:right] = 128


def _mirrors_and_turns(how: Augment, draws: npt.NDArray[np.float64], *, square: bool) -> Matrices:
    """(n, 2, 2), of -1, 0 and 1. One draw decides all: its first bit the flip, the next ones the others."""
    across = np.where(how.flip & (draws < 0.5), -1.0, 1.0)
    draws = draws * 2 % 1
    down = np.where(how.upside_down & (draws < 0.5), -1.0, 1.0)
    turns = (draws * 2 % 1 * 4).astype(np.int64) if how.quarter_turns else np.zeros(len(draws), np.int64)
    turn = np.array([[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]]], np.float64)
    mirrors = np.stack([across, down], 1)[:, None, :]
    return np.asarray(turn[turns if square else turns // 2 * 2] * mirrors)


def _about_grey(angles: npt.NDArray[np.float64]) -> Matrices:
    """Rotations of colours (n, 3, 3) about the grey axis (Rodrigues' formula)."""
    cosine, sine = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    return np.asarray(cosine * np.eye(3) + (1 - cosine) / 3 + sine * across)


def _move_whole_pixels(batch: Pixels, matrices: Matrices) -> Pixels:
    """`move` for matrices that mirror and shift only: ten times faster for small images."""
    _, height, width, _ = batch.shape
    out = np.empty_like(batch)
    across, over = matrices[:, 0, 0] < 0, matrices[:, 1, 1] < 0
    right = np.rint(matrices[:, 0, 2] - width * across).astype(np.int64)
    down = np.rint(matrices[:, 1, 2] - height * over).astype(np.int64)
    right, down = np.where(across, -right, right), np.where(over, -down, down)  # shifted, then mirrored
    margin_x, margin_y = int(abs(right).max(initial=0)), int(abs(down).max(initial=0))
    rows = zip(batch, out, across.tolist(), over.tolist(), right.tolist(), down.tolist(), strict=True)
    for image, target, is_across, is_over, x, y in rows:
        padded = cv2.copyMakeBorder(image, margin_y, margin_y, margin_x, margin_x, cv2.BORDER_REFLECT_101)
        top, left = margin_y - y, margin_x - x
        window = padded[top : top + height, left : left + width]
        if is_across:
            window = cv2.flip(window, 1)
        target[:] = (window[::-1] if is_over else window).reshape(target.shape)
    return out
