"""Learning where things are: the cell in which a box's centre lies says its class, all others say nothing.

What the scores mean is `edgecnn.tasks.detection`; which network gives them, `edgecnn.zoo.centroids`; what
they are compared with, `edgecnn.heads.boxes`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgecnn.card import Card, InputSpec
from edgecnn.data.dataset import Dataset
from edgecnn.heads import boxes
from edgecnn.heads.boxes import check, placed, targets, vary
from edgecnn.image import Array, View
from edgecnn.zoo import centroids
from edgecnn.zoo.keras import tf

__all__ = [
    "FIGURE",
    "FRESH",
    "IMITATED",
    "ROLES",
    "SCORE",
    "TEMPERATURE",
    "build",
    "check",
    "criterion",
    "fitted_options",
    "imitation",
    "options",
    "outcome",
    "placed",
    "structure",
    "targets",
    "vary",
]

ROLES = ("scores",)
FIGURE, SCORE = "centres found", "F1"
FRESH = centroids.OWN
IMITATED, TEMPERATURE = 0.5, 1.0

structure, build = centroids.structure, centroids.build


def options(spec: InputSpec) -> dict[str, Any]:
    """What the card says about the outputs."""
    return {"decode": "centroids", "scores": "logits", "stride": centroids.STRIDE}


def criterion(spec: InputSpec, *, smoothing: float) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Binary cross-entropy of every cell, each as far as it errs (Lin et al., 2017, RetinaNet, gamma 2).

    Cells that a box covers without its centre count neither way: what they show is no background.

    Args:
        spec: of the network's input.
        smoothing: must be 0.

    Returns:
        TensorFlow: truths (batch, m, 5) in prepared pixels and [logits (batch, h, w, c)] to losses (batch,)
        float32, and the share of the centres whose cell says so (batch,).

    Raises:
        TrainingError: smoothing is not 0.
    """
    boxes.check_unsmoothed(smoothing)
    high, wide = spec.height // centroids.STRIDE, spec.width // centroids.STRIDE

    def losses(truths: Any, outputs: Any) -> tuple[Any, Any]:
        logits = tf.cast(outputs[0], tf.float32)
        classes = logits.shape[-1]
        label, corners = truths[..., 0], truths[..., 1:] / centroids.STRIDE
        real = tf.cast(label >= 0, tf.float32)
        centre = (corners[..., :2] + corners[..., 2:]) / 2
        column = tf.clip_by_value(tf.floor(centre[..., 0]), 0.0, wide - 1.0)
        row = tf.clip_by_value(tf.floor(centre[..., 1]), 0.0, high - 1.0)
        at = tf.one_hot(tf.cast(row * wide + column, tf.int32), high * wide)  # (batch, m, cells)
        kind = tf.one_hot(tf.cast(label, tf.int32), classes) * real[..., None]
        wanted = tf.minimum(tf.einsum("bmk,bmc->bkc", at, kind), 1.0)
        flat = tf.reshape(logits, (-1, high * wide, classes))
        chance = tf.sigmoid(flat)
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(wanted, flat) * tf.square(wanted - chance)
        covered = _covered(corners, tf.cast(tf.not_equal(label, boxes.PADDING), tf.float32), high, wide)
        central = tf.reduce_max(wanted, -1, keepdims=True)  # there no label is left out
        entropy *= tf.maximum(central, 1 - covered[..., None])
        count = tf.maximum(tf.reduce_mean(tf.reduce_sum(real, -1)), 1.0)
        own = tf.einsum("bmk,bkc,bmc->bm", at, chance, kind)
        found = tf.reduce_sum(tf.cast(own > 0.5, tf.float32) * real, -1)
        share = found / tf.maximum(tf.reduce_sum(real, -1), 1.0)
        return tf.reduce_sum(entropy, (1, 2)) / count, share

    return losses


def imitation(spec: InputSpec, *, temperature: float) -> Callable[[Any, Any], Any]:
    """The criterion with a teacher's scores where it has the truth: every cell, each as far as it errs.

    Such a soft target and such a weight are those of Li et al., 2020 (Generalized Focal Loss, arXiv
    2006.04388, eq. 3, beta 2).

    Args:
        spec: of the network's input, which must be the teacher's, too.
        temperature: what logits are divided by before the sigmoid.

    Returns:
        TensorFlow: a teacher's [logits (batch, h, w, c)] and the student's, to losses (batch,) float32. No
        gradient flows to the teacher.
    """

    def losses(taught: Any, outputs: Any) -> Any:
        theirs, ours = (tf.cast(one, tf.float32) / temperature for (one,) in (taught, outputs))
        theirs = tf.stop_gradient(theirs)
        wanted = tf.sigmoid(theirs)
        excess = boxes.excess_entropy(theirs, ours) * tf.square(wanted - tf.sigmoid(ours))
        count = tf.maximum(tf.reduce_mean(tf.reduce_sum(wanted, (1, 2, 3))), 1.0)
        return temperature**2 * tf.reduce_sum(excess, (1, 2, 3)) / count

    return losses


def outcome(outputs: Sequence[Array], dataset: Dataset, views: Sequence[View], card: Card) -> dict[str, Any]:
    """See `edgecnn.heads.boxes.outcome`: a box is found where an answer's centre lies in it."""
    return boxes.outcome(ROLES, outputs, dataset, views, card, hit="centre")


def fitted_options(
    outputs: Sequence[Array], dataset: Dataset, views: Sequence[View], card: Card
) -> Mapping[str, Any]:
    """See `edgecnn.heads.boxes.fitted_options`."""
    return boxes.fitted_options(ROLES, outputs, dataset, views, card, hit="centre")


def _covered(corners: Any, present: Any, high: int, wide: int) -> Any:
    """1 for cells whose centre lies in a box, counted or not: (batch, cells). Corners are in cells."""
    y, x = tf.meshgrid(
        tf.range(high, dtype=tf.float32) + 0.5, tf.range(wide, dtype=tf.float32) + 0.5, indexing="ij"
    )
    x, y = tf.reshape(x, (1, 1, -1)), tf.reshape(y, (1, 1, -1))
    left, top, right, bottom = (tf.expand_dims(v, -1) for v in tf.unstack(corners, axis=-1))
    within = (x > left) & (x < right) & (y > top) & (y < bottom)
    return tf.reduce_max(tf.cast(within, tf.float32) * present[..., None], axis=1)
