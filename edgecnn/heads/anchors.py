"""Learning boxes: which cell answers for which box, and what it costs to be wrong.

Cells are assigned by how well they answer already (Feng et al., 2021, TOOD, arXiv 2108.07755): of those in
a box, the ones whose score and overlap are best. Scores learn their overlap (binary cross-entropy with soft
targets), boxes learn by DIoU (Zheng et al., 2020, arXiv 1911.08287). What boxes and scores mean is
`edgecnn.tasks.detection`; which network gives them, `edgecnn.zoo.detector`; what they are compared with,
`edgecnn.heads.boxes`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from edgecnn.card import Card, InputSpec
from edgecnn.data.dataset import Dataset
from edgecnn.heads import boxes
from edgecnn.heads.boxes import check, placed, targets, vary
from edgecnn.image import Array, View
from edgecnn.tasks import detection as task
from edgecnn.zoo import detector
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

ROLES = ("boxes", "scores")
FIGURE, SCORE = "overlap", "mAP"
FRESH = detector.OWN

IMITATED, TEMPERATURE = 0.5, 1.0

BEST: Final = 10
"""Cells that answer for one box, at most (TOOD takes 13; small boxes lie in fewer)."""

_OVERLAP_POWER, _SCORE_POWER = 6.0, 1.0  # TOOD, section 3.2
_BOX_WEIGHT = 2.5
_LEAST_SHARE = 0.2  # of a box's loss that a cell gets whose overlap is small still

structure, build = detector.structure, detector.build


def options(spec: InputSpec) -> dict[str, Any]:
    """What the card says about the outputs."""
    return {
        "decode": "anchors",
        "scores": "logits",
        "strides": list(detector.STRIDES),
        "anchor_px": detector.anchor_px(),
        "scale_yxhw": list(detector.SCALE_YXHW),
    }


def criterion(spec: InputSpec, *, smoothing: float) -> Callable[[Any, Any], tuple[Any, Any]]:
    """What is minimised.

    Args:
        spec: of the network's input.
        smoothing: must be 0: scores learn an overlap, which is soft already.

    Returns:
        TensorFlow: truths (batch, m, 5) in prepared pixels and [codes (batch, n, 4), logits (batch, n, c)] to
        losses (batch,) float32, whose mean is learned, and the mean overlap of the cells that answer
        with their boxes, (batch,) in [0, 1].

    Raises:
        TrainingError: smoothing is not 0.
    """
    boxes.check_unsmoothed(smoothing)
    cells = tf.constant(task.anchors(_card(spec)))

    def losses(truths: Any, outputs: Any) -> tuple[Any, Any]:
        truths = _trimmed(truths)
        codes, logits = (tf.cast(output, tf.float32) for output in outputs)
        corners = _decoded(codes, cells)
        owner, wanted = _assigned(truths, tf.stop_gradient(corners), tf.stop_gradient(logits), cells)
        label = tf.cast(tf.gather(truths[..., 0], owner, batch_dims=1), tf.int32)
        target = tf.one_hot(label, logits.shape[-1]) * wanted[..., None]
        # Where nothing is, a cell counts as far as it errs: else the background, a hundred times as large,
        # talks rare classes out of ever being answered (varifocal loss, Zhang et al., 2021, arXiv
        # 2008.13367, eq. 2).
        weight = tf.where(target > 0, target, 0.75 * tf.square(tf.sigmoid(logits)))
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(target, logits) * tf.stop_gradient(weight)
        entropy = tf.reduce_sum(entropy, -1) * _counted(truths, wanted, cells)
        overlap, distance = _diou(corners, tf.gather(truths[..., 1:], owner, batch_dims=1))
        whole = tf.maximum(tf.reduce_mean(tf.reduce_sum(wanted, -1)), 1.0)
        answered = tf.cast(wanted > 0, tf.float32)
        share = tf.maximum(wanted, _LEAST_SHARE * answered)
        loss = tf.reduce_sum(entropy, -1) + _BOX_WEIGHT * tf.reduce_sum(share * (1 - distance), -1)
        mean = tf.reduce_sum(overlap * answered, -1) / tf.maximum(tf.reduce_sum(answered, -1), 1.0)
        return loss / whole, mean

    return losses


def imitation(spec: InputSpec, *, temperature: float) -> Callable[[Any, Any], Any]:
    """The criterion with a teacher's answers where it has the truth.

    Every cell learns the teacher's scores, soft as they are, and its boxes as far as the teacher is sure of
    them: of weighting what is imitated so, see Chen et al., 2017 ("Learning efficient object detection models
    with knowledge distillation", section 3); the distance of boxes is the criterion's own.

    Args:
        spec: of the network's input, which must be the teacher's, too.
        temperature: what logits are divided by before the sigmoid.

    Returns:
        TensorFlow: a teacher's [codes (batch, n, 4), logits (batch, n, c)] and the student's, to losses
        (batch,) float32. No gradient flows to the teacher.
    """
    cells = tf.constant(task.anchors(_card(spec)))

    def losses(taught: Any, outputs: Any) -> Any:
        their_codes, theirs = (tf.stop_gradient(tf.cast(one, tf.float32)) for one in taught)
        codes, ours = (tf.cast(one, tf.float32) for one in outputs)
        wanted, chance = tf.sigmoid(theirs / temperature), tf.sigmoid(ours / temperature)
        # The same weights as the criterion's, each label of a cell counting as far as either says it.
        weight = tf.stop_gradient(tf.maximum(wanted, 0.75 * tf.square(chance)))
        excess = boxes.excess_entropy(theirs / temperature, ours / temperature)
        entropy = temperature**2 * tf.reduce_sum(weight * excess, (1, 2))
        sure = tf.reduce_max(tf.sigmoid(theirs), -1)
        whole = tf.maximum(tf.reduce_mean(tf.reduce_sum(sure, -1)), 1.0)
        _, distance = _diou(_decoded(codes, cells), _decoded(their_codes, cells))
        return (entropy + _BOX_WEIGHT * tf.reduce_sum(sure * (1 - distance), -1)) / whole

    return losses


def outcome(outputs: Sequence[Array], dataset: Dataset, views: Sequence[View], card: Card) -> dict[str, Any]:
    """See `edgecnn.heads.boxes.outcome`: boxes are found by their overlap."""
    return boxes.outcome(ROLES, outputs, dataset, views, card, hit="iou")


def fitted_options(
    outputs: Sequence[Array], dataset: Dataset, views: Sequence[View], card: Card
) -> Mapping[str, Any]:
    """See `edgecnn.heads.boxes.fitted_options`."""
    return boxes.fitted_options(ROLES, outputs, dataset, views, card, hit="iou")


def _trimmed(truths: Any) -> Any:
    """Without rows that are padding in every image: most of them are, and each costs as much as a box.

    Padding comes last in every image.
    """
    used = tf.reduce_max(tf.reduce_sum(tf.cast(truths[..., 0] != boxes.PADDING, tf.int32), axis=1))
    return truths[:, : tf.maximum(used, 1)]


def _card(spec: InputSpec) -> Card:
    return Card("detector", "detection", spec, ("any",), {}, options(spec))


def _decoded(codes: Any, cells: Any) -> Any:
    """Corners (batch, n, 4) x1, y1, x2, y2 in prepared pixels, as `edgecnn.tasks.detection` says."""
    sy, sx, sh, sw = detector.SCALE_YXHW
    ty, tx, th, tw = tf.unstack(codes, axis=-1)
    x, y, side = tf.unstack(cells, axis=-1)
    x, y = x + tx / sx * side, y + ty / sy * side
    # 4: a side of 55 anchors. Further out the gradient of a mistake would outweigh all others.
    h, w = (side * tf.exp(tf.clip_by_value(t, -6.0, 4.0)) / 2 for t in (th / sh, tw / sw))
    return tf.stack([x - w, y - h, x + w, y + h], -1)


def _assigned(truths: Any, found: Any, logits: Any, cells: Any) -> tuple[Any, Any]:
    """Which box each cell answers for, (batch, n) int32, and the score that it should give, (batch, n).

    A cell that answers for none should give 0.
    """
    label, corners = truths[..., 0], truths[..., 1:]
    real = label >= 0
    overlap = _iou(corners[:, :, None], found[:, None])
    scores = tf.sigmoid(logits)
    own = tf.gather(tf.transpose(scores, (0, 2, 1)), tf.cast(tf.maximum(label, 0.0), tf.int32), batch_dims=1)
    inside = _inside(corners, cells) & real[..., None]
    # A box that no answer is near yet would stay so: its cells would learn little of it. Until they do
    # better, cells are as good as their anchors.
    promise = tf.maximum(overlap, _iou(corners[:, :, None], _decoded(tf.zeros(4), cells)))
    merit = tf.where(inside, tf.pow(own, _SCORE_POWER) * tf.pow(promise, _OVERLAP_POWER) + 1e-9, 0.0)
    # Where nothing overlaps yet, all merits are equal: then the nearest cells answer.
    centre = (corners[..., :2] + corners[..., 2:]) / 2
    apart = tf.norm(centre[:, :, None] - cells[None, None, :, :2], axis=-1) / cells[:, 2]
    merit += tf.where(inside, 1e-9 * tf.exp(-apart), 0.0)
    best = tf.math.top_k(merit, k=min(BEST, int(merit.shape[-1]))).values[..., -1:]
    chosen = tf.where(inside & (merit >= best), overlap + 1e-6, 0.0)
    owner = tf.argmax(chosen, axis=1, output_type=tf.int32)
    answers = tf.reduce_max(chosen, axis=1) > 0
    mine = tf.one_hot(owner, tf.shape(label)[1], axis=1, on_value=True, off_value=False, dtype=tf.bool)
    mine &= answers[:, None]
    merit = tf.where(mine, merit, 0.0)
    highest = tf.reduce_max(merit, -1, keepdims=True)
    closest = tf.reduce_max(tf.where(mine, overlap, 0.0), -1, keepdims=True)
    wanted = tf.reduce_sum(merit / tf.maximum(highest, 1e-12) * closest, axis=1)
    return owner, tf.where(answers, tf.maximum(wanted, 1e-4), 0.0)


def _inside(corners: Any, cells: Any) -> Any:
    """Whether a cell's centre lies in a box, or within one stride of its centre: (batch, m, n) bool."""
    x, y, side = tf.unstack(cells, axis=-1)
    left, top, right, bottom = (tf.expand_dims(v, -1) for v in tf.unstack(corners, axis=-1))
    within = (x > left) & (x < right) & (y > top) & (y < bottom)
    stride = side / detector.ANCHOR_STRIDES
    near = tf.maximum(tf.abs(x - (left + right) / 2), tf.abs(y - (top + bottom) / 2)) < 0.75 * stride
    return within | near


def _counted(truths: Any, wanted: Any, cells: Any) -> Any:
    """0 for cells inside a box that does not count, unless they answer for another; else 1: (batch, n)."""
    ignored = tf.reduce_any(_inside(truths[..., 1:], cells) & (truths[..., :1] <= -2), axis=1)
    return tf.where(ignored & (wanted <= 0), 0.0, 1.0)


def _iou(one: Any, other: Any) -> Any:
    """Overlap of corners (..., 4), broadcast: (...)."""
    low, high = tf.maximum(one[..., :2], other[..., :2]), tf.minimum(one[..., 2:], other[..., 2:])
    shared = tf.reduce_prod(tf.maximum(high - low, 0.0), -1)
    areas = (tf.reduce_prod(tf.maximum(b[..., 2:] - b[..., :2], 0.0), -1) for b in (one, other))
    return shared / tf.maximum(sum(areas) - shared, 1e-6)


def _diou(one: Any, other: Any) -> tuple[Any, Any]:
    """Overlap, and overlap less the distance of the centres as a share of the hull's diagonal, squared."""
    overlap = _iou(one, other)
    hull = tf.maximum(one[..., 2:], other[..., 2:]) - tf.minimum(one[..., :2], other[..., :2])
    apart = (one[..., :2] + one[..., 2:] - other[..., :2] - other[..., 2:]) / 2
    square = tf.reduce_sum(tf.square(apart), -1) / tf.maximum(tf.reduce_sum(tf.square(hull), -1), 1e-6)
    return tf.stop_gradient(overlap), overlap - square
