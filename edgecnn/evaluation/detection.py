"""How good boxes are: COCO's average precision, and precision and recall at the threshold that ships.

Average precision looks at all boxes, however unlikely: judge it on results decoded under the task's
`JUDGING` options. Precision, recall and F1 are of the boxes over one threshold, as a user sees them.
Needs pycocotools (extra `train`); what chance does to the figures is `edgecnn.evaluation.resampling`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from edgecnn.errors import DataError, ModelError
from edgecnn.evaluation.matches import SIZES, Matches
from edgecnn.image import Array
from edgecnn.results import Boxes

Hit: TypeAlias = Literal["iou", "centre"]
"""When an answer found a truth: IoU >= 0.5, or its centre lies in the truth box (for coarse grids)."""

UNDECIDED_THRESHOLD = 0.5
"""What `best_threshold` gives where no box is right under any."""


@dataclass(frozen=True, eq=False)
class Metrics:
    """How good the boxes were.

    Attributes:
        labels: c names, the data's.
        images: how many were judged.
        truths: (c,) int64, truth boxes of each label that count.
        ap: (4, 10, c) float64: average precision in [0, 1] for truths of all sizes, small, medium, large; at
            IoU 0.5, 0.55, ... 0.95; of each label. NaN where there is no truth box. None where hits are by
            centre: it would mean nothing.
        hit: what counts as found in what follows.
        threshold: the least score of a box that counts in what follows; None: nothing follows.
        right: (c,) int64, boxes over the threshold that found a truth.
        wrong: (c,) int64, boxes over the threshold that found none.
        map_interval: the 95 % confidence interval of `map`, where it was asked for.
        map50_interval: likewise.
    """

    labels: tuple[str, ...]
    images: int
    truths: Array
    ap: Array | None
    hit: Hit = "iou"
    threshold: float | None = None
    right: Array | None = None
    wrong: Array | None = None
    map_interval: tuple[float, float] | None = None
    map50_interval: tuple[float, float] | None = None

    @property
    def boxes(self) -> int:
        """How many truth boxes count."""
        return int(self.truths.sum())

    @property
    def map(self) -> float | None:
        """mAP@0.5:0.95: over IoUs and labels with truth, in [0, 1]; None where nothing is to be found."""
        return None if self.ap is None else _mean(self.ap[0])

    @property
    def map50(self) -> float | None:
        """mAP@0.5."""
        return None if self.ap is None else _mean(self.ap[0, 0])

    @property
    def map75(self) -> float | None:
        """mAP@0.75."""
        return None if self.ap is None else _mean(self.ap[0, 5])

    @property
    def sizes(self) -> dict[str, float | None]:
        """mAP@0.5:0.95 of small, medium and large truths; None where there is none of that size."""
        ap = self.ap
        return {} if ap is None else {size: _mean(ap[row]) for row, size in enumerate(SIZES, 1)}

    @property
    def precision(self) -> float | None:
        """The share of boxes over the threshold that are right; of all labels together."""
        return _share(self.right, self.wrong)

    @property
    def recall(self) -> float | None:
        """The share of truth boxes that were found over the threshold; of all labels together."""
        return None if self.right is None else _ratio(int(self.right.sum()), self.boxes)

    @property
    def f1(self) -> float | None:
        """The mean of the labels' F1, over labels with truth: what `best_threshold` makes highest."""
        found = [r["f1"] for r in self.per_class() if r["boxes"] and r["f1"] is not None]
        return sum(found) / len(found) if found else None

    @property
    def score(self) -> float:
        """The one figure to compare models by: `map`, or `f1` where hits are by centre; 0 for nothing."""
        return (self.f1 if self.ap is None else self.map) or 0.0

    def per_class(self) -> list[dict[str, Any]]:
        """One record for each label: boxes, ap, ap50, ap75, precision, recall, f1; None where undefined."""
        records = []
        for index, label in enumerate(self.labels):
            truths = int(self.truths[index])
            ap = None if self.ap is None or not truths else self.ap[0, :, index]
            record: dict[str, Any] = {
                "label": label,
                "boxes": truths,
                "ap": None if ap is None else float(ap.mean()),
                "ap50": None if ap is None else float(ap[0]),
                "ap75": None if ap is None else float(ap[5]),
                "precision": None,
                "recall": None,
                "f1": None,
            }
            if self.right is not None and self.wrong is not None:
                right, said = int(self.right[index]), int(self.right[index] + self.wrong[index])
                record |= {
                    "precision": _ratio(right, said),
                    "recall": _ratio(right, truths),
                    "f1": _ratio(2 * right, said + truths),
                }
            records.append(record)
        return records

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "images": self.images,
            "boxes": self.boxes,
            "map": self.map,
            "map_interval": None if self.map_interval is None else list(self.map_interval),
            "map50": self.map50,
            "map50_interval": None if self.map50_interval is None else list(self.map50_interval),
            "map75": self.map75,
            "sizes": self.sizes,
            "hit": self.hit,
            "threshold": self.threshold,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "per_class": self.per_class(),
            "labels": list(self.labels),
        }


