"""Whether boxes computed here are those computed at home, though kernels round differently.

Knows no model: records as a `Result` gives them, label, score, box_xyxy.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

FLOAT_IOU: Final = 0.95
ROUNDED_IOU: Final = 0.85
"""Of kernels that round to 8 bits: a box's code moves by two or three steps, of which a small box has few."""

FLOAT_SCORE: Final = 0.01
ROUNDED_SCORE: Final = 0.1
"""Likewise: three steps of a logit that spans -12..12 are 0.28, in the middle of the sigmoid 0.07."""

_LEAST: Final = 0.01
"""Boxes below it are not decoded at all: `edgecnn.tasks.detection.JUDGING`."""


def boxes_agree(
    stored: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], *, rounding: bool
) -> bool:
    """Whether every stored box has one near it of the same label and nearly the same score.

    Args:
        stored: the best boxes at home; where there were none, there must be no likely one here. What is no
            record of a box agrees with nothing.
        found: all candidates here.
        rounding: whether kernels round to 8 bits.
    """
    least_iou = ROUNDED_IOU if rounding else FLOAT_IOU
    most_apart = ROUNDED_SCORE if rounding else FLOAT_SCORE
    if not stored:
        return all(one["score"] <= _LEAST + most_apart for one in found)
    if not all(map(_is_box, stored)):
        return False
    # one that is hardly decoded at home may fall below the least score here
    return all(
        any(
            one["label"] == box["label"]
            and abs(one["score"] - box["score"]) <= most_apart
            and iou(one["box_xyxy"], box["box_xyxy"]) >= least_iou
            for one in found
        )
        for box in stored
        if box["score"] > _LEAST + most_apart
    )


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    """Shared area over joint area of two boxes; 0 where both have none."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    both = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared
    return float(shared / both) if both > 0 else 0.0


def _is_box(record: Mapping[str, Any]) -> bool:
    corners = record.get("box_xyxy")
    return (
        isinstance(corners, list)
        and len(corners) == 4
        and isinstance(record.get("label"), str)
        and isinstance(record.get("score"), int | float)
    )
