"""COCO's judgement of boxes, by pycocotools, fed with arrays: which box hit which, and the average precision.

IoU and average precision are pycocotools' own code. Its matching visits every pair of boxes ten times in
Python; here the same rule visits only pairs that overlap enough to count, which takes a tenth of the time.
Tests hold the outcome against plain pycocotools on files of its own format.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from edgecnn.errors import MissingExtra
from edgecnn.evaluation.matches import IOUS, MOST, MOST_MATCHED, Matches
from edgecnn.image import Array
from edgecnn.results import Boxes

try:
    from pycocotools.cocoeval import COCOeval
except ImportError as error:
    raise MissingExtra("pycocotools", "train") from error


def match(
    results: Sequence[Boxes],
    truths: Sequence[Boxes],
    *,
    overlap: Callable[[Array, Array], Array] | None = None,
) -> tuple[Matches, ...]:
    """Match answers with truths, label by label.

    Args:
        results: of each image. Labels are matched by name; boxes whose label the truth lacks are left out.
        truths: likewise, all with the same labels; at least one.
        overlap: from (n, 4) answers and (m, 4) truths, xyxy, to (n, m) in [0, 1]; None is the IoU.

    Returns:
        One for each label of the truth.
    """
    judged = _judge(results, truths, sizes=False, overlap=overlap)
    return _matches(judged, len(truths))


def precisions(results: Sequence[Boxes], truths: Sequence[Boxes]) -> tuple[Array, tuple[Matches, ...]]:
    """The average precision of each label, as COCO takes it: at most 100 boxes, 101 points of recall.

    Args:
        results: as in `match`.
        truths: likewise.

    Returns:
        (4, 10, c) float64: truths of all sizes, then of each of `SIZES`; at each of `IOUS`; of each label.
        NaN where there is no truth box. And what `match` gives.
    """
    judged = _judge(results, truths, sizes=True, overlap=None)
    few = copy.copy(judged.params)
    few.maxDets = [MOST]
    judged.accumulate(few)
    found = judged.eval["precision"][..., 0]  # (ious, recalls, labels, sizes)
    ap = np.where(found[:, 0] < 0, np.nan, found.mean(1)).transpose(2, 0, 1)
    return ap, _matches(judged, len(truths))


def _judge(
    results: Sequence[Boxes],
    truths: Sequence[Boxes],
    *,
    sizes: bool,
    overlap: Callable[[Array, Array], Array] | None,
) -> "_Judge":
    judge = _Judge(iouType="bbox")
    p = judge.params
    p.imgIds, p.catIds = list(range(len(truths))), list(range(len(truths[0].labels)))
    p.maxDets = [MOST, MOST_MATCHED]
    if not sizes:
        p.areaRng, p.areaRngLbl = p.areaRng[:1], p.areaRngLbl[:1]
    numbers: dict[tuple[str, ...], Array] = {}
    for image, (result, truth) in enumerate(zip(results, truths, strict=True)):
        if result.labels not in numbers:
            numbers[result.labels] = _numbers(result.labels, truth.labels)
        for boxes, number, into in (
            (truth, truth.label_id, judge._gts),
            (result, numbers[result.labels][result.label_id], judge._dts),
        ):
            for label, box in zip(number.tolist(), _records(boxes), strict=True):
                if label >= 0:
                    into[image, label].append(box)
    judge.judge(overlap)
    return judge


def _numbers(labels: tuple[str, ...], wanted: tuple[str, ...]) -> Array:
    """The place of each label among those wanted, or -1."""
    places = {label: place for place, label in enumerate(wanted)}
    return np.array([places.get(label, -1) for label in labels], np.int64)


def _records(boxes: Boxes) -> list[dict[str, Any]]:
    """Each box as pycocotools wants it: sides in doubles, as its files would give them."""
    corners = boxes.xyxy.astype(np.float64)
    sides = corners[:, 2:] - corners[:, :2]
    crowd = np.asarray(boxes.ignored, np.int64).tolist()
    xywh = np.concatenate([corners[:, :2], sides], 1).tolist()
    columns = zip(xywh, sides.prod(1).tolist(), boxes.score.tolist(), crowd, strict=True)
    return [
        {"bbox": box, "area": area, "score": score, "iscrowd": ignored, "ignore": ignored}
        for box, area, score, ignored in columns
    ]


def _matches(judged: "_Judge", images: int) -> tuple[Matches, ...]:
    rows = judged.evalImgs
    step = len(judged.params.areaRng) * images
    return tuple(
        _of_label(rows[label * step : label * step + images], images)
        for label in range(len(judged.params.catIds))
    )


def _of_label(rows: Sequence[Mapping[str, Any] | None], images: int) -> Matches:
    truths = np.zeros(images, np.int64)
    scores, image, rank = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    hits, voids = [np.zeros((len(IOUS), 0), bool)], [np.zeros((len(IOUS), 0), bool)]
    for number, row in enumerate(rows):
        if row is not None:
            count = len(row["dtScores"])
            truths[number] = np.count_nonzero(row["gtIgnore"] == 0)
            scores.append(np.array(row["dtScores"], np.float64))
            image.append(np.full(count, number))
            rank.append(np.arange(count))
            voids.append(row["dtIgnore"])
            hits.append(row["dtMatches"] & ~row["dtIgnore"])
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    return Matches(
        score=score[order],
        image=np.concatenate(image)[order],
        rank=np.concatenate(rank)[order],
        hit=np.concatenate(hits, 1)[:, order],
        void=np.concatenate(voids, 1)[:, order],
        truths=truths,
    )


def _silent(method: Any) -> Any:
    """The same function of pycocotools, whose `print` says nothing; theirs, and everyone's stdout, stay."""
    return FunctionType(method.__code__, {**method.__globals__, "print": lambda *_: None})


