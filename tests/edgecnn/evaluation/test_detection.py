"""The oracle is average precision as its definition reads, box by box, and F1 at every single score."""

import json
import sys

import numpy as np
import pytest

from edgecnn.errors import DataError, MissingExtra, ModelError
from edgecnn.evaluation.detection import (
    UNDECIDED_THRESHOLD,
    best_threshold,
    centre_overlap,
    metrics,
)
from edgecnn.results import Boxes
from edgecnn.tasks.boxes import iou


def by_definition(results: list[Boxes], truths: list[Boxes], label: int, threshold: float) -> float:
    """Average precision of one label at one IoU; no ignored boxes, at most 100 in an image."""
    said = [
        (float(r.score[i]), image, i)
        for image, r in enumerate(results)
        for i in np.flatnonzero(r.label_id == label)[:100]
    ]
    said.sort(key=lambda row: -row[0])
    wanted = [np.flatnonzero(t.label_id == label).tolist() for t in truths]
    total = sum(map(len, wanted))
    curve, right = [], 0
    for number, (_, image, i) in enumerate(said, 1):
        free = wanted[image]
        overlaps = iou(results[image].xyxy[i : i + 1], truths[image].xyxy[free])[0] if free else np.zeros(0)
        if len(free) and overlaps.max() >= threshold:
            free.pop(int(overlaps.argmax()))
            right += 1
        curve.append((right / total, right / number))
    heights = [max((p for r, p in curve if r >= recall), default=0.0) for recall in np.linspace(0, 1, 101)]
    return float(np.mean(heights))


def f1_at(results: list[Boxes], truths: list[Boxes], threshold: float, hit: str = "iou") -> float:
    return metrics(results, truths, threshold=threshold, hit=hit).f1 or 0.0


def test_no_image_is_refused():
    with pytest.raises(DataError, match="0 results for 0 truths"):
        metrics([], [])


def test_without_any_box_nothing_is_known_and_nothing_fails(given):
    found = metrics([given()], [given()], threshold=0.5, resamples=10)
    assert (found.map, found.map50, found.map75, found.precision, found.recall, found.f1) == (None,) * 6
    assert found.sizes == {"small": None, "medium": None, "large": None}
    assert found.boxes == 0
    assert found.score == 0.0
    assert found.map_interval is None
    assert best_threshold([given()], [given()]) == UNDECIDED_THRESHOLD


def test_a_detector_that_says_nothing_finds_nothing(given):
    found = metrics([given()], [given((0, 1, 0, 0, 10, 10))], threshold=0.5, resamples=10)
    assert (found.map, found.recall, found.precision, found.f1) == (0.0, 0.0, None, 0.0)
    assert found.map_interval == (0.0, 0.0)
    assert best_threshold([given()], [given((0, 1, 0, 0, 10, 10))]) == UNDECIDED_THRESHOLD


def test_boxes_where_there_is_nothing_are_wrong_but_have_no_average_precision(given):
    found = metrics([given((0, 0.9, 0, 0, 10, 10))], [given()], threshold=0.5)
    assert (found.map, found.precision, found.recall) == (None, 0.0, None)


def test_the_truth_itself_is_perfect(scenes):
    _, truths = scenes(ignored=0)
    found = metrics(truths, truths, threshold=0.5)
    assert (found.map, found.map50, found.precision, found.recall, found.f1) == pytest.approx((1.0,) * 5)


@pytest.mark.parametrize("threshold", [0.5, 0.75, 0.95])
def test_average_precision_is_what_its_definition_says(scenes, threshold):
    results, truths = scenes(ignored=0, seed=6)
    found = metrics(results, truths)
    step = round((threshold - 0.5) / 0.05)
    for label in range(3):
        expected = by_definition(results, truths, label, threshold)
        assert found.ap[0, step, label] == pytest.approx(expected, abs=1e-12)


def test_classes_without_truth_are_in_no_mean(given):
    truth = given((0, 1, 0, 0, 10, 10))
    found = metrics([given((0, 0.9, 0, 0, 10, 10), (1, 0.9, 0, 0, 10, 10))], [truth], threshold=0.5)
    assert found.map == pytest.approx(1.0)
    assert found.f1 == 1.0
    assert found.precision == 0.5
    rows = {row["label"]: row for row in found.per_class()}
    assert rows["red"]["ap"] == pytest.approx(1.0)
    assert (rows["white"]["ap"], rows["white"]["precision"], rows["white"]["recall"]) == (None, 0.0, None)
    assert rows["platelet"]["precision"] is None


def test_sizes_are_areas_of_the_truth_in_pixels(given):
    truths = [given((0, 1, 0, 0, 20, 20), (0, 1, 100, 100, 150, 150), (0, 1, 200, 200, 400, 400))]
    found = metrics([given((0, 0.9, 0, 0, 20, 20), (0, 0.8, 200, 200, 400, 400))], truths)
    assert found.sizes == pytest.approx({"small": 1.0, "medium": 0.0, "large": 1.0})


def test_ignored_truth_counts_neither_found_nor_missed(given):
    truth = given((0, 1, 0, 0, 10, 10), (0, 1, 50, 50, 90, 90), ignored=[False, True])
    both = given((0, 0.9, 0, 0, 10, 10), (0, 0.8, 50, 50, 90, 90))
    for said in (both, given((0, 0.9, 0, 0, 10, 10))):
        found = metrics([said], [truth], threshold=0.5)
        assert (found.map, found.precision, found.recall, found.boxes) == pytest.approx((1.0, 1.0, 1.0, 1))


