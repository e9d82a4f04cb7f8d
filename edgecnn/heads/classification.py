"""Learning classes: softmax cross-entropy on logits. What scores mean is `edgecnn.tasks.classification`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecnn.data.dataset import Dataset, label_ids
from edgecnn.errors import TrainingError
from edgecnn.image import Array
from edgecnn.tasks import classification as task
from edgecnn.zoo.keras import tf

ROLES = task.roles({})
OPTIONS = {"scores": "logits"}


def targets(dataset: Dataset) -> Array:
    """The label number of every sample, (n,) int64.

    Raises:
        DataError: a sample's truth is not one class.
    """
    return label_ids(dataset)


def check(train: Array, val: Array, labels: Sequence[str]) -> None:
    """Refuse targets that no classifier can be learned from.

    Args:
        train: (n,) label numbers to learn from.
        val: (m,) label numbers to choose by.
        labels: their names.

    Raises:
        TrainingError: fewer than two classes, a class without training images, nothing to validate on.
    """
    if len(labels) < 2:
        found = f"one class ({labels[0]})" if labels else "no class"
        raise TrainingError(f"the data have {found}; a classifier needs two or more.")
    if not len(val):
        raise TrainingError("there is no validation image to choose the best epoch by. Add a val split.")
    count = np.bincount(train, minlength=len(labels))
    absent = [label for label, images in zip(labels, count, strict=True) if not images]
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise TrainingError(
            f"no training image shows {', '.join(map(repr, absent[:3]))}{more}. "
            "Add images of every class, or remove the empty ones."
        )


def loss(targets: Any, outputs: Any, *, smoothing: float) -> Any:
    """Softmax cross-entropy against smoothed targets (Szegedy et al., 2016, section 7).

    Args:
        targets: (batch,) int64 label numbers.
        outputs: (batch, classes) logits of any float dtype.
        smoothing: share of each target that is spread evenly over all classes, in [0, 1).

    Returns:
        (batch,) float32.
    """
    logits = tf.cast(outputs, tf.float32)  # a softmax in bfloat16 loses the small probabilities
    if not smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    classes = logits.shape[-1]
    wanted = tf.one_hot(targets, classes) * (1 - smoothing) + smoothing / classes
    return tf.nn.softmax_cross_entropy_with_logits(wanted, logits)


def correct(targets: Any, outputs: Any) -> Any:
    """Whether the highest logit is the true label's, (batch,) bool."""
    return tf.equal(tf.argmax(outputs, axis=-1, output_type=targets.dtype), targets)


def outcome(outputs: Array, targets: Array, labels: tuple[str, ...]) -> dict[str, Any]:
    """The metrics of `edgecnn.tasks.classification`, ties broken against the model, and `score` = top1.

    Args:
        outputs: (n, classes) logits.
        targets: (n,) label numbers.
        labels: names of the classes.
    """
    judged = task.metrics(outputs, targets, labels)
    return {"score": judged.top1, **judged.as_dict()}
