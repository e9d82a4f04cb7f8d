"""The few boxes of TFLite_Detection_PostProcess on the original image, without NumPy.

Right after a model has run, NumPy's code is no longer in the caches, and each of its functions costs 5 to 50
microseconds. Ten boxes go through thirty of them, or through plain Python in a quarter of the time, to the
bit. Whatever is unusual, and every error, is left to `edgecnn.tasks.detection.candidates.from_postprocess`.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from edgecnn.image import Array, View
from edgecnn.results import Boxes
from edgecnn.tasks.detection.candidates import FARTHEST
from edgecnn.tasks.detection.settings import Settings

_MOST: Final = 64
"""Rows from which on NumPy is as fast."""

_VISIBLE: Final = 1.0
"""Pixels that a box must have on both sides to be surely seen, whatever float32 makes of its corners."""


def answers(
    outputs: Mapping[str, Array], view: View, said: Settings, labels: tuple[str, ...]
) -> Boxes | None:
    """What `edgecnn.tasks.detection.decode` gives without suppression; None where it has to be asked.

    Args:
        outputs: by role, in real numbers.
        view: where the original image lies in the prepared one.
        said: the card's options.
        labels: names.
    """
    boxes, scores = outputs["boxes"], outputs["scores"].reshape(-1).tolist()
    classes = outputs["classes"].reshape(-1).tolist()
    if boxes.shape != (len(scores), 4) or len(classes) != len(scores) or len(scores) > _MOST:
        return None
    valid = len(scores)
    if "count" in outputs:
        counts = outputs["count"].reshape(-1).tolist()
        if len(counts) != 1 or not 0 <= counts[0] <= len(scores) or counts[0] != int(counts[0]):
            return None
        valid = int(counts[0])
    found = scores[:valid]
    if not all(0 <= score <= 1 for score in found):  # not a number is neither
        return None
    least = float(np.float32(said.threshold))  # as scores are compared everywhere else
    rows = [row for row, score in enumerate(found) if score >= least]
    rows.sort(key=found.__getitem__, reverse=True)  # of equal scores, the earlier row stays first
    rows = rows[: said.most]
    corners = boxes.tolist()
    xyxy = [_on_the_image(corners[row], view, said) for row in rows]
    label_id = [classes[row] - said.label_base for row in rows]
    if None in xyxy or not all(0 <= label < said.labels and label == int(label) for label in label_id):
        return None
    return Boxes.adopt(
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.array([found[row] for row in rows], np.float32),
        np.array(label_id, np.int64),
        labels,
    )


def _on_the_image(yxyx: list[float], view: View, said: Settings) -> tuple[float, float, float, float] | None:
    """Left, top, right, bottom in pixels of the original image; None where hardly anything is left of it."""
    top, left, bottom, right = yxyx
    width, height = view.source_wh
    left = _place(left, said.width, view.offset_xy[0], view.scale_xy[0], width)
    right = _place(right, said.width, view.offset_xy[0], view.scale_xy[0], width)
    top = _place(top, said.height, view.offset_xy[1], view.scale_xy[1], height)
    bottom = _place(bottom, said.height, view.offset_xy[1], view.scale_xy[1], height)
    # false where one is not a number, too
    return (left, top, right, bottom) if right - left > _VISIBLE and bottom - top > _VISIBLE else None


def _place(share: float, side: int, offset: float, scale: float, source: int) -> float:
    """A share of the prepared image as pixels of the original, clipped to it; step by step as NumPy does."""
    if not -FARTHEST <= share <= FARTHEST:
        return float("nan")
    place = (share * side - offset) / scale
    return 0.0 if place < 0 else (source if place > source else place)
