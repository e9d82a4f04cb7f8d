"""What two evaluations on the same images say of the figure that decides: values, changes, class by class."""

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, Final

import numpy as np

from edgecnn import evaluation
from edgecnn.comparison.figures import ClassChange, Figure, Interval
from edgecnn.evaluation import BoxEvaluation, Evaluation
from edgecnn.evaluation.agreement import compare

_OF_A_CLASS: Final[Mapping[Figure, str]] = {"map50": "ap50", "f1": "f1"}


def figure_of(found: Evaluation | BoxEvaluation) -> Figure:
    """Which figure decides: accuracy; of boxes mAP@0.5; of coarse grids, whose boxes have no IoU, F1."""
    if isinstance(found, Evaluation):
        return "top1"
    return "f1" if found.metrics.ap is None else "map50"


def value_of(
    found: Evaluation | BoxEvaluation,
) -> tuple[float | None, Interval | None, dict[str, float]]:
    """The figure that decides, its 95 % interval, and what else is known, by name."""
    if isinstance(found, Evaluation):
        return found.metrics.top1, found.metrics.interval, {"top5": found.metrics.top5}
    metrics = found.metrics
    others = {"map": metrics.map, "precision": metrics.precision, "recall": metrics.recall, "f1": metrics.f1}
    known = {name: value for name, value in others.items() if value is not None}
    if metrics.ap is None:
        return metrics.f1, None, known
    return metrics.map50, metrics.map50_interval, known


def difference_of(
    before: Evaluation | BoxEvaluation, after: Evaluation | BoxEvaluation
) -> tuple[float | None, Interval | None, float]:
    """What the later model won over the earlier, its 95 % interval, and the share of answers alike.

    Raises:
        DataError: they judged different images, or are of different tasks.
    """
    agreement = evaluation.agreement(after, before)
    if isinstance(agreement, evaluation.Agreement):
        return agreement.difference, agreement.difference_interval, agreement.share
    if agreement.drops is not None:
        drop = agreement.drops["map50"]
        return -drop["drop"], _reversed(drop["interval"]), agreement.share
    old, new = value_of(before)[0], value_of(after)[0]
    return None if old is None or new is None else new - old, None, agreement.share


def class_changes(before: Evaluation | BoxEvaluation, after: Evaluation | BoxEvaluation) -> list[ClassChange]:
    """How each class with truth fared, those that lost most first.

    Raises:
        DataError: they judged different images, or are of different tasks.
    """
    if isinstance(before, Evaluation) and isinstance(after, Evaluation):
        found = list(_of_images(before, after))
    elif isinstance(before, BoxEvaluation) and isinstance(after, BoxEvaluation):
        found = list(_of_boxes(before, after))
    else:
        evaluation.agreement(after, before)  # refuses them, in words
        found = []
    return sorted(found, key=lambda one: inf if one.difference is None else one.difference)


def _of_images(before: Evaluation, after: Evaluation) -> Iterator[ClassChange]:
    # the data's labels come first in either numbering, so an index below their number means the same in both
    for label_id in np.unique(after.truths).tolist():
        chosen = after.truths == label_id
        both = compare(after.truths[chosen], after.decisions[chosen], before.decisions[chosen])
        right = [int((one.decisions[chosen] == label_id).sum()) / both.images for one in (before, after)]
        yield ClassChange(
            label=after.metrics.labels[label_id],
            count=both.images,
            before=right[0],
            after=right[1],
            difference=both.difference,
            interval=both.difference_interval,
        )


def _of_boxes(before: BoxEvaluation, after: BoxEvaluation) -> Iterator[ClassChange]:
    figure = _OF_A_CLASS[figure_of(after)]
    agreement = evaluation.agreement(after, before)
    drops: dict[str, Any] = {}
    if isinstance(agreement, evaluation.BoxAgreement) and agreement.drops is not None:
        drops = {one["label"]: one["ap50"] for one in agreement.drops["per_class"]}
    old = {record["label"]: record for record in before.metrics.per_class()}
    for record in after.metrics.per_class():
        if not record["boxes"]:
            continue
        values = old[record["label"]][figure], record[figure]
        known = None not in values
        drop = drops.get(record["label"])
        yield ClassChange(
            label=record["label"],
            count=record["boxes"],
            before=values[0],
            after=values[1],
            difference=values[1] - values[0] if known else None,
            interval=None if drop is None else _reversed(drop["interval"]),
        )


def _reversed(interval: tuple[float, float]) -> Interval:
    """Of what was lost, as of what was won."""
    low, high = interval
    return -high, -low
