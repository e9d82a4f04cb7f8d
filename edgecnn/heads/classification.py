"""Learning classes: softmax cross-entropy on logits. What scores mean is `edgecnn.tasks.classification`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgecnn import zoo
from edgecnn.card import Card, InputSpec
from edgecnn.data.augment import Augment, Pixels, augment
from edgecnn.data.dataset import Dataset, label_ids
from edgecnn.errors import TrainingError
from edgecnn.image import Array, View
from edgecnn.tasks import classification as task
from edgecnn.zoo.keras import tf

ROLES = task.roles({})
FIGURE = SCORE = "accuracy"
FRESH = ("logits",)

# A ResNet-8 of half the width, 6 epochs on 10,000 images of CIFAR-10, one seed: 55.0 % alone, 57.9 % at
# a weight of 0.5, 58.6 % at 0.9.
IMITATED, TEMPERATURE = 0.9, 4.0

structure, build = zoo.structure, zoo.build


def options(spec: InputSpec) -> dict[str, Any]:
    """What the card says about the outputs."""
    return {"scores": "logits"}


def targets(dataset: Dataset) -> Array:
    """The label number of every sample, (n,) int64.

    Raises:
        DataError: a sample's truth is not one class.
    """
    return label_ids(dataset)


def placed(targets: Array, views: Sequence[View]) -> Array:
    """The same: a class has no place."""
    return targets


def vary(
    take: Callable[[Any], Pixels], targets: Array, chosen: Any, how: Augment, random: np.random.Generator
) -> tuple[Pixels, Array]:
    """See `edgecnn.data.augment`; a class stays what it is."""
    return augment(take(chosen), how, random), targets[chosen]


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


def criterion(spec: InputSpec, *, smoothing: float) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Softmax cross-entropy against smoothed targets (Szegedy et al., 2016, section 7).

    Args:
        spec: makes no difference.
        smoothing: share of each target that is spread evenly over all classes, in [0, 1).

    Returns:
        TensorFlow: label numbers (batch,) int64 and [logits (batch, classes)] of any float dtype, to losses
        (batch,) float32, and whether the highest logit is the true label's, (batch,) bool.
    """

    def losses(targets: Any, outputs: Any) -> tuple[Any, Any]:
        (logits,) = outputs
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=targets.dtype), targets)
        return _entropy(targets, logits, smoothing), right

    return losses


def _entropy(targets: Any, logits: Any, smoothing: float) -> Any:
    logits = tf.cast(logits, tf.float32)  # a softmax in bfloat16 loses the small probabilities
    if not smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    classes = logits.shape[-1]
    wanted = tf.one_hot(targets, classes) * (1 - smoothing) + smoothing / classes
    return tf.nn.softmax_cross_entropy_with_logits(wanted, logits)


def imitation(spec: InputSpec, *, temperature: float) -> Callable[[Any, Any], Any]:
    """How far the answers lie from a teacher's (Hinton et al., 2015, arXiv 1503.02531, section 2).

    Args:
        spec: makes no difference.
        temperature: what both logits are divided by before the softmax, greater than 0: the higher, the more
            counts how a teacher ranks the classes that it does not answer.

    Returns:
        TensorFlow: a teacher's [logits (batch, classes)] and the student's, of any float dtype, to the
        Kullback-Leibler divergence of the student's softmax from the teacher's, times temperature squared, so
        that gradients stay as large: (batch,) float32. No gradient flows to the teacher.
    """

    def losses(taught: Any, outputs: Any) -> Any:
        theirs, ours = (
            tf.nn.log_softmax(tf.cast(one, tf.float32) / temperature) for (one,) in (taught, outputs)
        )
        theirs = tf.stop_gradient(theirs)
        return temperature**2 * tf.reduce_sum(tf.exp(theirs) * (theirs - ours), -1)

    return losses


def outcome(outputs: Sequence[Array], dataset: Dataset, views: Sequence[View], card: Card) -> dict[str, Any]:
    """The metrics of `edgecnn.tasks.classification`, ties broken against the model, and `score` = top1.

    Args:
        outputs: logits (n, classes).
        dataset: the n images they belong to.
        views: make no difference.
        card: says the labels.
    """
    judged = task.metrics(outputs[0], targets(dataset), card.labels)
    return {"score": judged.top1, **judged.as_dict()}


def fitted_options(
    outputs: Sequence[Array], dataset: Dataset, views: Sequence[View], card: Card
) -> Mapping[str, Any]:
    """The card's own: nothing is fitted."""
    return card.options
