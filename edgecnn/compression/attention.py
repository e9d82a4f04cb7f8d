"""Attention transfer: where in the image a network is active, as its teacher is.

Zagoruyko & Komodakis, 2017, arXiv 1612.03928, section 3.1. It has no weights of its own, and how many
channels the layers have makes no difference.
"""

from typing import Any, Final

from edgecnn.compression.rewrite import calls
from edgecnn.errors import TrainingError
from edgecnn.zoo.keras import tf

SHARE: Final = 1.0
"""What the distance of one pair of maps, 0 to 4, counts in the loss."""


def pairs(student: Any, teacher: Any) -> list[tuple[str, str]]:
    """Layers of student and teacher whose maps can be compared: the last of each size that both have.

    Raises:
        TrainingError: there is none, or a model whose layers cannot be followed.
    """
    ours, theirs = _last(student), _last(teacher)
    found = [(ours[size], theirs[size]) for size in ours if size in theirs]
    if not found:
        raise TrainingError(
            f"no layer of the student is as large as one of the teacher (theirs: {_sizes(theirs)}; the "
            f"student's: {_sizes(ours)}). Learn from the answers only."
        )
    return found


def distance(theirs: Any, ours: Any) -> Any:
    """TensorFlow: how far two maps of activity lie apart, (batch,) float32 in [0, 4].

    Args:
        theirs: the teacher's features (batch, h, w, channels); no gradient flows to it.
        ours: the student's, (batch, h, w, other channels).
    """
    return tf.reduce_sum(tf.square(_map(ours) - tf.stop_gradient(_map(theirs))), -1)


def _map(features: Any) -> Any:
    """Mean squared activation of each place, as a vector of length 1: (batch, h * w)."""
    power = tf.reduce_mean(tf.square(tf.cast(features, tf.float32)), -1)
    return tf.math.l2_normalize(tf.reshape(power, (tf.shape(power)[0], -1)), -1)


def _last(model: Any) -> dict[tuple[int, int], str]:
    found = {}
    for call in calls(model):
        shape = tuple(call.output.shape)
        if len(shape) == 4 and None not in shape[1:] and shape[1:3] != (1, 1) and call.inputs and call.before:
            found[shape[1], shape[2]] = call.name
    return found


def _sizes(last: dict[tuple[int, int], str]) -> str:
    return ", ".join(f"{width}x{height}" for height, width in last) or "none"
