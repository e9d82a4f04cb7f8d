"""A contact sheet: pictures in a grid, each with what a model says of it and whether that is right.

Boxes of truth are white and dashed, a model's are coloured by their label; the strip below counts both.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from edgecnn.errors import DataError
from edgecnn.evaluation.boxes import pairs
from edgecnn.image import Image
from edgecnn.results import Boxes, Classes, Result

TILE_WH = (320, 240)
_STRIP = 54  # height below each picture, px
_GAP, _MARGIN = 18, 24
_FINE = 3  # text is drawn this much larger and then averaged: smoother letters

_PAPER, _INK, _SOFT, _LINE = (241, 245, 245), (36, 32, 27), (112, 101, 90), (214, 221, 221)
_WHITE = (255, 255, 255)
_COLORS = ((60, 170, 40), (220, 120, 20), (30, 140, 240), (190, 60, 170), (40, 200, 220), (110, 118, 11))
_DASH = 5 * _FINE  # px of the enlarged picture
_RIGHT, _WRONG = (111, 118, 11), (31, 54, 179)  # blue-green-red, as everywhere


def contact_sheet(
    images: Sequence[Image],
    results: Sequence[Result],
    truths: Sequence[Result],
    *,
    columns: int = 4,
) -> Image:
    """Draw pictures with what is said of them; those that are not right get a red frame.

    Of `Classes`: label and score, and the true label where it is another. Of `Boxes`: the model's and the
    truth's, and how many of the truth's were found; right is all of them found, and nothing else.

    Args:
        images: uint8 (h, w, 3) BGR; n of them, n > 0. They are stretched to `TILE_WH`.
        results: what the model says of each.
        truths: what a person says of each.
        columns: pictures in a row.

    Returns:
        uint8 (h, w, 3) BGR.

    Raises:
        DataError: no images, not as many results and truths, or a result that is neither.
    """
    if not images or not len(images) == len(results) == len(truths):
        raise DataError(
            f"{len(images)} images, {len(results)} results, {len(truths)} truths: nothing to draw"
        )
    rows = -(-len(images) // columns)
    wide, tall = TILE_WH[0], TILE_WH[1] + _STRIP
    sheet = np.full(
        (
            2 * _MARGIN + rows * tall + (rows - 1) * _GAP,
            2 * _MARGIN + columns * wide + (columns - 1) * _GAP,
            3,
        ),
        _PAPER,
        np.uint8,
    )
    for number, (image, result, truth) in enumerate(zip(images, results, truths, strict=True)):
        top = _MARGIN + number // columns * (tall + _GAP)
        left = _MARGIN + number % columns * (wide + _GAP)
        sheet[top : top + tall, left : left + wide] = _tile(image, result, truth)
    return sheet


def _tile(image: Image, result: Result, truth: Result) -> Image:
    enlarged = image.shape[1] < TILE_WH[0]
    picture = cv2.resize(image, TILE_WH, interpolation=cv2.INTER_CUBIC if enlarged else cv2.INTER_AREA)
    if isinstance(result, Classes) and isinstance(truth, Classes):
        right = result.label == truth.label
        strip = _strip(result, truth, right)
    elif isinstance(result, Boxes) and isinstance(truth, Boxes):
        wanted = int((~truth.ignored).sum())
        found = min(len(pairs(result, truth)), wanted)
        right = found == wanted and len(result) == found
        scale = (TILE_WH[0] / image.shape[1], TILE_WH[1] / image.shape[0])
        picture = _boxes(np.asarray(picture, np.uint8), result, truth, scale)
        strip = _counts(found, wanted, len(result) - found, right)
    else:
        kinds = type(result).__name__, type(truth).__name__
        raise DataError(f"a sheet shows Classes or Boxes, not {kinds[0]} for a truth of {kinds[1]}")
    tile = np.full((TILE_WH[1] + _STRIP, TILE_WH[0], 3), 255, np.uint8)
    tile[: TILE_WH[1]] = picture
    tile[TILE_WH[1] :] = strip
    color, thickness = (_LINE, 1) if right else (_WRONG, 4)
    height, width = tile.shape[:2]
    inset = thickness // 2
    cv2.rectangle(tile, (inset, inset), (width - 1 - inset, height - 1 - inset), color, thickness)
    return tile


def _boxes(picture: Image, result: Boxes, truth: Boxes, scale: tuple[float, float]) -> Image:
    wide, tall = TILE_WH[0] * _FINE, TILE_WH[1] * _FINE
    canvas = cv2.resize(picture, (wide, tall), interpolation=cv2.INTER_NEAREST)
    factor = np.array([*scale, *scale]) * _FINE
    for label, box in zip(result.label_id.tolist(), np.rint(result.xyxy * factor).astype(int), strict=True):
        corner, opposite = box[:2].tolist(), box[2:].tolist()
        cv2.rectangle(canvas, corner, opposite, _COLORS[label % len(_COLORS)], 2 * _FINE, cv2.LINE_AA)
    for left, top, right, bottom in np.rint(truth.xyxy * factor).astype(int).tolist():
        for x in range(left, right, 2 * _DASH):
            for y in (top, bottom):
                cv2.line(canvas, (x, y), (min(x + _DASH, right), y), _WHITE, _FINE, cv2.LINE_AA)
        for y in range(top, bottom, 2 * _DASH):
            for x in (left, right):
                cv2.line(canvas, (x, y), (x, min(y + _DASH, bottom)), _WHITE, _FINE, cv2.LINE_AA)
    return np.asarray(cv2.resize(canvas, TILE_WH, interpolation=cv2.INTER_AREA), np.uint8)


def _counts(found: int, wanted: int, others: int, right: bool) -> Image:
    strip = np.full((_STRIP * _FINE, TILE_WH[0] * _FINE, 3), 255, np.uint8)
    _mark(strip, right)
    _write(strip, f"{found} of {wanted} found", 40, 0.62, _INK if found == wanted else _WRONG)
    if others:
        said = f"{others} more"
        _write(strip, said, TILE_WH[0] - 14 - _width(said, 0.58) // _FINE, 0.58, _WRONG)
    return np.asarray(cv2.resize(strip, (TILE_WH[0], _STRIP), interpolation=cv2.INTER_AREA), np.uint8)


def _strip(result: Classes, truth: Classes, right: bool) -> Image:
    wide, tall = TILE_WH[0] * _FINE, _STRIP * _FINE
    strip = np.full((tall, wide, 3), 255, np.uint8)
    score = float(result.score[result.label_id])
    _mark(strip, right)
    said = result.label if right else f"{result.label}  (truth: {truth.label})"
    figure = f"{100 * score:.0f}%"
    room = wide - 74 * _FINE - _width(figure, 0.58)
    size = min(0.66, 0.66 * room / max(1, _width(said, 0.66)))
    _write(strip, said, 40, size, _INK if right else _WRONG)
    _write(strip, figure, TILE_WH[0] - 14 - _width(figure, 0.58) // _FINE, 0.58, _SOFT)
    left, bar = 14 * _FINE, (TILE_WH[0] - 28) * _FINE
    top = (_STRIP - 13) * _FINE
    cv2.rectangle(strip, (left, top), (left + bar, top + 4 * _FINE), _LINE, -1)
    full = left + round(bar * min(1.0, max(0.0, score)))
    cv2.rectangle(strip, (left, top), (full, top + 4 * _FINE), _RIGHT if right else _WRONG, -1)
    return np.asarray(cv2.resize(strip, (TILE_WH[0], _STRIP), interpolation=cv2.INTER_AREA), np.uint8)


def _mark(strip: Image, right: bool) -> None:
    """A tick or a cross."""
    lines = [[(15, 21), (20, 26), (29, 14)]] if right else [[(16, 14), (28, 26)], [(28, 14), (16, 26)]]
    for line in lines:
        points = np.array(line, np.int32) * _FINE
        cv2.polylines(strip, [points], False, _RIGHT if right else _WRONG, 3 * _FINE, cv2.LINE_AA)


def _write(strip: Image, text: str, left: int, size: float, color: tuple[int, int, int]) -> None:
    place = (left * _FINE, 27 * _FINE)
    cv2.putText(
        strip, text, place, cv2.FONT_HERSHEY_DUPLEX, size * _FINE, color, round(1.1 * _FINE), cv2.LINE_AA
    )


def _width(text: str, size: float) -> int:
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, size * _FINE, round(1.1 * _FINE))[0][0])
