"""The loss against a slow one that is written from the papers, cell by cell; and that it can be learned."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecnn import heads
from edgecnn.card import Card, InputSpec
from edgecnn.heads import anchors
from edgecnn.image import Array, View
from edgecnn.zoo.detector import ANCHOR_STRIDES, STRIDES
from edgecnn.zoo.keras import keras, tf

pytestmark = pytest.mark.tensorflow

SPEC = InputSpec(64, 96)
LABELS = ("cat", "dog", "owl")
CARD = Card("pets", "detection", SPEC, LABELS, options=anchors.options(SPEC))
CELLS = sum(SPEC.height // stride * (SPEC.width // stride) for stride in STRIDES)
Cells = list[tuple[float, float, float]]


@pytest.fixture(scope="module")
def cells(cells_of: Callable[[Card], Cells]) -> Cells:
    return cells_of(CARD)


def costs(truths: Any, codes: Array, logits: Array) -> tuple[Array, Array]:
    criterion = anchors.criterion(SPEC, smoothing=0.0)
    losses, overlaps = criterion(
        tf.constant(truths, tf.float32), [tf.constant(codes, tf.float32), tf.constant(logits, tf.float32)]
    )
    return losses.numpy(), overlaps.numpy()


def random_outputs(seed: int, images: int = 2) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    codes = random.normal(0, 0.6, (images, CELLS, 4))
    return codes, random.normal(-2, 1.5, (images, CELLS, len(LABELS)))


def random_truths(seed: int, images: int = 2, boxes: int = 3) -> Array:
    """From a few pixels to most of the image."""
    random = np.random.default_rng(seed)
    middle = random.uniform(5, 59, (images, boxes, 2)) * (1.5, 1)
    sides = 2 ** random.uniform(1.5, 5.8, (images, boxes, 2))
    label = random.integers(0, len(LABELS), (images, boxes, 1))
    return np.concatenate([label, middle - sides / 2, middle + sides / 2], 2)


def iou(one: Any, other: Any) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(wide, 0) * max(high, 0)
    return shared / (
        (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared
    )


def diou(one: Any, other: Any) -> float:
    apart = sum(((one[k] + one[k + 2]) / 2 - (other[k] + other[k + 2]) / 2) ** 2 for k in (0, 1))
    hull = sum((max(one[k + 2], other[k + 2]) - min(one[k], other[k])) ** 2 for k in (0, 1))
    return iou(one, other) - apart / hull


def may_answer(box: Any, cell: tuple[float, float, float]) -> bool:
    """Its centre lies in the box, or within three quarters of a stride of the box's centre."""
    x, y, side = cell
    off = max(abs(x - (box[0] + box[2]) / 2), abs(y - (box[1] + box[3]) / 2))
    return (box[0] < x < box[2] and box[1] < y < box[3]) or off < 0.75 * side / ANCHOR_STRIDES


