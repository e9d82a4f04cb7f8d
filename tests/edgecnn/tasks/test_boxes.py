"""Overlap and suppression are what a slow, plain loop over pairs finds: to the last box, ties included."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.tasks.boxes import SIGMA, iou, soften, suppress

NONE = np.empty((0, 4))


def overlap(a, b):
    """Of two boxes, in plain Python."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0.0) * max(high, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def greedy(boxes, labels, limit):
    """Suppression by definition."""
    kept = []
    for number, box in enumerate(boxes):
        rivals = [other for other in kept if labels[other] == labels[number]]
        if all(overlap(boxes[other], box) <= limit for other in rivals):
            kept.append(number)
    return kept


def lowered(boxes, labels, scores, least):
    """Soft suppression by definition."""
    left, order = dict(enumerate(map(float, scores))), []
    while left and max(left.values()) >= least:
        best = max(left, key=lambda i: left[i])
        order.append((best, left.pop(best)))
        for i in left:
            if labels[i] == labels[best]:
                left[i] *= math.exp(-(overlap(boxes[best], boxes[i]) ** 2) / SIGMA)
    return order


def crowd(count, *, labels, seed, places=None):
    """Random boxes; around a few places, or anywhere."""
    rng = np.random.default_rng(seed)
    center = rng.uniform(0, 320, (count, 2))
    size = np.exp(rng.uniform(np.log(12), np.log(160), (count, 2)))
    label = rng.integers(0, labels, count)
    if places:
        at = rng.integers(0, places, count)
        size = size[at] * np.exp(rng.normal(0, 0.1, (count, 2)))
        center, label = center[at] + rng.normal(0, 0.1, (count, 2)) * size, label[at]
    return np.concatenate([center - size / 2, center + size / 2], axis=1), label


# whole numbers: equal boxes, boxes that touch, boxes without area and overlaps of exactly 1/2 come often
corner = st.integers(0, 6)
box = st.tuples(corner, corner, corner, corner).map(
    lambda c: (float(c[0]), float(c[1]), float(c[0] + c[2]), float(c[1] + c[3]))
)
boxes = st.lists(st.tuples(box, st.integers(0, 2)), max_size=30)
limits = st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.6, 0.75, 1.0]) | st.floats(0, 1)


# iou


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (2, 0)])
def test_no_boxes_overlap_nothing(n, m):
    assert iou(np.zeros((n, 4)), np.zeros((m, 4))).shape == (n, m)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0),  # touch
        ((0, 0, 2, 2), (5, 5, 6, 6), 0),
        ((0, 0, 4, 4), (1, 1, 3, 3), 1 / 4),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0),  # without area
        ((1, 0, 1, 9), (0, 0, 2, 9), 0),
        ((0, 0, 1e30, 1e30), (0, 0, 1e30, 5e29), 0.5),
        ((1e6, 1e6, 1e6 + 1, 1e6 + 1), (1e6, 1e6, 1e6 + 2, 1e6 + 1), 0.5),  # float32 would lose the pixel
    ],
)
def test_overlap_by_hand(a, b, wanted):
    assert iou([a], [b])[0, 0] == pytest.approx(wanted, abs=1e-15)
    assert iou([b], [a])[0, 0] == pytest.approx(wanted, abs=1e-15)


@given(st.lists(box, max_size=6), st.lists(box, max_size=6))
def test_every_pair_overlaps_as_in_plain_python(a, b):
    found = iou(np.array(a).reshape(-1, 4), np.array(b).reshape(-1, 4))
    assert found.dtype == np.float64
    assert found.tolist() == [[overlap(one, other) for other in b] for one in a]


# suppress


def test_of_no_boxes_none_stays():
    assert suppress(NONE, np.empty(0, np.int64), iou=0.5).tolist() == []


@given(boxes, limits)
@settings(max_examples=200)
def test_the_same_boxes_stay_as_by_definition(found, limit):
    xyxy = np.array([one for one, _ in found]).reshape(-1, 4)
    label = np.array([label for _, label in found], np.int64)
    assert suppress(xyxy, label, iou=limit).tolist() == greedy(xyxy.tolist(), label.tolist(), limit)


@given(boxes, limits, st.integers(1, 10))
def test_the_best_few_are_those_that_come_first(found, limit, most):
    xyxy = np.array([one for one, _ in found]).reshape(-1, 4)
    label = np.array([label for _, label in found], np.int64)
    few = suppress(xyxy, label, iou=limit, most=most)
    assert few.tolist() == suppress(xyxy, label, iou=limit).tolist()[:most]


