"""What detectors learn from and are judged by, whatever their design: rows of boxes, and their metrics.

A row is label, x1, y1, x2, y2. What outputs mean is `edgecnn.tasks.detection`; how rows are varied,
`edgecnn.data.augment_boxes`; the losses are in the heads themselves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from edgecnn.card import Card
from edgecnn.data import augment_boxes
from edgecnn.data.augment import Augment, Pixels
from edgecnn.data.dataset import Dataset
from edgecnn.errors import DataError, TrainingError
from edgecnn.evaluation import detection as judging
from edgecnn.image import Array, View
from edgecnn.results import Boxes
from edgecnn.tasks import detection as task
from edgecnn.zoo.keras import tf

__all__ = ["PADDING", "check", "excess_entropy", "fitted_options", "outcome", "placed", "targets", "vary"]

PADDING: Final = -1.0
"""The label of a row that holds no box."""


def targets(dataset: Dataset) -> Array:
    """The boxes of every sample, (n, m, 5) float32: label, x1, y1, x2, y2 in pixels of the original image.

    Images with fewer than m boxes are filled up with rows of label -1; a box that does not count has the
    label -2 - its own.

    Raises:
        DataError: a sample's truth is not boxes.
    """
    truths = [_truth(sample.truth, sample.image.name) for sample in dataset.samples]
    most = max((len(truth) for truth in truths), default=0)
    found = np.full((len(truths), max(1, most), 5), PADDING, np.float32)
    for row, truth in zip(found, truths, strict=True):
        row[: len(truth), 0] = np.where(truth.ignored, -2 - truth.label_id, truth.label_id)
        row[: len(truth), 1:] = truth.xyxy
    return found


def placed(truths: Array, views: Sequence[View]) -> Array:
    """The same boxes in prepared pixels, where each image lies as its view says."""
    moved = truths.copy()
    for row, view in zip(moved, views, strict=True):
        real = row[:, 0] != PADDING
        row[real, 1:] = view.to_prepared(row[real, 1:].reshape(-1, 2)).reshape(-1, 4)
    return moved


def vary(
    take: Callable[[Any], Pixels], targets: Array, chosen: Any, how: Augment, random: np.random.Generator
) -> tuple[Pixels, Array]:
    """See `edgecnn.data.augment_boxes.vary`; rows are filled up to as many as mosaics need, made or not.

    One shape for a whole training: another would have TensorFlow build the step again.
    """
    pixels, rows = augment_boxes.vary(take, targets, chosen, how, random)
    most = augment_boxes.room(targets.shape[1], replace(how, mosaic=1.0))
    missing = ((0, 0), (0, most - rows.shape[1]), (0, 0))
    return pixels, np.pad(rows, missing, constant_values=PADDING)


def check(train: Array, val: Array, labels: Sequence[str]) -> None:
    """Refuse boxes that no detector can be learned from.

    Args:
        train: (n, m, 5), see `targets`.
        val: (n, m, 5), to choose by.
        labels: names of the classes.

    Raises:
        TrainingError: no label, a class without training boxes, nothing to validate on.
    """
    if not labels:
        raise TrainingError("the data have no class; a detector needs one or more.")
    count = np.bincount(train[..., 0][train[..., 0] >= 0].astype(np.int64), minlength=len(labels))
    absent = [label for label, boxes in zip(labels, count, strict=True) if not boxes]
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise TrainingError(
            f"no training image has a box of {', '.join(map(repr, absent[:3]))}{more}. "
            "Add images of every class, or remove the empty ones."
        )
    if not (val[..., 0] >= 0).any():
        raise TrainingError("no validation image has a box to choose the best epoch by. Add a val split.")


def check_unsmoothed(smoothing: float) -> None:
    """Refuse label smoothing: where most of an image is background, it would teach objects everywhere.

    Raises:
        TrainingError: it is not 0.
    """
    if smoothing:
        raise TrainingError(f"a detector learns without label smoothing: use 0, not {smoothing:g}.")


def excess_entropy(theirs: Any, ours: Any) -> Any:
    """TensorFlow: the Kullback-Leibler divergence of each score from a teacher's; both are logits."""
    own = tf.nn.sigmoid_cross_entropy_with_logits(tf.sigmoid(theirs), theirs)
    return tf.nn.sigmoid_cross_entropy_with_logits(tf.sigmoid(theirs), ours) - own


def outcome(
    roles: Sequence[str],
    outputs: Sequence[Array],
    dataset: Dataset,
    views: Sequence[View],
    card: Card,
    *,
    hit: judging.Hit,
) -> dict[str, Any]:
    """The metrics of `edgecnn.evaluation.detection` as JSON-ready values, and `score`, its one figure.

    Args:
        roles: of the outputs, in their order.
        outputs: as the network gives them, first axis = image.
        dataset: the images they belong to.
        views: where each image lies in the prepared one.
        card: says how outputs are read; precision and recall are those over its threshold, if it has one.
        hit: what counts as found.
    """
    results, truths = _answers(roles, outputs, dataset, views, card)
    threshold = card.options.get("threshold")
    judged = judging.metrics(results, truths, threshold=threshold, hit=hit)
    if judged.ap is not None or threshold is not None:
        return {"score": judged.score, **judged.as_dict()}
    best = judging.best_threshold(results, truths, hit=hit)
    judged = judging.metrics(results, truths, threshold=best, hit=hit)
    return {"score": judged.score, **judged.as_dict()}


def fitted_options(
    roles: Sequence[str],
    outputs: Sequence[Array],
    dataset: Dataset,
    views: Sequence[View],
    card: Card,
    *,
    hit: judging.Hit,
) -> Mapping[str, Any]:
    """The card's options with the threshold that suits these images best; arguments as for `outcome`."""
    results, truths = _answers(roles, outputs, dataset, views, card)
    return {**card.options, "threshold": judging.best_threshold(results, truths, hit=hit)}


def _answers(
    roles: Sequence[str], outputs: Sequence[Array], dataset: Dataset, views: Sequence[View], card: Card
) -> tuple[list[Boxes], list[Boxes]]:
    """What the network says of every image, unlikely boxes included, and what is true."""
    exhaustive = replace(card, options={**card.options, **task.JUDGING})
    results = [
        task.decode(dict(zip(roles, rows, strict=True)), view, exhaustive)
        for *rows, view in zip(*outputs, views, strict=True)
    ]
    return results, [_truth(sample.truth, sample.image.name) for sample in dataset.samples]


def _truth(truth: Any, name: str) -> Boxes:
    if not isinstance(truth, Boxes):
        raise DataError(f"{name}: its truth is {type(truth).__name__}, not Boxes")
    return truth