def metrics(
    results: Sequence[Boxes],
    truths: Sequence[Boxes],
    *,
    threshold: float | None = None,
    hit: Hit = "iou",
    resamples: int = 0,
) -> Metrics:
    """Judge boxes.

    Labels are matched by name. Boxes of a label that the truth does not have are left out: who drew the
    truth did not look for it. Labels without a truth box are left out of every mean.

    Args:
        results: n images' boxes, as they come under the task's `JUDGING` options.
        truths: n images' truths, all with the same labels.
        threshold: the least score of a box that a user would see; None leaves precision and recall out.
        hit: "centre" for detectors on coarse grids, whose boxes are cells; no average precision then.
        resamples: how often to draw the images again for the intervals, such as 1000; 0 leaves them out.

    Raises:
        DataError: no images, unequal counts, truths whose labels differ.
        ModelError: a score is NaN.
        MissingExtra: pycocotools is not installed.
    """
    from edgecnn.evaluation import coco  # needs pycocotools

    check(results, truths)
    if hit == "iou":
        ap, matches = coco.precisions(results, truths)
    else:
        ap, matches = None, coco.match(results, truths, overlap=centre_overlap)
    right, wrong = (None, None) if threshold is None else _counts(matches, threshold)
    intervals: tuple[tuple[float, float] | None, ...] = (None, None)
    if resamples and ap is not None:
        from edgecnn.evaluation.resampling import intervals as draw

        intervals = draw(matches, resamples=resamples)
    return Metrics(
        labels=truths[0].labels,
        images=len(truths),
        truths=np.array([m.truths.sum() for m in matches], np.int64),
        ap=ap,
        hit=hit,
        threshold=threshold,
        right=right,
        wrong=wrong,
        map_interval=intervals[0],
        map50_interval=intervals[1],
    )


def best_threshold(results: Sequence[Boxes], truths: Sequence[Boxes], *, hit: Hit = "iou") -> float:
    """The score over which boxes are best shown: it makes the mean of the labels' F1 highest.

    It lies in the middle between the least score that is kept and the highest that is dropped, so that a
    rounding of scores changes no decision; of equally good places, in the widest gap.

    Args:
        results: as in `metrics`.
        truths: likewise.
        hit: likewise.

    Returns:
        In [0, 1]; `UNDECIDED_THRESHOLD` where no box is right under any threshold.

    Raises:
        DataError: as in `metrics`, and the next two.
        ModelError: likewise.
        MissingExtra: likewise.
    """
    from edgecnn.evaluation import coco  # needs pycocotools

    check(results, truths)
    matches = coco.match(results, truths, overlap=None if hit == "iou" else centre_overlap)
    present = [m for m in matches if m.truths.any()]
    scores = np.unique(np.concatenate([m.score for m in present] or [np.zeros(0)]))  # ascending
    if not any(m.hit[0].any() for m in present):
        return UNDECIDED_THRESHOLD
    mean = np.zeros(len(scores))
    for m in present:
        kept = np.searchsorted(-m.score, -scores, side="right")  # of this label, at each threshold
        right = np.append(0, m.hit[0].cumsum())[kept]
        said = right + np.append(0, (~m.hit[0] & ~m.void[0]).cumsum())[kept]
        mean += 2 * right / (said + m.truths.sum())
    mean /= len(present)
    # below the least score nothing was seen: there the threshold is that score itself
    below = np.append(scores[0], scores[:-1])
    best = np.flatnonzero(mean >= mean.max() - 1e-12)
    chosen = best[(scores - below)[best].argmax()]
    return float((scores[chosen] + below[chosen]) / 2)


def centre_overlap(answers: Array, truths: Array) -> Array:
    """How well centres lie: 1 in the middle of the truth box, 0.5 at its edge, 0 outside.

    Args:
        answers: (n, 4) xyxy.
        truths: (m, 4) xyxy.

    Returns:
        (n, m) float64.
    """
    centre = (answers[:, None, :2] + answers[:, None, 2:]) / 2
    middle, half = (truths[:, :2] + truths[:, 2:]) / 2, (truths[:, 2:] - truths[:, :2]) / 2
    distance = (np.abs(centre - middle) / np.maximum(half, np.finfo(np.float64).tiny)).max(2, initial=0)
    return np.where(distance <= 1, 1 - distance / 2, 0.0)


def check(results: Sequence[Boxes], truths: Sequence[Boxes]) -> None:
    """Refuse what cannot be judged.

    Raises:
        DataError: no images, unequal counts, truths whose labels differ.
        ModelError: a score is NaN.
    """
    if len(results) != len(truths) or not truths:
        raise DataError(f"{len(results)} results for {len(truths)} truths: nothing to judge")
    labels = truths[0].labels
    for number, (result, truth) in enumerate(zip(results, truths, strict=True)):
        if truth.labels != labels:
            raise DataError(f"image {number}: the labels of its truth are not those of image 0")
        if np.isnan(result.score).any():
            raise ModelError(f"image {number}: a box's score is NaN. Convert or train the model again.")


def _counts(matches: Sequence[Matches], threshold: float) -> tuple[Array, Array]:
    # boxes keep scores as float32: a threshold of 0.3 must not drop the box whose score is float32(0.3)
    least = float(np.float32(threshold))
    right = [int((m.hit[0] & (m.score >= least)).sum()) for m in matches]
    wrong = [int((~m.hit[0] & ~m.void[0] & (m.score >= least)).sum()) for m in matches]
    return np.array(right, np.int64), np.array(wrong, np.int64)


def _mean(values: Array) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _share(right: Array | None, wrong: Array | None) -> float | None:
    if right is None or wrong is None:
        return None
    return _ratio(int(right.sum()), int(right.sum() + wrong.sum()))
