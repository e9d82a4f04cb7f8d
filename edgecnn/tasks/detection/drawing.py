"""Boxes drawn on an image: a frame, and the label with its score on a filled ground."""

import colorsys
from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from edgecnn.errors import DataError
from edgecnn.image import Image
from edgecnn.results import Boxes, Result

_GOLDEN: Final = 0.6180339887498949
"""Hues this far apart on the wheel stay distinct, however many labels there are."""

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_DARK, _LIGHT = (20, 20, 20), (255, 255, 255)


def draw(image: Image, result: Result) -> Image:
    """A copy of the image with the boxes, their labels and scores; the best box on top.

    A label always has the same colour. A grey image becomes a colour one.

    Args:
        image: uint8, (h, w, 3) BGR or (h, w) grey; not changed.
        result: boxes in pixels of this image.

    Raises:
        DataError: the result is of another task.
    """
    if not isinstance(result, Boxes):
        raise DataError(f"detection wants Boxes, not {type(result).__name__}")
    colored = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    canvas: Image = np.asarray(colored, np.uint8)
    height, width = canvas.shape[:2]
    line = max(1, round(min(height, width) / 240))
    corners = np.rint(result.xyxy).astype(np.int64).clip(0, (width - 1, height - 1) * 2).tolist()
    weakest_first = np.argsort(result.score, kind="stable")
    for number in weakest_first:
        left, top, right, bottom = corners[number]
        cv2.rectangle(canvas, (left, top), (right, bottom), color_of(int(result.label_id[number])), line)
    for number in weakest_first:  # no frame crosses a text
        label_id = int(result.label_id[number])
        text = f"{result.labels[label_id]} {result.score[number]:.0%}"
        _write(canvas, text, (corners[number][0], corners[number][1]), color_of(label_id))
    return canvas


@lru_cache(maxsize=1024)
def color_of(label_id: int) -> tuple[int, int, int]:
    """The colour of a label: blue, green, red in 0..255."""
    hue = (0.33 + label_id * _GOLDEN) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0 if label_id % 2 else 0.85)
    return round(255 * blue), round(255 * green), round(255 * red)


def _write(canvas: Image, text: str, corner: tuple[int, int], color: tuple[int, int, int]) -> None:
    """Write a text on a filled ground above a corner; below it, or further left, where the image ends."""
    height, width = canvas.shape[:2]
    size = max(0.35, min(height, width) / 900)
    thickness = max(1, round(size * 1.4))
    (wide, high), below = cv2.getTextSize(text, _FONT, size, thickness)
    pad = max(1, high // 5)
    tall = high + below + 2 * pad
    left = max(0, min(corner[0], width - wide - 2 * pad))
    top = corner[1] - tall if corner[1] >= tall else min(corner[1], max(0, height - tall))
    cv2.rectangle(canvas, (left, top), (left + wide + 2 * pad, top + tall), color, cv2.FILLED)
    blue, green, red = color
    # luma of Rec. 601: dark letters on bright ground
    ink = _DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else _LIGHT
    cv2.putText(canvas, text, (left + pad, top + pad + high), _FONT, size, ink, thickness, cv2.LINE_AA)
