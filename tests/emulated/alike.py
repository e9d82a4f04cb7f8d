"""Whether two machines say the same of the same images, as far as different kernels can.

Knows records as `Result.records` gives them. What may differ, and why:

    input     3 grey levels (`edgecnn.runtime.selftest.LEVELS`): OpenCV resizes in another way on Arm.
    float     scores by 0.02: those levels; sums in another order do nothing that shows. 0.009 was the most.
    8 bits    scores by 0.05, boxes an overlap (IoU) of 0.95. XNNPACK rounds 8-bit sums another way on Arm
              than on x86, by one step at most in each layer; some fifty layers later those were up to eight
              steps of 1/256 in a score, and one of a box's four codes a step or two aside. A step is 1 % of
              the box's side. Of a box of a few pixels that may be more than its overlap shows: one whose
              corners all lie within a pixel is the same, too.
    answers   of two classes no further apart than that either may be the first. A box may be missing that is
              no further above the threshold, or overlaps a better one of its label by nearly as much as
              suppresses it. They are counted as undecided.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgecnn.runtime.agreeing import iou

FLOAT_SCORE = 0.02
ROUNDED_SCORE = 0.05
LEAST_IOU = 0.95
PIXEL = 1.0
THRESHOLD = 0.3
"""Of the detectors compared."""

SUPPRESSING = 0.6
"""Overlap at which they suppress."""

Record = Mapping[str, Any]
Records = Sequence[Record]
Pairs = Sequence[tuple[Records, Records]]


def compare(what: str, there: Sequence[Record], here: Sequence[Record], *, rounded: bool) -> tuple[bool, str]:
    """Whether the answers agree, and one line about it.

    Args:
        what: is compared, for the line.
        there: an object for each image, with "results"; from one machine.
        here: likewise from the other, of the same images in the same order.
        rounded: whether kernels round to 8 bits.
    """
    if len(there) != len(here) or not here:
        return False, f"{what}: {len(there)} answers there, {len(here)} here"
    most_apart = ROUNDED_SCORE if rounded else FLOAT_SCORE
    pairs = [(a["results"], b["results"]) for a, b in zip(there, here, strict=True)]
    boxes = any("box_xyxy" in one for pair in pairs for side in pair for one in side)
    good, figures = _boxes(pairs, most_apart) if boxes else _classes(pairs, most_apart)
    return good, f"{what}, {len(here)} images: {figures}"


def _classes(pairs: Pairs, most_apart: float) -> tuple[bool, str]:
    same = undecided = 0
    apart = []
    for there, here in pairs:
        first = there[0]["label"] == here[0]["label"]
        same += first
        undecided += not first and any(
            here[0]["score"] - one["score"] <= most_apart
            for one in here[1:]
            if one["label"] == there[0]["label"]
        )
        apart += [abs(a["score"] - b["score"]) for a in there for b in here if a["label"] == b["label"]]
    figures = (
        f"same first class {same}, undecided {undecided}; scores within {max(apart, default=1.0):.2g} "
        f"(allowed {most_apart:g})"
    )
    return same + undecided == len(pairs) and max(apart, default=1.0) <= most_apart, figures


def _boxes(pairs: Pairs, most_apart: float) -> tuple[bool, str]:
    matched: list[tuple[Record, Record]] = []
    missing = undecided = 0
    for there, here in pairs:
        both = _matched(there, here)
        matched += both
        for side, boxes in enumerate((there, here)):
            alone = [box for box in boxes if not any(pair[side] is box for pair in both)]
            open_ = sum(_is_undecided(box, boxes, most_apart) for box in alone)
            undecided += open_
            missing += len(alone) - open_
    if not matched:
        return not missing, f"no boxes on both, {missing} on one only, {undecided} undecided"
    overlap = np.array([iou(a["box_xyxy"], b["box_xyxy"]) for a, b in matched])
    apart = max(abs(a["score"] - b["score"]) for a, b in matched)
    corner = np.array([np.abs(np.subtract(a["box_xyxy"], b["box_xyxy"])).max() for a, b in matched])
    figures = (
        f"{len(matched)} boxes on both, {missing} on one only, {undecided} undecided; IoU from "
        f"{overlap.min():.3f} (allowed {LEAST_IOU:g}, or {PIXEL:g} px), {np.mean(overlap >= 0.99):.0%} from "
        f"0.99; {np.mean(corner <= PIXEL):.0%} within a pixel; scores within {apart:.2g} "
        f"(allowed {most_apart:g})"
    )
    alike = (overlap >= LEAST_IOU) | (corner <= PIXEL)
    return bool(not missing and alike.all() and apart <= most_apart), figures


def _matched(there: Records, here: Records) -> list[tuple[Record, Record]]:
    """Boxes of one label that lie in one place, each in one pair; those that fit best first."""
    found = sorted(
        (
            (iou(a["box_xyxy"], b["box_xyxy"]), i, j)
            for i, a in enumerate(there)
            for j, b in enumerate(here)
            if a["label"] == b["label"]
        ),
        reverse=True,
    )
    pairs: dict[int, int] = {}
    for overlap, i, j in found:
        if overlap >= 0.5 and i not in pairs and j not in pairs.values():
            pairs[i] = j
    return [(there[i], here[j]) for i, j in pairs.items()]


def _is_undecided(box: Record, boxes: Records, most_apart: float) -> bool:
    """Whether rounding may have taken this box from the other machine, where it is not."""
    return bool(box["score"] <= THRESHOLD + most_apart) or any(
        one["label"] == box["label"]
        and one["score"] > box["score"]
        and abs(iou(one["box_xyxy"], box["box_xyxy"]) - SUPPRESSING) <= 1 - LEAST_IOU
        for one in boxes
    )
