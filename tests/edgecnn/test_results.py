"""Results are checked once, on construction, and never change."""

import json

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.results import Boxes, Classes, Embedding, Mask, Values

LABELS = ("cat", "dog", "owl")


def no_boxes():
    return Boxes(np.empty((0, 4)), np.empty(0), np.empty(0), LABELS)


def two_boxes(**changes):
    fields = {
        "xyxy": [[0, 0, 4, 2], [1, 1, 3, 3]],
        "score": [0.25, 0.75],
        "label_id": [2, 0],
        "labels": LABELS,
    }
    return Boxes(**(fields | changes))


def test_no_boxes_are_a_result():
    boxes = no_boxes()
    assert len(boxes) == 0
    assert boxes.records() == []
    assert boxes.xyxy.shape == (0, 4)


def test_an_empty_mask_is_a_result():
    assert Mask(np.empty((0, 0), np.int32), LABELS).records() == []


def test_no_values_and_an_empty_vector_are_results():
    assert Values([], ()).records() == []
    assert Embedding([]).records() == [{"vector": []}]


@pytest.mark.parametrize(
    ("result", "name", "dtype"),
    [
        (Classes([1, 2, 3], LABELS), "score", np.float32),
        (two_boxes(), "xyxy", np.float32),
        (two_boxes(), "score", np.float32),
        (two_boxes(), "label_id", np.int64),
        (Mask([[0, 1], [2, 2]], LABELS), "label_id", np.int32),
        (Values([1.5], ("bearing_deg",)), "value", np.float32),
        (Embedding([1, 0]), "vector", np.float32),
    ],
)
def test_arrays_have_their_dtype_and_cannot_be_written(result, name, dtype):
    array = getattr(result, name)
    assert array.dtype == dtype
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0
    with pytest.raises(AttributeError):
        setattr(result, name, array)


