"""What a teacher adds to the loss, against slow sums that are written from the papers."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecnn import heads
from edgecnn.card import Card, InputSpec
from edgecnn.heads import anchors, centroids, classification
from edgecnn.image import Array
from edgecnn.zoo.detector import STRIDES
from edgecnn.zoo.keras import tf

pytestmark = pytest.mark.tensorflow

SPEC = InputSpec(64, 96)
CELLS = sum(SPEC.height // stride * (SPEC.width // stride) for stride in STRIDES)
SHAPES = {
    "classification": [(5,)],
    "anchors": [(CELLS, 4), (CELLS, 3)],
    "centroids": [(8, 12, 3)],
}
HEADS: dict[str, Any] = {"classification": classification, "anchors": anchors, "centroids": centroids}


def said(name: str, seed: int, images: int = 3) -> list[Array]:
    random = np.random.default_rng(seed)
    return [random.normal(-1, 1.5, (images, *shape)).astype(np.float32) for shape in SHAPES[name]]


def costs(name: str, taught: list[Array], outputs: list[Array], temperature: float = 1.0) -> Array:
    imitation = HEADS[name].imitation(SPEC, temperature=temperature)
    losses = imitation([tf.constant(one) for one in taught], [tf.constant(one) for one in outputs])
    assert losses.dtype == tf.float32
    return np.asarray(losses)


@pytest.mark.parametrize("name", HEADS)
def test_no_images_cost_nothing(name: str) -> None:
    empty = said(name, 0, images=0)
    assert costs(name, empty, empty).shape == (0,)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("name", HEADS)
def test_who_answers_as_the_teacher_pays_nothing_and_whoever_does_not_pays(
    name: str, temperature: float
) -> None:
    teacher, other = said(name, 1), said(name, 2)
    np.testing.assert_allclose(costs(name, teacher, teacher, temperature), 0, atol=1e-4)
    assert (costs(name, teacher, other, temperature) > 1e-3).all()


@pytest.mark.parametrize("name", HEADS)
def test_a_step_down_the_gradient_comes_nearer_and_the_teacher_learns_nothing(name: str) -> None:
    teacher = [tf.constant(one) for one in said(name, 3)]
    student = [tf.constant(one) for one in said(name, 4)]
    imitation = HEADS[name].imitation(SPEC, temperature=2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([*teacher, *student])
        total = tf.reduce_sum(imitation(teacher, student))
    assert tape.gradient(total, teacher) == [None] * len(teacher)
    moved = [one - 1e-2 * change for one, change in zip(student, tape.gradient(total, student), strict=True)]
    assert float(tf.reduce_sum(imitation(teacher, moved))) < float(total)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_classes_cost_hintons_divergence_times_the_square_of_the_temperature(temperature: float) -> None:
    (theirs,), (ours,) = said("classification", 5), said("classification", 6)
    expected = []
    for one, other in zip(theirs, ours, strict=True):
        p, q = (np.exp(z / temperature) / np.exp(z / temperature).sum() for z in (one, other))
        expected.append(temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    np.testing.assert_allclose(costs("classification", [theirs], [ours], temperature), expected, rtol=1e-4)


def test_gradients_of_classes_stay_as_large_when_it_gets_hot() -> None:
    """In the limit they are those of half the squared distance of centred logits (Hinton, eq. 4)."""
    (theirs,), (ours,) = said("classification", 5), said("classification", 6)
    imitation = classification.imitation(SPEC, temperature=1000.0)
    with tf.GradientTape() as tape:
        watched = tf.Variable(ours)
        total = tf.reduce_sum(imitation([tf.constant(theirs)], [watched]))
    apart = ours - ours.mean(-1, keepdims=True) - theirs + theirs.mean(-1, keepdims=True)
    np.testing.assert_allclose(tape.gradient(total, watched), apart / ours.shape[-1], atol=2e-3)


def divergence(p: float, q: float) -> float:
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def sigmoid(value: Any) -> Any:
    return 1 / (1 + np.exp(-np.float64(value)))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_centroids_cost_each_cell_as_far_as_it_errs(temperature: float) -> None:
    (theirs,), (ours,) = said("centroids", 7), said("centroids", 8)
    p, q = sigmoid(theirs / temperature), sigmoid(ours / temperature)
    sums = [
        sum((a - b) ** 2 * divergence(a, b) for a, b in zip(one.flat, other.flat, strict=True))
        for one, other in zip(p, q, strict=True)
    ]
    expected = temperature**2 * np.array(sums) / max(p.sum() / len(p), 1.0)
    np.testing.assert_allclose(costs("centroids", [theirs], [ours], temperature), expected, rtol=1e-3)


def diou(one: Any, other: Any) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(wide, 0) * max(high, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    apart = sum(((one[k] + one[k + 2]) / 2 - (other[k] + other[k + 2]) / 2) ** 2 for k in (0, 1))
    hull = sum((max(one[k + 2], other[k + 2]) - min(one[k], other[k])) ** 2 for k in (0, 1))
    return shared / (areas - shared) - apart / hull


def test_anchors_cost_scores_as_far_as_either_says_them_and_boxes_as_far_as_the_teacher_is_sure(
    cells_of: Callable[[Card], list[tuple[float, float, float]]],
) -> None:
    card = Card("pets", "detection", SPEC, ("cat", "dog", "owl"), options=anchors.options(SPEC))
    cells, scale = cells_of(card), card.options["scale_yxhw"]

    def box(cell: tuple[float, float, float], code: Array) -> tuple[float, ...]:
        (x, y, side), (ty, tx, th, tw) = cell, np.float64(code) / scale
        x, y, w, h = x + tx * side, y + ty * side, side * math.exp(tw) / 2, side * math.exp(th) / 2
        return x - w, y - h, x + w, y + h

    (codes, logits), (own_codes, own_logits) = said("anchors", 9), said("anchors", 10)
    p, q = sigmoid(logits), sigmoid(own_logits)
    whole = max(p.max(-1).sum() / len(p), 1.0)
    expected = []
    for image in range(len(p)):
        total = sum(
            max(a, 0.75 * b**2) * divergence(a, b) for a, b in zip(p[image].flat, q[image].flat, strict=True)
        )
        for k, cell in enumerate(cells):
            apart = 1 - diou(box(cell, codes[image, k]), box(cell, own_codes[image, k]))
            total += 2.5 * p[image, k].max() * apart
        expected.append(total / whole)
    np.testing.assert_allclose(
        costs("anchors", [codes, logits], [own_codes, own_logits]), expected, rtol=1e-3
    )


@pytest.mark.parametrize(
    ("task", "design"), [(task, one) for task in heads.HEADS for one in heads.HEADS[task]]
)
def test_every_head_imitates(task: str, design: str) -> None:
    head = heads.find(task, design)
    assert 0 < head.IMITATED <= 1
    assert head.TEMPERATURE > 0
    assert callable(head.imitation(SPEC, temperature=head.TEMPERATURE))
