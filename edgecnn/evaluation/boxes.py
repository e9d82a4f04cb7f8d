"""Judging answers that are `Boxes`: precision at any threshold and at the card's, likeness of two models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, ModelError
from edgecnn.evaluation.detection import Hit, Metrics, metrics
from edgecnn.evaluation.judged import Fingerprint, Judged, matched_labels, refuse_other_images
from edgecnn.evaluation.resampling import paired_drop
from edgecnn.image import Array
from edgecnn.results import Boxes, Result
from edgecnn.tasks.boxes import iou
from edgecnn.tasks.detection.settings import THRESHOLD

RESULT = Boxes

SAME_IOU = 0.5
"""Two models' boxes of one label that overlap so much are the same answer."""

RESAMPLES = 1000
"""Draws of the images for the intervals; fewer where there are many boxes, but never below a fifth."""

_MOST_DRAWN = 100_000_000  # boxes times draws that are worth waiting for: some seconds


@dataclass(frozen=True)
class BoxAgreement:
    """How alike two models' answers are on the same images, each over its own threshold.

    Attributes:
        images: how many both judged.
        boxes: of this model.
        reference_boxes: of the reference.
        same: pairs of the same label with an IoU of at least `SAME_IOU`; each box is in one pair at most.
        mean_iou: of these pairs, in [0, 1]; None where there is none.
        drops: what this model lost of mAP against the reference, as JSON-ready values; None for coarse grids.
    """

    images: int
    boxes: int
    reference_boxes: int
    same: int
    mean_iou: float | None
    drops: Mapping[str, Any] | None = None

    @property
    def share(self) -> float:
        """The share of both models' boxes that have a partner, in [0, 1]; 1 where there are no boxes."""
        total = self.boxes + self.reference_boxes
        return 2 * self.same / total if total else 1.0

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "images": self.images,
            "share": self.share,
            "boxes": self.boxes,
            "reference_boxes": self.reference_boxes,
            "same": self.same,
            "mean_iou": self.mean_iou,
            **self._difference(),
            "drops": None if self.drops is None else dict(self.drops),
        }

    def _difference(self) -> dict[str, Any]:
        """MAP of this model minus that of the reference, under the names that a classifier's has."""
        if self.drops is None:
            return {}
        low, high = self.drops["map"]["interval"]
        return {"difference": -self.drops["map"]["drop"], "difference_interval": [-high, -low]}


@dataclass(frozen=True, eq=False)
class BoxEvaluation:
    """How a detector did on a data set.

    Attributes:
        metrics: average precision, precision and recall; over the data set's labels.
        results: of each judged image, all boxes, over the threshold or not.
        truths: of each judged image.
        data: which images these were.
        unreadable: one line for each image that was left out because it cannot be read.
        agreement: with the reference, where there was one.
    """

    metrics: Metrics
    results: tuple[Boxes, ...]
    truths: tuple[Boxes, ...]
    data: Judged
    unreadable: tuple[str, ...] = ()
    agreement: BoxAgreement | None = None


def hit_of(options: Mapping[str, Any]) -> Hit:
    """What counts as found, by the card's options: boxes of coarse grids have no IoU to speak of."""
    return "centre" if options.get("decode") == "centroids" else "iou"


def judge(
    answers: Iterable[tuple[Sample, Result]], dataset: Dataset, options: Mapping[str, Any]
) -> BoxEvaluation | None:
    """Judge what a model says about each image; None where there is none.

    Args:
        answers: each sample with its result, decoded under the task's `JUDGING` options.
        dataset: theirs.
        options: of the model's card: `threshold` and `decode` are looked at.
    """
    images = Fingerprint(dataset)
    results: list[Boxes] = []
    truths: list[Boxes] = []
    for sample, result in answers:
        found, truth = _boxes(result, sample), _truth(sample)
        if not results:
            matched_labels(found.labels, dataset)
        results.append(found)
        truths.append(truth)
        images.add(sample, bytes_of(truth))
    if not results:
        return None
    judged = metrics(
        results,
        truths,
        threshold=float(options.get("threshold", THRESHOLD)),
        hit=hit_of(options),
        resamples=_resamples(results),
    )
    return BoxEvaluation(judged, tuple(results), tuple(truths), images.judged())


def agreement(found: BoxEvaluation, reference: BoxEvaluation) -> BoxAgreement:
    """Compare two models' answers, image by image; labels are matched by name.

    Raises:
        DataError: they judged different images.
    """
    refuse_other_images(found.data, reference.data)
    ours = [over(result, found.metrics.threshold) for result in found.results]
    theirs = [over(result, reference.metrics.threshold) for result in reference.results]
    ious = np.concatenate([pairs(a, b) for a, b in zip(ours, theirs, strict=True)])
    drops: dict[str, Any] | None = None
    if found.metrics.ap is not None and reference.metrics.ap is not None and found.metrics.boxes:
        drops = paired_drop(
            found.results, reference.results, found.truths, resamples=_resamples(found.results)
        ).as_dict()
    return BoxAgreement(
        images=found.data.images,
        boxes=sum(map(len, ours)),
        reference_boxes=sum(map(len, theirs)),
        same=len(ious),
        mean_iou=float(ious.mean()) if len(ious) else None,
        drops=drops,
    )


def over(boxes: Boxes, threshold: float | None) -> Boxes:
    """The boxes whose score is at least the threshold; all of them without one."""
    if threshold is None:
        return boxes
    kept = boxes.score >= np.float32(threshold)
    return Boxes(boxes.xyxy[kept], boxes.score[kept], boxes.label_id[kept], boxes.labels)


def pairs(one: Boxes, other: Boxes) -> Array:
    """The IoU of each pair of boxes that are the same answer: (p,) float64, best pair first.

    Pairs are taken by their IoU, the largest first; a box is in one pair at most.
    """
    names = {label: number for number, label in enumerate(one.labels)}
    numbers = np.array([names.get(label, -1) for label in other.labels], np.int64)
    ious = iou(one.xyxy, other.xyxy)
    ious[one.label_id[:, None] != numbers[other.label_id][None, :]] = 0
    found = []
    while ious.size and (best := ious.max()) >= SAME_IOU:
        row, column = np.unravel_index(ious.argmax(), ious.shape)
        ious[row], ious[:, column] = 0, 0
        found.append(best)
    return np.array(found, np.float64)


def bytes_of(truth: Boxes) -> bytes:
    """What a fingerprint of judged images knows of a truth: labels, corners and which boxes are ignored."""
    parts = (truth.label_id.astype("<i8"), truth.xyxy.astype("<f4"), np.asarray(truth.ignored, np.uint8))
    return b"".join(part.tobytes() for part in parts)


def _resamples(results: Sequence[Boxes]) -> int:
    boxes = sum(map(len, results))
    return max(RESAMPLES // 5, min(RESAMPLES, _MOST_DRAWN // max(1, boxes)))


def _boxes(result: Result, sample: Sample) -> Boxes:
    if not isinstance(result, Boxes):  # the loop has refused it already
        raise DataError(f"{sample.image.name}: detection wants Boxes, not {type(result).__name__}")
    if np.isnan(result.score).any():
        raise ModelError(f"{sample.image.name}: the model's scores are NaN. Convert or train it again.")
    return result


def _truth(sample: Sample) -> Boxes:
    if not isinstance(sample.truth, Boxes):
        raise DataError(f"{sample.image.name}: its truth is {type(sample.truth).__name__}, not Boxes")
    return sample.truth