def test_a_result_does_not_change_with_the_array_it_was_made_from():
    scores = np.array([0.1, 0.7, 0.2], np.float32)
    classes = Classes(scores, LABELS)
    scores[:] = 0
    assert classes.label == "dog"
    assert scores.flags.writeable  # the caller's own array stays the caller's


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Classes([0.5, 0.5], LABELS), r"Classes.score must have shape \(3\), not \(2,\)"),
        (lambda: Classes([[1, 2, 3]], LABELS), r"not \(1, 3\)"),
        (lambda: two_boxes(xyxy=[[0, 0, 1, 1]]), r"Boxes.xyxy must have shape \(2, 4\), not \(1, 4\)"),
        (lambda: two_boxes(score=[[0.5, 0.5]]), r"Boxes.score must have shape \(any\)"),
        (lambda: two_boxes(label_id=[0]), r"Boxes.label_id must have shape \(2\)"),
        (lambda: two_boxes(label_id=[0, 3]), r"holds 0..3, but there are 3 labels \(0-2\)"),
        (lambda: two_boxes(label_id=[-1, 0]), r"holds -1..0"),
        (lambda: two_boxes(xyxy=[[4, 0, 0, 2], [1, 1, 3, 3]]), "right >= left"),
        (lambda: two_boxes(xyxy=[[0, 2, 4, 0], [1, 1, 3, 3]]), "bottom >= top"),
        (lambda: two_boxes(xyxy=[[0, 0, np.nan, 2], [1, 1, 3, 3]]), "finite"),
        (lambda: two_boxes(xyxy=[[0, 0, np.inf, 2], [1, 1, 3, 3]]), "finite"),
        (lambda: Mask([0, 1], LABELS), r"Mask.label_id must have shape \(any, any\), not \(2,\)"),
        (lambda: Mask([[0, 3]], LABELS), "holds 0..3, but there are 3 labels"),
        (lambda: Mask([[-1]], LABELS), "holds -1..-1"),
        (lambda: Values([1.0, 2.0], ("angle",)), r"Values.value must have shape \(1\)"),
        (lambda: Embedding([[1.0]]), r"Embedding.vector must have shape \(any\)"),
        (lambda: Classes.truth(3, LABELS), r"class 3 is not one of the 3 labels \(0-2\)"),
        (lambda: Classes.truth(-1, LABELS), "class -1"),
        (lambda: Classes.truth(0, ()), "class 0 is not one of the 0 labels"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_its_values(build, said):
    with pytest.raises(DataError, match=said):
        build()


def test_adopted_boxes_are_those_arrays_and_cannot_be_written():
    xyxy, score = np.array([[0, 0, 4, 2]], np.float32), np.array([0.5], np.float32)
    boxes = Boxes.adopt(xyxy, score, np.array([2]), LABELS)
    checked = Boxes(xyxy, score, [2], LABELS)
    assert boxes.xyxy is xyxy
    assert boxes.records() == checked.records()
    for name in ("xyxy", "score", "label_id", "ignored"):
        assert getattr(boxes, name).dtype == getattr(checked, name).dtype
        assert not getattr(boxes, name).flags.writeable
    assert boxes.ignored.tolist() == [False]


def test_a_box_without_area_is_allowed():
    assert len(two_boxes(xyxy=[[1, 1, 1, 1], [0, 0, 0, 5]])) == 2


def test_classes_name_the_best():
    classes = Classes([0.2, 0.5, 0.3], LABELS)
    assert (classes.label_id, classes.label) == (1, "dog")
    assert [label for label, _ in classes.top(2)] == ["dog", "owl"]
    assert [label for label, _ in classes.top()] == ["dog", "owl", "cat"]
    assert classes.top(0) == []


def test_of_equal_scores_the_first_label_comes_first():
    classes = Classes([0.0, 0.5, 0.5], LABELS)
    assert classes.label == "dog"
    assert [label for label, _ in classes.top(3)] == ["dog", "owl", "cat"]


def test_a_top_list_of_thousands_is_what_sorting_gives():
    scores = np.random.default_rng(3).integers(0, 50, 1001).astype(np.float32)  # many ties
    labels = tuple(str(number) for number in range(1001))
    found = Classes(scores, labels).top(20)
    wanted = sorted(range(1001), key=lambda number: (-scores[number], number))[:20]
    assert found == [(str(number), float(scores[number])) for number in wanted]


def test_truth_is_a_result_with_score_one():
    truth = Classes.truth(2, LABELS)
    assert truth.score.tolist() == [0, 0, 1]
    assert truth.label == "owl"


@pytest.mark.parametrize(
    ("result", "top", "wanted"),
    [
        (Classes([0.25, 0.5, 0.25], LABELS), 1, [{"label": "dog", "score": 0.5}]),
        (
            two_boxes(),
            None,
            [
                {"label": "cat", "score": 0.75, "box_xyxy": [1.0, 1.0, 3.0, 3.0]},
                {"label": "owl", "score": 0.25, "box_xyxy": [0.0, 0.0, 4.0, 2.0]},
            ],
        ),
        (two_boxes(), 1, [{"label": "cat", "score": 0.75, "box_xyxy": [1.0, 1.0, 3.0, 3.0]}]),
        (Mask([[2, 2]], LABELS), None, [{"label": "owl", "score": 1.0}]),
        (Mask([[2, 2, 2, 0]], LABELS), 1, [{"label": "owl", "score": 0.75}]),
        (Values([1.5], ("angle_deg",)), None, [{"label": "angle_deg", "score": 1.5}]),
        (Values([1.5, -2], ("a", "b")), 1, [{"label": "a", "score": 1.5}]),
        (Embedding([0.5, 1]), 3, [{"vector": [0.5, 1.0]}]),
    ],
)  # fmt: skip
def test_records_are_json(result, top, wanted):
    assert result.records(top) == wanted
    assert json.loads(json.dumps(result.records(top))) == wanted


def test_records_hold_every_class_unless_told_otherwise():
    assert len(Classes([0.25, 0.5, 0.25], LABELS).records()) == 3