@pytest.mark.parametrize("limit", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize(("labels", "places"), [(1, None), (20, None), (1, 30), (3, 8)])
def test_many_boxes_in_several_blocks_stay_as_by_definition(labels, places, limit):
    xyxy, label = crowd(700, labels=labels, places=places, seed=labels)
    wanted = greedy(xyxy.tolist(), label.tolist(), limit)
    assert suppress(xyxy, label, iou=limit).tolist() == wanted
    assert suppress(xyxy.astype(np.float32).astype(np.float64), label, iou=limit).dtype == np.int64


@pytest.mark.parametrize("limit", [0.0, 0.5, 1 / 3, 1.0])
@pytest.mark.parametrize("count", [63, 64, 65, 150, 300])
@pytest.mark.parametrize("seed", range(3))
def test_few_boxes_and_many_stay_as_by_definition_though_they_touch_and_tie(count, seed, limit):
    rng = np.random.default_rng(seed)
    begin, label = rng.integers(0, 12, (count, 2)), rng.integers(0, 3, count)
    xyxy = np.concatenate([begin, begin + rng.integers(0, 6, (count, 2))], axis=1).astype(np.float64)
    assert suppress(xyxy, label, iou=limit).tolist() == greedy(xyxy.tolist(), label.tolist(), limit)


def test_boxes_whose_area_is_less_than_any_number_overlap_nothing():
    tiny = np.tile([0, 0, 1e-200, 1e-200], (3, 1))
    assert suppress(tiny, np.zeros(3, np.int64), iou=0.5).tolist() == [0, 1, 2]
    assert (iou(tiny, tiny) == 0).all()


def test_a_thousand_equal_boxes_leave_the_first_of_each_label():
    label = np.arange(1000) % 3
    assert suppress(np.tile([5.0, 5, 9, 9], (1000, 1)), label, iou=0.6).tolist() == [0, 1, 2]


def test_boxes_far_away_and_of_any_size_do_no_harm():
    far = np.array([[-1e10, -1e10, 1e10, 1e10], [0, 0, 1e-6, 1e-6], [0, 0, 1e-6, 1e-6], [3e9, 0, 3e9 + 1, 1]])
    assert suppress(far, np.zeros(4, np.int64), iou=0.5).tolist() == [0, 1, 3]


# soften


def test_no_boxes_are_not_softened():
    keep, score = soften(NONE, np.empty(0, np.int64), np.empty(0), least=0.1)
    assert keep.tolist() == []
    assert score.tolist() == []


@given(boxes, st.sampled_from([0.0, 0.05, 0.3]), st.data())
@settings(max_examples=100)
def test_scores_sink_as_by_definition(found, least, data):
    xyxy = np.array([one for one, _ in found]).reshape(-1, 4)
    label = np.array([label for _, label in found], np.int64)
    grades = st.sampled_from([0.9, 0.9, 0.7, 0.5, 0.31, 0.1])
    score = sorted(data.draw(st.lists(grades, min_size=len(label), max_size=len(label))), reverse=True)
    keep, softened = soften(xyxy, label, np.array(score), least=least)
    wanted = lowered(xyxy.tolist(), label.tolist(), score, least)
    # another exp may differ in the last bit: then two that tie may change places, not their scores
    np.testing.assert_allclose(softened, [score for _, score in wanted], rtol=1e-12)
    assert (np.diff(softened) <= 0).all()
    assert (softened >= least).all()
    assert len(set(keep.tolist())) == len(keep)


def test_a_box_of_another_label_keeps_its_score():
    twice = np.tile([0.0, 0, 9, 9], (2, 1))
    keep, score = soften(twice, np.array([0, 1]), np.array([0.9, 0.8]), least=0.1)
    assert keep.tolist() == [0, 1]
    assert score.tolist() == [0.9, 0.8]


def test_a_box_on_top_of_a_better_one_sinks_by_e_squared():
    twice = np.tile([0.0, 0, 9, 9], (2, 1))
    keep, score = soften(twice, np.array([0, 0]), np.array([0.9, 0.8]), least=0.1)
    assert keep.tolist() == [0, 1]
    assert score.tolist() == pytest.approx([0.9, 0.8 * math.exp(-2)])
    assert soften(twice, np.array([0, 0]), np.array([0.9, 0.8]), least=0.2)[0].tolist() == [0]


def test_as_many_are_softened_as_are_wanted():
    xyxy, label = crowd(200, labels=2, seed=3)
    score = np.linspace(1, 0.1, 200)
    keep, softened = soften(xyxy, label, score, least=0.0, most=10)
    every, scores = soften(xyxy, label, score, least=0.0)
    assert keep.tolist() == every.tolist()[:10]
    assert softened.tolist() == scores.tolist()[:10]
    assert sorted(every.tolist()) == list(range(200))