class _Judge(COCOeval):  # type: ignore[misc]
    """COCOeval whose boxes are put into `_gts` and `_dts` by the caller."""

    accumulate = _silent(COCOeval.accumulate)

    def judge(self, overlap: Callable[[Array, Array], Array] | None) -> None:
        """COCOeval.evaluate, without what it prints and without asking for files."""
        p = self.params
        self.ious = {
            (image, label): self.computeIoU(image, label)
            if overlap is None
            else self._overlap(image, label, overlap)
            for image in p.imgIds
            for label in p.catIds
        }
        self.evalImgs = [
            self._of_image(image, label, area, p.maxDets[-1])
            for label in p.catIds
            for area in p.areaRng
            for image in p.imgIds
        ]
        self._paramsEval = copy.copy(p)

    def _of_image(self, image: int, label: int, area: Sequence[float], most: int) -> dict[str, Any] | None:
        """COCOeval.evaluateImg, visiting only pairs that overlap enough."""
        truths, answers = self._gts.get((image, label), []), self._dts.get((image, label), [])
        if not truths and not answers:
            return None
        low, high = area
        void = np.array([t["ignore"] or not low <= t["area"] <= high for t in truths], bool)
        answers = self._best(answers, most)
        shape = len(IOUS), len(answers)
        hit, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
        for row, column, on_void in self._pairs(self.ious[image, label], truths, void):
            hit[row, column], ignored[row, column] = True, on_void
        outside = np.array([not low <= a["area"] <= high for a in answers], bool)
        return {
            "dtScores": [a["score"] for a in answers],
            "dtMatches": hit,
            "dtIgnore": ignored | (~hit & outside),
            "gtIgnore": void.astype(np.int64),
        }

    def _pairs(
        self, ious: Any, truths: Sequence[Mapping[str, Any]], void: Array
    ) -> list[tuple[int, int, bool]]:
        """Each match: which of `IOUS`, which answer, whether the truth is void."""
        if len(ious) == 0 or not truths:
            return []
        thresholds = [min(float(t), 1 - 1e-10) for t in self.params.iouThrs]
        near: dict[int, list[tuple[bool, float, int]]] = {}
        counts = (~void).tolist()
        overlaps = np.asarray(ious)
        for answer, truth in np.argwhere(overlaps >= thresholds[0]).tolist():
            near.setdefault(answer, []).append((counts[truth], float(overlaps[answer, truth]), truth))
        found = []
        taken: list[set[int]] = [set() for _ in thresholds]
        for answer, candidates in near.items():  # ascending, as the answers are: best first
            for step, threshold in enumerate(thresholds):
                free = [c for c in candidates if c[1] >= threshold and c[2] not in taken[step]]
                if free:
                    # a truth that counts before one that does not, the larger overlap, the later truth
                    counted, _, truth = max(free)
                    if not truths[truth]["iscrowd"]:
                        taken[step].add(truth)
                    found.append((step, answer, not counted))
        return found

    def _overlap(self, image: int, label: int, overlap: Callable[[Array, Array], Array]) -> Array:
        truths, answers = self._gts.get((image, label), []), self._dts.get((image, label), [])
        return overlap(_corners(self._best(answers, self.params.maxDets[-1])), _corners(truths))

    @staticmethod
    def _best(answers: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
        order = np.argsort([-a["score"] for a in answers], kind="stable")
        return [answers[i] for i in order[:most].tolist()]


def _corners(boxes: Sequence[Mapping[str, Any]]) -> Array:
    xywh = np.array([box["bbox"] for box in boxes], np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1)
