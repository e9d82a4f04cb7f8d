"""Detection: labelled boxes.

How the outputs are to be read says the card's option `decode`:

    "anchors"      roles boxes (n, 4), scores (n, c): one candidate for each cell of a few grids. Ours.

Common options: `threshold`, the least score of an answer; `iou`, the overlap above which the weaker of two
boxes of one label goes; `most`, how many boxes are given at most.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from edgecnn.card import Card
from edgecnn.errors import DataError
from edgecnn.image import Array, Image, View
from edgecnn.results import Boxes, Result

JUDGING: Mapping[str, Any] = {"threshold": 0.01, "most": 300}


def roles(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The roles of the outputs, by the option `decode`."""
    return ("boxes", "scores")


def anchors(card: Card) -> Array:
    """Centre and side of every cell: (n, 3) float32 x, y, side in prepared pixels."""
    rows = []
    for stride, side in zip(card.options["strides"], card.options["anchor_px"], strict=True):
        high, wide = -(-card.input.height // stride), -(-card.input.width // stride)
        y, x = np.mgrid[0:high, 0:wide]
        rows.append(
            np.stack([(x.ravel() + 0.5) * stride, (y.ravel() + 0.5) * stride, np.full(x.size, side)], 1)
        )
    return np.concatenate(rows).astype(np.float32)


def decode(outputs: Mapping[str, Array], view: View, card: Card) -> Boxes:
    """Boxes in pixels of the original image, best first."""
    options = card.options
    scores = 1 / (1 + np.exp(-outputs["scores"].astype(np.float32)))
    cell, label = np.nonzero(scores >= options.get("threshold", 0.3))
    score = scores[cell, label]
    order = np.argsort(-score, kind="stable")[:1000]
    cell, label, score = cell[order], label[order], score[order]
    code, anchor = outputs["boxes"][cell].astype(np.float32), anchors(card)[cell]
    sy, sx, sh, sw = options["scale_yxhw"]
    side = anchor[:, 2]
    y, x = anchor[:, 1] + code[:, 0] / sy * side, anchor[:, 0] + code[:, 1] / sx * side
    h, w = side * np.exp(code[:, 2] / sh), side * np.exp(code[:, 3] / sw)
    xyxy = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    keep = _suppress(xyxy, score, label, options.get("iou", 0.6))[: options.get("most", 300)]
    corners = view.to_source(xyxy[keep].reshape(-1, 2)).reshape(-1, 4)
    width, height = view.source_wh
    corners = corners.clip(0, (width, height, width, height))
    return Boxes(corners, score[keep], label[keep], card.labels)


def _suppress(xyxy: Array, score: Array, label: Array, iou: float) -> Array:
    kept: list[int] = []
    alive = np.ones(len(score), bool)
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    for i in range(len(score)):
        if not alive[i]:
            continue
        kept.append(i)
        low, high = np.maximum(xyxy[i, :2], xyxy[:, :2]), np.minimum(xyxy[i, 2:], xyxy[:, 2:])
        shared = (high - low).clip(0).prod(1)
        alive &= ~((shared > iou * (area[i] + area - shared)) & (label == label[i]))
    return np.array(kept, np.int64)


def draw(image: Image, result: Result) -> Image:
    """A copy of the image with the boxes and their labels."""
    if not isinstance(result, Boxes):
        raise DataError(f"detection wants Boxes, not {type(result).__name__}")
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    for left, top, right, bottom in result.xyxy.astype(int).tolist():
        cv2.rectangle(canvas, (left, top), (right, bottom), (0, 255, 0), 1)
    return np.asarray(canvas, np.uint8)
