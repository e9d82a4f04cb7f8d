"""Cards of detectors, and outputs that say what a test wants."""

import math

import numpy as np
import pytest

from edgecnn.card import Card, InputSpec
from edgecnn.tasks import detection

LABELS = ("cat", "dog", "owl")
OPTIONS = {
    "anchors": {"strides": [8, 16], "anchor_px": [20, 45.5], "scale_yxhw": [4, 4, 1, 1]},
    "centroids": {"stride": 8},
    "postprocess": {"label_base": 0},
    "yolov8": {"boxes": "pixels"},
    "yolov5": {"boxes": "pixels"},
}


def _card_of(decode, *, size_wh=(96, 64), labels=LABELS, fit="letterbox", without=(), **options):
    merged = {"decode": decode, **OPTIONS.get(decode, {}), **options}
    width, height = size_wh
    spec = InputSpec(height, width, fit=fit)
    return Card("m", "detection", spec, labels, options={k: v for k, v in merged.items() if k not in without})


def _logit(score):
    return math.log(score / (1 - score))


def _encoded(card, boxes_xyxy, label_ids, scores):
    """Outputs that say these boxes of the PREPARED image, written from the contract and not from the code."""
    n, c = len(boxes_xyxy), len(card.labels)
    high, wide = card.input.height, card.input.width
    decode, options = card.options["decode"], card.options
    center = [((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes_xyxy]
    if decode == "anchors":
        anchors = detection.anchors(card)
        boxes = np.zeros((len(anchors), 4), np.float32)
        raw = np.full((len(anchors), c), -30, np.float32)
        sy, sx, sh, sw = options.get("scale_yxhw", (4, 4, 1, 1))
        free = set(range(len(anchors)))
        for (cx, cy, w, h), label, score in zip(center, label_ids, scores, strict=True):
            cell = min(free, key=lambda i: abs(anchors[i][0] - cx) + abs(anchors[i][1] - cy))
            free.remove(cell)
            x, y, side = (float(v) for v in anchors[cell])
            boxes[cell] = (
                (cy - y) / side * sy, (cx - x) / side * sx, math.log(h / side) * sh, math.log(w / side) * sw,
            )  # fmt: skip
            raw[cell, label] = _logit(score)
        return {"boxes": boxes, "scores": raw}
    if decode == "postprocess":
        corners = [(y1 / high, x1 / wide, y2 / high, x2 / wide) for x1, y1, x2, y2 in boxes_xyxy]
        return {
            "boxes": np.array([*corners, (9, 9, 9, 9)], np.float32),  # what lies behind the count is rubbish
            "classes": np.array([*(one + options["label_base"] for one in label_ids), 77], np.float32),
            "scores": np.array([*scores, 0.99], np.float32),
            "count": np.array([n], np.float32),
        }
    unit = np.array([1, 1, 1, 1] if options["boxes"] == "pixels" else [wide, high, wide, high])
    rows = np.zeros((n + 2, 4 + c))
    if options.get("scores") == "logits":
        rows[:, 4:] = -30
    for row, (box, label, score) in enumerate(zip(center, label_ids, scores, strict=True)):
        rows[row, :4] = np.array(box) / unit
        rows[row, 4 + label] = _logit(score) if options.get("scores") == "logits" else score
    if decode == "yolov8":
        return {"predictions": rows.T.astype(np.float32)}
    objectness = 30.0 if options.get("scores") == "logits" else 1.0
    rows = np.insert(rows, 4, objectness, axis=1)
    return {"predictions": rows.astype(np.float32)}


@pytest.fixture(scope="session")
def card_of():
    """`card_of(decode, **options)`: a card of 96 x 64 pixels and three labels."""
    return _card_of


@pytest.fixture(scope="session")
def encoded():
    """`encoded(card, boxes_xyxy, label_ids, scores)`: outputs that say so."""
    return _encoded
