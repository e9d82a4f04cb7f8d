"""What a detector lost against another on the same images: mAP at both of COCO's overlaps, or F1.

Average precision is `edgecnn.evaluation.resampling`'s. Detectors on coarse grids say where things are and not
how large, so theirs is the F1 of centre hits, each at the threshold that suits it best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from edgecnn.errors import MissingExtra
from edgecnn.evaluation.detection import Hit, best_threshold, centre_overlap
from edgecnn.evaluation.paired import CONFIDENCE
from edgecnn.evaluation.resampling import RESAMPLES, Drop, paired_drop
from edgecnn.results import Boxes

_SURE: Final = NormalDist().inv_cdf(CONFIDENCE)


@dataclass(frozen=True)
class Drops:
    """One figure: of all classes, and of each.

    Attributes:
        metric: "map", "map50" or "f1".
        whole: the mean over classes.
        classes: each class with truth.
    """

    metric: str
    whole: Drop
    classes: tuple[Drop, ...]


def drops(
    results: Sequence[Boxes], reference: Sequence[Boxes], truths: Sequence[Boxes], hit: Hit
) -> tuple[Drops, ...]:
    """What was lost against the reference: of mAP@0.5:0.95 and mAP@0.5, or of F1 where hits are by centre.

    Raises:
        DataError: no truth box at all, or as in `edgecnn.evaluation.detection.metrics`.
        ModelError: a score is NaN.
        MissingExtra: pycocotools is not installed.
    """
    if hit == "centre":
        return (_f1(results, reference, truths),)
    found = paired_drop(results, reference, truths)
    return Drops("map", found.map, found.ap), Drops("map50", found.map50, found.ap50)


def chance(drop: Drop, limit: float = 0.0) -> float:
    """How likely the true drop is at most `limit`, in [0, 1]: by the normal law with the bound's width."""
    width = (drop.bound - drop.drop) / _SURE
    if width <= 0:
        return float(drop.drop <= limit)
    return NormalDist().cdf((limit - drop.drop) / width)


def _f1(results: Sequence[Boxes], reference: Sequence[Boxes], truths: Sequence[Boxes]) -> Drops:
    ours, theirs = (_counts(one, truths) for one in (results, reference))
    present = np.flatnonzero(ours[2].sum(0))
    random = np.random.default_rng(0)
    images = len(truths)
    weights = random.multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(np.float64)
    first, second = (_shares(one, np.ones((1, images)))[0, present] for one in (theirs, ours))
    lost = (_shares(theirs, weights) - _shares(ours, weights))[:, present]
    labels = truths[0].labels
    return Drops(
        "f1",
        _drop(None, float(first.mean()), float(second.mean()), lost.mean(1)),
        tuple(
            _drop(labels[number], float(first[place]), float(second[place]), lost[:, place])
            for place, number in enumerate(present.tolist())
        ),
    )


def _drop(label: str | None, before: float, after: float, draws: npt.NDArray[np.float64]) -> Drop:
    error = float(draws.std())
    both = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * error
    lost = before - after
    return Drop(label, before, after, lost + _SURE * error, (lost - both, lost + both))


def _counts(results: Sequence[Boxes], truths: Sequence[Boxes]) -> npt.NDArray[np.float64]:
    """Of each image and class at the best threshold: right, said, true; (3, images, c)."""
    try:
        from edgecnn.evaluation.coco import match
    except ImportError as error:
        raise MissingExtra("pycocotools", "train") from error
    least = np.float32(best_threshold(results, truths, hit="centre"))
    found = match(results, truths, overlap=centre_overlap)
    counts = np.zeros((3, len(truths), len(found)))
    for number, one in enumerate(found):
        kept = (one.score >= least) & ~one.void[0]
        counts[0, :, number] = np.bincount(one.image[kept & one.hit[0]], minlength=len(truths))
        counts[1, :, number] = np.bincount(one.image[kept], minlength=len(truths))
        counts[2, :, number] = one.truths
    return counts


def _shares(counts: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """F1 of each draw and class, (draws, c)."""
    right, said, true = (weights @ one for one in counts)
    return np.divide(2 * right, said + true, out=np.zeros_like(right), where=said + true > 0)
