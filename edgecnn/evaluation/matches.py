"""What became of every box: the plain arrays that precision is counted from.

Made by `edgecnn.evaluation.coco`, counted by `edgecnn.evaluation.detection` and `.resampling`.
"""

from dataclasses import dataclass

from edgecnn.image import Array

SIZES = ("small", "medium", "large")
"""Of truth boxes, by their area: up to 32 x 32 pixels, up to 96 x 96, above."""

IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""The overlaps at which average precision is taken: 0.5, 0.55, ... 0.95."""

MOST = 100
"""Boxes of one label in one image that count for average precision, best first."""

MOST_MATCHED = 300
"""Likewise, for hits at a threshold: as many as a detector gives at most."""


@dataclass(frozen=True, eq=False)
class Matches:
    """What became of every answer and every truth of one label, over all images; n answers, best first.

    Attributes:
        score: (n,) float64, descending.
        image: (n,) int64, the image of each.
        rank: (n,) int64, its place among the answers of its image and label, from 0.
        hit: (10, n) bool: it found a truth, at each of `IOUS`.
        void: (10, n) bool: it counts neither as hit nor as miss, because the truth it found is ignored.
        truths: (images,) int64, truth boxes that count.
    """

    score: Array
    image: Array
    rank: Array
    hit: Array
    void: Array
    truths: Array