def test_labels_are_matched_by_name_whatever_their_order(scenes):
    results, truths = scenes(seed=7)
    order = ("platelet", "other", "red", "white")
    table = np.array([order.index(label) for label in truths[0].labels])
    renamed = [Boxes(r.xyxy, r.score, table[r.label_id], order) for r in results]
    assert (
        metrics(renamed, truths, threshold=0.4).as_dict() == metrics(results, truths, threshold=0.4).as_dict()
    )


def test_truths_of_different_labels_are_refused(given):
    with pytest.raises(DataError, match="image 1: the labels of its truth"):
        metrics([given(), given()], [given(), given(labels=("a",))])


def test_a_score_that_is_no_number_is_refused(given):
    with pytest.raises(ModelError, match="image 0: a box's score is NaN"):
        metrics([given((0, np.nan, 0, 0, 10, 10))], [given()])


def test_everything_is_json(scenes):
    found = metrics(*scenes(3), threshold=0.5, resamples=20).as_dict()
    assert json.loads(json.dumps(found)) == found


def test_the_threshold_counts_a_box_whose_score_it_is(given):
    said = given((0, 0.3, 0, 0, 10, 10))
    found = metrics([said], [given((0, 1, 0, 0, 10, 10))], threshold=0.3)  # float32(0.3) > 0.3 is luck
    assert found.recall == 1.0
    assert metrics([said], [given((0, 1, 0, 0, 10, 10))], threshold=0.31).recall == 0.0


@pytest.mark.parametrize("hit", ["iou", "centre"])
@pytest.mark.parametrize("case", [{"seed": 8}, {"seed": 9, "steps": 5}, {"seed": 10, "ignored": 0.5}])
def test_no_threshold_has_a_better_f1_than_the_best(scenes, hit, case):
    results, truths = scenes(4, answers=12, **case)
    best = best_threshold(results, truths, hit=hit)
    scores = np.unique(np.concatenate([r.score for r in results]))
    highest = max(f1_at(results, truths, float(score), hit) for score in scores)
    assert f1_at(results, truths, best, hit) == pytest.approx(highest, abs=1e-12)


def test_the_best_threshold_lies_between_what_is_kept_and_what_is_dropped(given):
    truth = given((0, 1, 0, 0, 10, 10))
    said = given((0, 0.75, 0, 0, 10, 10), (0, 0.25, 50, 50, 60, 60))
    assert best_threshold([said], [truth]) == 0.5


def test_where_every_box_is_right_the_best_threshold_keeps_the_least_likely(given):
    truth = given((0, 1, 0, 0, 10, 10), (0, 1, 50, 50, 60, 60))
    said = given((0, 0.75, 0, 0, 10, 10), (0, 0.25, 50, 50, 60, 60))
    assert best_threshold([said], [truth]) == 0.25


def test_of_equally_good_thresholds_the_widest_gap_is_taken(given):
    truth = given((0, 1, 0, 0, 10, 10))
    right, wrong = (0, 0.75, 0, 0, 10, 10), (0, 0.5, 50, 50, 60, 60)
    assert best_threshold([given(right, wrong, (0, 0.48, 90, 90, 99, 99))], [truth]) == 0.625


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((4, 4, 6, 6), 1.0),  # the very middle
        ((9, 4, 11, 6), 0.5),  # the middle of an edge
        ((6.5, 4, 8.5, 6), 0.75),
        ((10, 4, 12, 6), 0.0),  # outside
        ((0, 0, 100, 10), 0.0),  # covers it, but its centre is elsewhere
    ],
)
def test_a_centre_is_a_hit_inside_the_truth(answer, expected):
    found = centre_overlap(np.array([answer], float), np.array([[0, 0, 10, 10]], float))
    assert found.tolist() == [[expected]]


def test_centres_and_no_boxes_at_all():
    assert centre_overlap(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
    assert centre_overlap(np.zeros((2, 4)), np.zeros((0, 4))).shape == (2, 0)


def test_by_centre_a_coarse_cell_is_right_whose_iou_is_small_and_each_truth_counts_once(given):
    truth = given((0, 1, 10, 10, 14, 14), (0, 1, 60, 60, 64, 64))
    said = given((0, 0.9, 4, 4, 20, 20), (0, 0.8, 5, 5, 21, 21), (0, 0.7, 100, 100, 116, 116))
    found = metrics([said], [truth], threshold=0.5, hit="centre")
    assert (found.map, found.map50, found.sizes) == (None, None, {})
    assert found.precision == pytest.approx(1 / 3)
    assert found.recall == 0.5
    assert found.score == found.f1 == pytest.approx(0.4)
    assert metrics([said], [truth], threshold=0.5).recall == 0.0


def test_without_pycocotools_the_extra_is_named(given, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    monkeypatch.delitem(sys.modules, "edgecnn.evaluation.coco", raising=False)
    monkeypatch.delattr("edgecnn.evaluation.coco", raising=False)
    with pytest.raises(MissingExtra, match=r"edgecnn\[train\]"):
        metrics([given()], [given()])