def slow_boxes(codes: Array, cells: Cells) -> list[tuple[float, ...]]:
    """What each cell says: corners in prepared pixels."""
    found = []
    for (x, y, side), code in zip(cells, codes, strict=True):
        ty, tx, th, tw = np.array(code) / CARD.options["scale_yxhw"]
        cx, cy, w, h = x + tx * side, y + ty * side, side * math.exp(tw), side * math.exp(th)
        found.append((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
    return found


def slow_assignment(
    boxes: list[tuple[int, Any]], found: list[tuple[float, ...]], chance: Array, cells: Cells
) -> tuple[dict[int, int], dict[int, float]]:
    """Which box each cell answers for, and the score that it should give (TOOD, sections 3.2 and 3.3)."""
    at_first = slow_boxes(np.zeros((len(cells), 4)), cells)
    merit: dict[tuple[int, int], float] = {}
    for b, (label, box) in enumerate(boxes):
        mine = {}
        for k, cell in enumerate(cells):
            if may_answer(box, cell):
                off = math.dist(cell[:2], ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
                near = 1e-9 * (1 + math.exp(-off / cell[2]))
                mine[k] = chance[k, label] * max(iou(box, found[k]), iou(box, at_first[k])) ** 6 + near
        best = sorted(mine, key=mine.__getitem__, reverse=True)[: anchors.BEST]
        merit |= {(b, k): mine[k] for k in best}
    owner = {}
    for k in {k for _, k in merit}:
        owner[k] = max((b for b, at in merit if at == k), key=lambda b, k=k: iou(boxes[b][1], found[k]))
    wanted = {}
    for b, (_, box) in enumerate(boxes):
        mine = {k: merit[b, k] for k, by in owner.items() if by == b}
        closest = max((iou(box, found[k]) for k in mine), default=0.0)
        wanted |= {k: max(value / max(mine.values()) * closest, 1e-4) for k, value in mine.items()}
    return owner, wanted


def slow_entropy(target: float, chance: float) -> float:
    """Varifocal (Zhang et al., 2021, equation 2): what is there by its target, what is not by the error."""
    entropy = -target * math.log(chance) - (1 - target) * math.log(1 - chance)
    return entropy * (target if target > 0 else 0.75 * chance**2)


def slow_costs(truths: Any, codes: Array, logits: Array, cells: Cells) -> tuple[list[float], list[float]]:
    """The loss and the figure of each image, in loops."""
    sums, weights, figures = [], [], []
    for rows, image_codes, image_logits in zip(truths, codes, logits, strict=True):
        found, chance = slow_boxes(image_codes, cells), 1 / (1 + np.exp(-image_logits))
        boxes = [(int(row[0]), row[1:]) for row in rows if row[0] >= 0]
        void = [row[1:] for row in rows if row[0] <= -2]
        owner, wanted = slow_assignment(boxes, found, chance, cells)
        total = 0.0
        for k, cell in enumerate(cells):
            if k in owner or not any(may_answer(box, cell) for box in void):
                for c, p in enumerate(chance[k].tolist()):
                    is_own = k in owner and boxes[owner[k]][0] == c
                    total += slow_entropy(wanted[k] if is_own else 0.0, p)
        for k, b in owner.items():
            share = max(wanted[k], anchors._LEAST_SHARE)
            total += anchors._BOX_WEIGHT * share * (1 - diou(found[k], boxes[b][1]))
        sums.append(total)
        weights.append(sum(wanted.values()))
        figures.append(float(np.mean([iou(found[k], boxes[b][1]) for k, b in owner.items()] or [0.0])))
    whole = max(float(np.mean(weights)), 1.0)
    return [value / whole for value in sums], figures


def test_no_images_cost_nothing() -> None:
    losses, overlaps = costs(np.zeros((0, 3, 5)), np.zeros((0, CELLS, 4)), np.zeros((0, CELLS, 3)))
    assert losses.shape == overlaps.shape == (0,)


def test_without_a_box_only_what_is_said_of_the_background_costs(cells: Cells) -> None:
    codes, logits = random_outputs(0)
    truths = np.full((2, 1, 5), -1.0)
    losses, overlaps = costs(truths, codes, logits)
    expected, _ = slow_costs(truths, codes, logits, cells)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    assert overlaps.tolist() == [0, 0]
    np.testing.assert_allclose(costs(truths, 3 * codes, logits)[0], losses, rtol=1e-6)
    assert (costs(truths, codes, logits - 30)[0] < 1e-6).all()


@pytest.mark.parametrize("seed", range(6))
def test_the_loss_is_the_slow_one(cells: Cells, seed: int) -> None:
    truths, (codes, logits) = random_truths(seed), random_outputs(seed + 100)
    truths[1, 2, 0] = -2 - truths[1, 2, 0]  # one does not count
    if seed % 2:
        truths[0, 1:] = -1
    found, expected = costs(truths, codes, logits), slow_costs(truths, codes, logits, cells)
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-4)
    np.testing.assert_allclose(found[1], expected[1], rtol=2e-4)


def test_boxes_that_share_their_cells_are_told_apart(cells: Cells) -> None:
    """One within the other, of two labels; and two that are nearly the same."""
    truths = np.array([[[0, 10, 10, 60, 50], [1, 30, 22, 44, 37]], [[2, 5, 5, 40, 41], [2, 6, 7, 42, 40]]])
    codes, logits = random_outputs(5)
    found, expected = costs(truths, codes, logits), slow_costs(truths, codes, logits, cells)
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-4)
    np.testing.assert_allclose(found[1], expected[1], rtol=2e-4)


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_padding_changes_nothing(rows: int) -> None:
    """As many rows as it likes, behind the boxes, as everything that makes rows puts it."""
    truths, (codes, logits) = random_truths(1), random_outputs(1)
    truths[1, 2] = -1
    padded = np.concatenate([truths, np.full((2, rows, 5), -1.0)], 1)
    one, two = (costs(truths[k : k + 1, : 3 - k], codes[k : k + 1], logits[k : k + 1]) for k in (0, 1))
    found = costs(padded, codes, logits)
    np.testing.assert_allclose(found, costs(truths, codes, logits), rtol=1e-6)
    np.testing.assert_allclose(found[1], [one[1][0], two[1][0]], rtol=1e-5)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_boxes_changes_nothing(order: tuple[int, ...]) -> None:
    truths, (codes, logits) = random_truths(2), random_outputs(2)
    truths[0, 1, 0] = -3
    expected = costs(truths, codes, logits)
    np.testing.assert_allclose(costs(truths[:, list(order)], codes, logits), expected, rtol=1e-5)


@pytest.mark.parametrize("middle", [(20.0, 20.0), (16.0, 24.0), (23.9, 8.1), (0.5, 0.5), (95.5, 63.5)])
def test_a_box_smaller_than_a_cell_has_a_cell_that_answers(middle: tuple[float, float]) -> None:
    (x, y), codes = middle, np.zeros((1, CELLS, 4))
    truths = np.array([[[1, x - 0.5, y - 0.5, x + 0.5, y + 0.5]]])
    _, overlaps = costs(truths, codes, np.full((1, CELLS, 3), -4.0))
    assert overlaps[0] > 0  # of the anchors, with a box of one pixel
    assert overlaps[0] < 0.01


def test_what_covers_an_ignored_box_costs_nothing_and_what_lies_beside_it_does(cells: Cells) -> None:
    truths = np.array([[[-2 - 1, 30, 16, 70, 56]]], np.float64)
    over = np.array([may_answer(truths[0, 0, 1:], cell) for cell in cells])
    assert over.any()
    assert not over.all()
    quiet, codes = np.full((1, CELLS, 3), -30.0), np.zeros((1, CELLS, 4))
    sure, wrong = quiet.copy(), quiet.copy()
    sure[0, over] = 5.0
    wrong[0, np.flatnonzero(~over)[:1], 0] = 5.0
    assert costs(truths, codes, sure)[0][0] < 1e-6
    assert costs(truths, codes, wrong)[0][0] > 1


def test_an_ignored_box_does_not_silence_the_cells_of_another() -> None:
    truths = np.array([[[0, 30, 16, 70, 56], [-2, 30, 16, 70, 56]]], np.float64)
    codes = np.zeros((1, CELLS, 4))
    low, high = (costs(truths, codes, np.full((1, CELLS, 3), value))[0][0] for value in (-9.0, -1.5))
    assert low > high  # it is there: who denies it pays


def test_the_figure_is_1_where_every_cell_says_the_box(
    cells: Cells, coded: Callable[..., list[float]]
) -> None:
    box = (20.0, 10.0, 52.0, 44.0)
    codes = np.array([[coded(CARD, box, cell) for cell in cells]])
    logits = np.full((1, CELLS, 3), -30.0)
    logits[0, [k for k, cell in enumerate(cells) if may_answer(box, cell)], 1] = 30.0
    assert costs([[[1, *box]]], codes, logits)[1][0] == pytest.approx(1, abs=1e-4)
    moved = codes.copy()
    moved[..., 1] += 0.5
    assert costs([[[1, *box]]], moved, logits)[1][0] < 0.95


@pytest.mark.parametrize("extreme", [0.0, 30.0, -30.0, 1e4, -1e4])
def test_gradients_are_finite_however_wild_the_outputs(extreme: float) -> None:
    truths = np.concatenate([random_truths(3), np.full((2, 1, 5), -1.0)], 1)
    truths[0, 0] = (1, 20, 20, 20, 20)  # a box without area, as augmentation never leaves it
    codes = tf.Variable(tf.fill((2, CELLS, 4), extreme))
    logits = tf.Variable(tf.fill((2, CELLS, 3), extreme))
    with tf.GradientTape() as tape:
        losses, _ = anchors.criterion(SPEC, smoothing=0.0)(tf.constant(truths, tf.float32), [codes, logits])
    assert np.isfinite(losses.numpy()).all()
    for gradient in tape.gradient(losses, [codes, logits]):
        assert np.isfinite(gradient.numpy()).all()


def test_following_the_gradient_finds_the_boxes() -> None:
    truths, (codes, logits) = random_truths(4), random_outputs(4)
    outputs = [tf.Variable(codes, dtype=tf.float32), tf.Variable(logits, dtype=tf.float32)]
    criterion, figures = anchors.criterion(SPEC, smoothing=0.0), []
    optimizer = keras.optimizers.Adam(0.1)
    for _ in range(60):
        with tf.GradientTape() as tape:
            losses, overlap = criterion(tf.constant(truths, tf.float32), outputs)
        optimizer.apply_gradients(zip(tape.gradient(losses, outputs), outputs, strict=True))
        figures.append(float(overlap.numpy().mean()))
    assert figures[-1] > 0.8
    assert figures[-1] > figures[0] + 0.2


def test_a_small_network_learns_one_image_by_heart(
    tiny_backbone: str, photographs: Callable[..., Any]
) -> None:
    """From build to mAP: head, network and decoding agree on what every cell means."""
    head, spec = heads.find("detection"), InputSpec(64, 64)
    rows = [[0, 4, 6, 24, 30], [1, 30, 8, 60, 24], [2, 12, 36, 56, 60]]
    data, view = photographs(rows), View((1.0, 1.0), (0.0, 0.0), (64, 64))
    image = np.random.default_rng(0).normal(0, 0.3, (1, 64, 64, 3)).astype(np.float32)
    for label, x1, y1, x2, y2 in rows:
        image[0, y1:y2, x1:x2, label] += 1.5
    model = head.build(tiny_backbone, input_shape=(64, 64, 3), classes=3, width=0.5, seed=1)
    targets = tf.constant(head.placed(head.targets(data), [view]))
    criterion, optimizer = head.criterion(spec, smoothing=0.0), keras.optimizers.Adam(5e-3)

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            losses, _ = criterion(targets, model(image, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(losses, variables), variables, strict=True))
        return losses[0]

    losses = [float(step()) for _ in range(150)]
    assert losses[-1] < losses[0] / 3
    outputs = [output.numpy() for output in model(image, training=False)]
    card = Card("m", "detection", spec, data.labels, options=head.options(spec))
    outcome = head.outcome(outputs, data, [view], card)
    assert outcome["map50"] == pytest.approx(1)
    assert outcome["map"] > 0.5
