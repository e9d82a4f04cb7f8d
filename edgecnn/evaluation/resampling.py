"""What chance does to average precision: the images are drawn again, many times, and judged again.

Nothing is matched twice: each draw only weighs what became of every box. Drawn once each, the images give
exactly what COCO's evaluator gives.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from edgecnn.errors import DataError
from edgecnn.evaluation.detection import check
from edgecnn.evaluation.matches import IOUS, MOST, Matches
from edgecnn.image import Array
from edgecnn.results import Boxes

RESAMPLES = 1000
"""Draws: the bounds then move by less than a tenth of their distance from the figure."""

UNSEEN = 0.5
"""Boxes of each label, lost or gained, whose variance is added to that of the draws.

What happens to one box in a hundred happens to none of fifty, and then every draw says that it never does.
Of 150 samples of a known population, 87 images with 60 boxes in each rarer label, the draws' bound of the
drop of mAP@0.5 held in 72 %, with half a box in 95 %; of 250 images in 91 % and 94 %.
"""

_BLOCK = 100  # draws that are judged at once, so that the weights of all boxes need not be kept for each
_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Drop:
    """What a model lost of one average precision, against a reference on the same images.

    Attributes:
        label: of which; None for the mean over labels.
        reference: the reference's average precision, in [0, 1].
        model: the model's.
        bound: the largest drop that chance leaves possible: one-sided, 95 %.
        interval: the 95 % confidence interval of the drop: two-sided.
    """

    label: str | None
    reference: float
    model: float
    bound: float
    interval: tuple[float, float]

    @property
    def drop(self) -> float:
        """Reference minus model, in [-1, 1]; above 0 the model lost."""
        return self.reference - self.model

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "label": self.label,
            "reference": self.reference,
            "model": self.model,
            "drop": self.drop,
            "bound": self.bound,
            "interval": list(self.interval),
        }


@dataclass(frozen=True)
class Drops:
    """What a model lost against a reference.

    Attributes:
        map: of mAP@0.5:0.95.
        map50: of mAP@0.5.
        ap: of each label with truth: AP@0.5:0.95.
        ap50: likewise: AP@0.5.
        images: how many were judged.
    """

    map: Drop
    map50: Drop
    ap: tuple[Drop, ...]
    ap50: tuple[Drop, ...]
    images: int

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "images": self.images,
            "map": self.map.as_dict(),
            "map50": self.map50.as_dict(),
            "per_class": [
                {"label": ap.label, "ap": ap.as_dict(), "ap50": ap50.as_dict()}
                for ap, ap50 in zip(self.ap, self.ap50, strict=True)
            ],
        }


def paired_drop(
    results: Sequence[Boxes],
    reference: Sequence[Boxes],
    truths: Sequence[Boxes],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
    unseen: float = UNSEEN,
) -> Drops:
    """How much average precision a model lost against a reference, and how much it may have lost.

    Both are judged on the same draws of images, so that what is hard for both cancels out.

    Args:
        results: the model's boxes, image by image, as they come under the task's `JUDGING` options.
        reference: the reference's.
        truths: of the same images.
        resamples: how often the images are drawn.
        seed: of the draws.
        confidence: that a true drop is not above its `bound`.
        unseen: see `UNSEEN`; 0 takes the draws' bound as it is.

    Raises:
        DataError: as in `edgecnn.evaluation.detection.metrics`, or no truth box at all.
        ModelError: likewise.
    """
    from edgecnn.evaluation.coco import match  # needs pycocotools

    check(results, truths)
    check(reference, truths)
    images, labels = len(truths), truths[0].labels
    z, both_sides = (NormalDist().inv_cdf(share) for share in (confidence, (1 + confidence) / 2))
    ours, theirs = match(results, truths), match(reference, truths)
    present = [i for i, m in enumerate(ours) if m.truths.any()]
    if not present:
        raise DataError("no image has a truth box: nothing to compare. Judge on data with boxes.")
    both = [ours[i] for i in present], [theirs[i] for i in present]
    found, expected = (average_precision(side, np.ones((1, images), np.int64))[0] for side in both)
    blocks = [
        average_precision(both[1], weights) - average_precision(both[0], weights)
        for weights in _draws(images, resamples, seed)
    ]
    drawn = np.concatenate(blocks)

    # the variance of a label's average precision where `unseen` boxes are lost or gained
    doubt = np.array([unseen / ours[i].truths.sum() ** 2 for i in present])

    def drop(label: str | None, chosen: slice, ious: slice) -> Drop:
        """The drop of the mean over these labels and IoUs."""
        known = drawn[:, ious, chosen].reshape(resamples, -1)
        drops = np.nanmean(known[~np.isnan(known).all(1)], 1)  # a draw may hold no truth of the label
        reference_ap, ap = float(expected[ious, chosen].mean()), float(found[ious, chosen].mean())
        variance = drops.var() + doubt[chosen].sum() / len(doubt[chosen]) ** 2
        error, lost = float(np.sqrt(variance)), reference_ap - ap
        bound = float(np.quantile(drops, confidence))
        if unseen:
            bound = max(bound, lost + z * error)
        return Drop(label, reference_ap, ap, bound, (lost - both_sides * error, lost + both_sides * error))

    every, first = slice(None), slice(0, 1)
    return Drops(
        map=drop(None, every, every),
        map50=drop(None, every, first),
        ap=tuple(drop(labels[i], slice(k, k + 1), every) for k, i in enumerate(present)),
        ap50=tuple(drop(labels[i], slice(k, k + 1), first) for k, i in enumerate(present)),
        images=images,
    )


def intervals(
    matches: Sequence[Matches], *, resamples: int = RESAMPLES, seed: int = 0, confidence: float = 0.95
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """The confidence intervals of mAP@0.5:0.95 and mAP@0.5; None where there is no truth box.

    The spread of the draws is reflected at the figure (the basic bootstrap): average precision of few images
    lies above that of many, and of draws of few even more. Its 95 % held in 89 % of samples of 87 images of a
    known population and in 93 % of 250; the draws' own quantiles in 83 % and 89 %.

    Args:
        matches: of each label.
        resamples: how often the images are drawn.
        seed: of the draws.
        confidence: that the true figure lies inside.
    """
    present = [m for m in matches if m.truths.any()]
    if not present:
        return None, None
    images = len(present[0].truths)
    drawn = np.concatenate([average_precision(present, w) for w in _draws(images, resamples, seed)])
    ends = (1 - confidence) / 2, (1 + confidence) / 2
    found = []
    figures = average_precision(present, np.ones((1, images), np.int64))
    for figure, draws in ((figures.mean(), drawn), (figures[:, 0].mean(), drawn[:, :1])):
        known = draws.reshape(resamples, -1)
        known = known[~np.isnan(known).all(1)]  # a draw may hold no truth box at all
        low, high = np.quantile(np.nanmean(known, 1), ends)
        found.append((max(0.0, float(2 * figure - high)), min(1.0, float(2 * figure - low))))
    return found[0], found[1]


def average_precision(matches: Sequence[Matches], weights: Array) -> Array:
    """Average precision as COCO takes it, of images that count several times or not at all.

    Args:
        matches: of c labels.
        weights: (b, images) int64, how often each image counts, in each of b draws.

    Returns:
        (b, 10, c) float64: at each IoU, of each label; NaN where a draw has no truth of the label.
    """
    columns = [_of_label(m, weights) for m in matches]
    return np.stack(columns, 2) if columns else np.zeros((len(weights), len(IOUS), 0))


def _of_label(matches: Matches, weights: Array) -> Array:
    counted = matches.rank < MOST
    image, hit, void = matches.image[counted], matches.hit[:, counted], matches.void[:, counted]
    truths = (weights @ matches.truths).astype(np.float64)
    weighed = weights.astype(np.int32)[:, image]
    seen = weighed.cumsum(1, dtype=np.int32)
    found = np.full((len(weights), len(IOUS)), np.nan)
    known = truths > 0
    for step in range(len(IOUS)):
        # precision matters only where recall rises: at hits
        at = np.flatnonzero(hit[step])
        right = weighed[:, at].cumsum(1, dtype=np.int32)
        said = seen[:, at]
        if void[step].any():
            said = said - (weighed * void[step]).cumsum(1)[:, at]
        precision = right / (said + np.spacing(1))
        best = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        recall = right[known] / truths[known, None]
        best = np.concatenate([best[known], np.zeros((len(recall), 1))], 1)
        places = [np.searchsorted(row, _RECALLS, side="left") for row in recall]
        if places:
            found[known, step] = np.take_along_axis(best, np.array(places), 1).mean(1)
    return found


def _draws(images: int, resamples: int, seed: int) -> Iterator[Array]:
    """Blocks of draws of as many images as there are, with replacement: (b, images) int64 counts."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _BLOCK):
        rows = min(_BLOCK, resamples - start)
        yield generator.multinomial(images, np.full(images, 1 / images), rows)
