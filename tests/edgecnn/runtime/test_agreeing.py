"""Which boxes count as the same, and which do not."""

import pytest

from edgecnn.runtime.agreeing import boxes_agree, iou

CAT = {"label": "cat", "score": 0.6, "box_xyxy": [0.0, 0.0, 10.0, 10.0]}
DOG = {"label": "dog", "score": 0.9, "box_xyxy": [20.0, 0.0, 40.0, 30.0]}


def test_no_box_agrees_with_no_likely_box():
    assert boxes_agree([], [], rounding=False)
    assert boxes_agree([], [{**CAT, "score": 0.015}], rounding=False)
    assert not boxes_agree([], [CAT], rounding=False)
    assert not boxes_agree([CAT], [], rounding=True)


@pytest.mark.parametrize(
    ("change", "in_float", "in_integers"),
    [
        ({}, True, True),
        ({"score": 0.605}, True, True),
        ({"score": 0.65}, False, True),
        ({"score": 0.75}, False, False),
        ({"box_xyxy": [0.0, 0.0, 10.0, 9.8]}, True, True),
        ({"box_xyxy": [0.0, 0.0, 10.0, 9.0]}, False, True),
        ({"box_xyxy": [5.0, 0.0, 15.0, 10.0]}, False, False),
        ({"label": "dog"}, False, False),
    ],
)
def test_a_box_has_one_near_it_of_its_label_and_nearly_its_score(change, in_float, in_integers):
    found = [DOG, {**CAT, **change}]
    assert boxes_agree([CAT, DOG], found, rounding=False) == in_float
    assert boxes_agree([CAT, DOG], found, rounding=True) == in_integers


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"label": "cat"},
        {**CAT, "box_xyxy": [1, 2]},
        {**CAT, "box_xyxy": "0 0 1 1"},
        {**CAT, "score": "high"},
    ],
)
def test_what_is_no_box_agrees_with_nothing(stored):
    assert not boxes_agree([stored], [CAT], rounding=True)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([0, 0, 10, 10], 1.0),
        ([5, 0, 15, 10], 1 / 3),
        ([10, 0, 20, 10], 0.0),
        ([5, 5, 5, 5], 0.0),
        ([0, 0, 5, 5], 0.25),
    ],
)
def test_iou_is_shared_over_joint_area(other, expected):
    assert iou([0, 0, 10, 10], other) == pytest.approx(expected)
    assert iou([5, 5, 5, 5], [5, 5, 5, 5]) == 0
