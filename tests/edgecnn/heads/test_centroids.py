import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecnn import heads
from edgecnn.card import Card, InputSpec
from edgecnn.heads import centroids
from edgecnn.image import Array, View
from edgecnn.zoo.keras import keras, tf

pytestmark = pytest.mark.tensorflow

SPEC = InputSpec(32, 48)
GRID = (4, 6)


def costs(truths: Any, logits: Array) -> tuple[Array, Array]:
    criterion = centroids.criterion(SPEC, smoothing=0.0)
    losses, found = criterion(tf.constant(truths, tf.float32), [tf.constant(logits, tf.float32)])
    return losses.numpy(), found.numpy()


def random_logits(seed: int, images: int = 2) -> Array:
    return np.random.default_rng(seed).normal(-1, 2, (images, *GRID, 3))


def slow_costs(truths: Any, logits: Array) -> tuple[list[float], list[float]]:
    """Cell by cell, label by label."""
    sums, counts, shares = [], [], []
    for rows, grid in zip(truths, logits, strict=True):
        chance, total = 1 / (1 + np.exp(-grid)), 0.0
        centres: dict[tuple[int, int], set[int]] = {}
        seen = []
        for label, x1, y1, x2, y2 in rows:
            if label >= 0:
                at = min(int((y1 + y2) / 2 // 8), GRID[0] - 1), min(int((x1 + x2) / 2 // 8), GRID[1] - 1)
                centres.setdefault(at, set()).add(int(label))
                seen.append(chance[(*at, int(label))] > 0.5)
        for row, column in itertools.product(range(GRID[0]), range(GRID[1])):
            x, y = 8 * column + 4, 8 * row + 4
            covered = any(
                label != -1 and x1 < x < x2 and y1 < y < y2 for label, x1, y1, x2, y2 in rows.tolist()
            )
            here = centres.get((row, column), set())
            if covered and not here:
                continue
            for label in range(3):
                p, wanted = chance[row, column, label], label in here
                total -= (wanted - p) ** 2 * math.log(p if wanted else 1 - p)
        sums.append(total)
        counts.append(len(seen))
        shares.append(float(np.mean(seen)) if seen else 0.0)
    return [total / max(float(np.mean(counts)), 1.0) for total in sums], shares


def test_no_images_cost_nothing() -> None:
    losses, found = costs(np.zeros((0, 2, 5)), np.zeros((0, *GRID, 3)))
    assert losses.shape == found.shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_the_slow_one(seed: int) -> None:
    random, logits = np.random.default_rng(seed), random_logits(seed + 50)
    middle, sides = random.uniform(1, 31, (2, 4, 2)) * (1.5, 1), 2 ** random.uniform(1, 4.5, (2, 4, 2))
    label = random.integers(0, 3, (2, 4, 1))
    truths = np.concatenate([label, middle - sides / 2, middle + sides / 2], 2)
    truths[0, 3, 0] = -2 - truths[0, 3, 0]
    truths[1, 2:] = -1
    if seed == 4:
        truths[1] = -1
    found, expected = costs(truths, logits), slow_costs(truths, logits)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
    np.testing.assert_allclose(found[1], expected[1])


def test_padding_and_order_change_nothing() -> None:
    truths = np.array([[[0, 2, 2, 13, 9], [1, 20, 10, 40, 30], [2, 20, 10, 22, 12]]], np.float64)
    logits = random_logits(1, images=1)
    expected = costs(truths, logits)
    more = np.concatenate([truths[:, [2, 0, 1]], np.full((1, 3, 5), -1.0)], 1)
    np.testing.assert_allclose(costs(more, logits), expected, rtol=1e-6)


@pytest.mark.parametrize("side", [2, 6, 20])
def test_who_says_a_second_label_where_the_centre_is_pays(side: int) -> None:
    """However large the box: else what looks like a cat would be a dog as well."""
    x, y, logits = 20, 12, np.full((1, *GRID, 3), -9.0)
    truths = [[[0, x - side / 2, y - side / 2, x + side / 2, y + side / 2]]]
    logits[0, 1, 2, 0] = 9.0
    right, found = costs(truths, logits)
    assert right[0] < 1e-3
    assert found[0] == 1
    logits[0, 1, 2, 1] = 9.0
    assert costs(truths, logits)[0][0] > 5


def test_what_a_box_covers_around_its_centre_counts_neither_way() -> None:
    truths = [[[0, 2, 2, 38, 30], [-2, 40, 0, 48, 32]]]
    quiet = np.full((1, *GRID, 3), -9.0)
    quiet[0, 2, 2, 0] = 9.0
    loud = quiet.copy()
    loud[0, 0, :5] = 9.0
    loud[0, :, 5] = 9.0
    np.testing.assert_allclose(costs(truths, loud), costs(truths, quiet), rtol=1e-6)


def test_a_centre_outside_the_image_belongs_to_the_cell_at_the_edge() -> None:
    logits = np.full((1, *GRID, 3), -9.0)
    logits[0, 3, 5, 2] = 9.0
    assert costs([[[2, 44, 28, 60, 44]]], logits)[1][0] == 1


@pytest.mark.parametrize("extreme", [0.0, 100.0, -100.0, 1e6])
def test_gradients_are_finite_however_wild_the_scores(extreme: float) -> None:
    logits = tf.Variable(tf.fill((1, *GRID, 3), extreme))
    truths = tf.constant([[[0, 2, 2, 30, 30], [-1] * 5]], tf.float32)
    with tf.GradientTape() as tape:
        losses, _ = centroids.criterion(SPEC, smoothing=0.0)(truths, [logits])
    assert np.isfinite(losses.numpy()).all()
    assert np.isfinite(tape.gradient(losses, logits).numpy()).all()


def test_a_small_network_learns_one_image_by_heart(
    tiny_backbone: str, photographs: Callable[..., Any]
) -> None:
    head, spec = heads.find("detection", "centroids"), InputSpec(64, 64)
    rows = [[0, 4, 6, 12, 14], [1, 44, 8, 54, 20], [0, 24, 40, 36, 50], [2, 50, 48, 60, 62]]
    data, view = photographs(rows), View((1.0, 1.0), (0.0, 0.0), (64, 64))
    image = np.random.default_rng(0).normal(0, 0.2, (1, 64, 64, 3)).astype(np.float32)
    for label, x1, y1, x2, y2 in rows:
        image[0, y1:y2, x1:x2, label] += 2
    model = head.build(tiny_backbone, input_shape=(64, 64, 3), classes=3, width=0.5, seed=1)
    targets = tf.constant(head.placed(head.targets(data), [view]))
    criterion, optimizer = head.criterion(spec, smoothing=0.0), keras.optimizers.Adam(1e-2)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            losses, _ = criterion(targets, [model(image, training=True)])
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(losses, variables), variables, strict=True))

    # Norms keep 0.99 of their statistics: after fewer steps the network in use is not the learned one.
    for _ in range(500):
        step()
    card = Card("m", "detection", spec, data.labels, options=head.options(spec))
    outputs = [model(image, training=False).numpy()]
    card = Card("m", "detection", spec, data.labels, options=head.fitted_options(outputs, data, [view], card))
    outcome = head.outcome(outputs, data, [view], card)
    assert outcome["hit"] == "centre"
    assert outcome["score"] == outcome["f1"] == 1
