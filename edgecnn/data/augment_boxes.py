"""Training images varied at random, and their boxes with them; some put together from four images.

An output image is made of tiles: one, or four around a random centre (mosaic; Bochkovskiy et al., 2020,
YOLOv4). Each tile shows one image through its own matrix, written straight to where it goes; its boxes go
through the same matrix and are cut off at the tile's edge. What shows beyond an image is plain grey: its
mirror image, which `augment` shows, would be objects without boxes. Knows pixels and boxes of prepared
images; how truths are made from a data set is the caller's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgecnn.data.augment import Augment, Matrices, Pixels, Windows, cut_out, placements, recolour, squares

Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.float32]

FILL: Final = 114
"""Grey beyond an image: that of letterboxes (`InputSpec.pad`)."""

MOST_BOXES: Final = 256
"""Boxes of a mosaic, unless single images already have more."""

GONE: Final = 0.1
"""A box of whose width or height less than this share is left is no box any more: such strips have none in
hand-made truth either."""

PARTIAL: Final = 0.4
"""A box of whose area less than this share is left is ignored: too little to be learned as the object, too
much to be learned as background."""

LEAST_SIDE: Final = 2.0
"""Pixels: a narrower box is ignored likewise."""

CENTRE: Final = (0.3, 0.7)
"""Where the four tiles of a mosaic meet, as a share of each side."""

SHRINK: Final = 0.5
"""Images of a mosaic are smaller than alone, by a factor between this and 1."""

HALVED_FROM: Final = 0.4
"""Images that shrink to this share or less are halved first. Above it bilinear sampling alone comes nearer to
the shrunk original (photographs at 0.5: 37.9 against 35.9 dB), below it halving does (0.3: 39.4 and 32.2)."""

PADDING: Final = (-1.0, -1.0, -1.0, -1.0, -1.0)


@dataclass(frozen=True, eq=False)
class _Tiles:
    """What the output images are put together from, t tiles in all.

    Attributes:
        output: (t,) which output image each belongs to.
        part: (t,) which of its four parts: 0 alone where it is a single image.
        source: (t,) which image of the data set it shows.
        row: (t,) where that is among those that were taken.
        window: (t, 4) where it lies in the output image: x1, y1, x2, y2 in pixels.
        matrix: (t, 2, 3) from pixels of the source to pixels of the output image, as `placements` has them.
    """

    output: npt.NDArray[np.int64]
    part: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    window: Windows
    matrix: Matrices


def vary(
    take: Callable[[npt.NDArray[np.int64]], Pixels],
    truths: Truths,
    chosen: npt.NDArray[np.int64],
    how: Augment,
    random: np.random.Generator,
    *,
    partners: npt.NDArray[np.int64] | None = None,
) -> tuple[Pixels, Truths]:
    """Vary the images of a batch, with their boxes.

    A row of boxes is label, x1, y1, x2, y2: prepared pixels, the origin at the top left corner of the image.
    Label -1 is padding (the whole row is -1); -2 - k is an ignored box of label k. Boxes of which little is
    left become ignored (`PARTIAL`, `LEAST_SIDE`) or go (`GONE`).

    Args:
        take: images of the data set by index, (k, h, w, c) uint8; asked once, for no image twice.
        truths: (n, m, 5) float32, the boxes of the whole data set.
        chosen: (b,) which images are shown; b may be 0.
        how: how far.
        random: the result is a function of its state and the data; how much it is advanced follows from b.
        partners: which images the other three of a mosaic are drawn from; None for the whole data set. Give
            `chosen` where every image must be read from its file: then mosaics read no more of them.

    Returns:
        Images (b, h, w, c) uint8, new, and boxes (b, `room(m, how)`, 5) float32, padded. Where a mosaic has
        more boxes than that, the ones of the smallest area are left out.
    """
    count = len(chosen)
    shows = np.broadcast_to(chosen[:, None], (count, 4)).copy()
    others = (random.random((count, 3)) * len(truths if partners is None else partners)).astype(np.int64)
    shows[:, 1:] = others if partners is None else partners[others]
    is_mosaic = random.random((count,)) < how.mosaic
    is_used = np.stack([np.ones(count, bool), is_mosaic, is_mosaic, is_mosaic], 1)
    needed, row = np.unique(shows[is_used], return_inverse=True)
    images = take(needed)
    _, height, width, _ = images.shape
    windows, matrices = _arranged(is_mosaic, how, (width, height), random)
    output, part = np.nonzero(is_used)
    tiles = _Tiles(output, part, shows[is_used], row, windows[is_used], matrices[is_used])
    looks, hues = random.random((count, 3)) * 2 - 1, random.random((count,)) * 2 - 1
    holes = squares(how.cutout, random.random((count, 2)), (width, height))
    out = _painted(images, tiles, count)
    recolour(out, how, looks, hues)
    cut_out(out, holes)
    return out, _boxes(truths, tiles, holes, room(truths.shape[1], how))


def room(boxes: int, how: Augment) -> int:
    """Rows of boxes of every output image, where those of the data set have `boxes` rows."""
    return max(boxes, min(4 * boxes, MOST_BOXES)) if how.mosaic else boxes


def _arranged(
    is_mosaic: npt.NDArray[np.bool_], how: Augment, size_wh: tuple[int, int], random: np.random.Generator
) -> tuple[Windows, Matrices]:
    """Where the tiles lie and what they show: windows (b, 4, 4), matrices (b, 4, 2, 3).

    Only the first tile of a single image means something.
    """
    count, size = len(is_mosaic), np.array(size_wh)
    matrices = placements(how, 4 * count, size_wh, random).reshape(count, 4, 2, 3)
    low, high = CENTRE
    centre = np.rint((low + (high - low) * random.random((count, 2))) * size).astype(np.int64)
    draws = random.random((count, 4, 3))
    windows = np.zeros((count, 4, 4), np.int64)
    windows[:, [1, 3], 0] = windows[:, [0, 2], 2] = centre[:, :1]
    windows[:, [2, 3], 1] = windows[:, [0, 1], 3] = centre[:, 1:]
    windows[:, [1, 3], 2], windows[:, [2, 3], 3] = size
    linear = matrices[:, :, :, :2] * SHRINK ** draws[:, :, :1, None]
    reach = abs(linear) @ (size / 2)  # half of the image's own width and height in the output
    # An image that is larger than its tile covers it, a smaller one lies within it: anywhere, evenly.
    one, other = windows[:, :, :2] + reach, windows[:, :, 2:] - reach
    middle = one + (other - one) * draws[:, :, 1:]
    offset = middle - linear @ (size / 2)
    mosaics = np.concatenate([linear, offset[..., None]], 3)
    windows[~is_mosaic, 0] = [0, 0, *size_wh]
    return windows, np.where(is_mosaic[:, None, None, None], mosaics, matrices)


def _painted(images: Pixels, tiles: _Tiles, count: int) -> Pixels:
    """The output images (count, h, w, c): every tile's image through its matrix, into its window."""
    _, height, width, channels = images.shape
    out = np.empty((count, height, width, channels), np.uint8)
    rows = zip(tiles.row.tolist(), tiles.output.tolist(), tiles.window.tolist(), tiles.matrix, strict=True)
    for row, output, (left, top, right, bottom), matrix in rows:
        if left == right or top == bottom:
            continue
        image, matrix = _halved(images[row], matrix)
        by_index = matrix.copy()  # OpenCV counts from the centre of the top left pixel
        by_index[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5 - (left, top)
        moved = cv2.warpAffine(
            image,
            by_index,
            (right - left, bottom - top),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(FILL,) * 4,
        )
        out[output, top:bottom, left:right] = moved.reshape(bottom - top, right - left, channels)
    return out


def _halved(image: Pixels, matrix: Matrices) -> tuple[Pixels, Matrices]:
    """The same, shown by fewer pixels where too many would fall between those that are looked at."""
    height, width, _ = image.shape
    magnification = abs(np.linalg.det(matrix[:, :2])) ** 0.5
    halvings = 0
    while magnification * 2**halvings <= HALVED_FROM and min(height, width) >> halvings + 1:
        halvings += 1
    if not halvings:
        return image, matrix
    small_wh = (width >> halvings, height >> halvings)
    small = np.asarray(cv2.resize(image, small_wh, interpolation=cv2.INTER_AREA), np.uint8)
    grown = matrix.copy()
    grown[:, :2] *= (width / small_wh[0], height / small_wh[1])
    return small, grown


def _boxes(truths: Truths, tiles: _Tiles, holes: Windows, rows: int) -> Truths:
    """The boxes of the output images, (b, rows, 5), padded."""
    count, most = len(holes), truths.shape[1]
    given = truths[tiles.source].astype(np.float64)
    label, whole = given[:, :, 0], _moved(given[:, :, 1:], tiles.matrix)
    seen = _within(whole, tiles.window[:, None])
    covered = _within(seen, holes[tiles.output][:, None])
    sides, all_sides = _sides(seen), np.maximum(_sides(whole), 1e-9)
    left = (sides.prod(2) - _sides(covered).prod(2)) / all_sides.prod(2)
    is_doubtful = (left < PARTIAL) | (sides < LEAST_SIDE).any(2)
    is_left = (left > 0) & (sides >= GONE * all_sides).all(2)
    kept = np.zeros((count, 4, most), bool)
    kept[tiles.output, tiles.part] = (label != -1) & is_left
    label = np.where(is_doubtful & (label >= 0), -2 - label, label)
    found = np.full((count, 4, most, 5), PADDING, np.float32)
    found[tiles.output, tiles.part] = np.concatenate([label[:, :, None], seen], 2)
    return _packed(found.reshape(count, 4 * most, 5), kept.reshape(count, 4 * most), rows)


def _moved(boxes: Floats, matrices: Matrices) -> Floats:
    """Boxes (t, m, 4) through matrices (t, 2, 3): what holds the moved ellipse that the old box held.

    Exact where nothing is turned but by right angles. Where it is, what holds the moved corners is looser
    than any object that does not fill them (Kalra et al., 2021, Towards Rotation Invariance in Object
    Detection).
    """
    linear, offset = matrices[:, None, :, :2], matrices[:, None, :, 2]
    centre = (boxes[:, :, :2] + boxes[:, :, 2:]) / 2
    half = (boxes[:, :, 2:] - boxes[:, :, :2]) / 2
    centre = (linear @ centre[..., None])[..., 0] + offset
    half = np.sqrt((linear**2 @ (half**2)[..., None])[..., 0])
    return np.concatenate([centre - half, centre + half], 2)


def _within(boxes: Floats, windows: npt.NDArray[np.int64] | Floats) -> Floats:
    """The part of boxes (…, 4) that lies in windows (…, 4); of width or height 0 where none does."""
    low = np.concatenate([windows[..., :2], windows[..., :2]], -1)
    high = np.concatenate([windows[..., 2:], windows[..., 2:]], -1)
    return np.clip(boxes, low, high)


def _sides(boxes: Floats) -> Floats:
    """Widths and heights (…, 2) of boxes (…, 4)."""
    return np.asarray(boxes[..., 2:] - boxes[..., :2])


def _packed(boxes: Truths, kept: npt.NDArray[np.bool_], rows: int) -> Truths:
    """The kept boxes in their order, (b, rows, 5); the largest of them where there are more than rows."""
    sizes = np.where(kept, _sides(boxes[:, :, 1:].astype(np.float64)).prod(2), -1)
    for image in np.flatnonzero(kept.sum(1) > rows):
        kept[image, np.argsort(-sizes[image], kind="stable")[rows:]] = False
    order = np.argsort(~kept, axis=1, kind="stable")[:, :rows]
    taken = np.take_along_axis(boxes, order[:, :, None], 1)
    return np.where(np.take_along_axis(kept, order, 1)[:, :, None], taken, np.float32(-1))
