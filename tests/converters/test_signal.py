"""How near outputs are, counted as the task uses them."""

from math import inf, isnan, nan

import numpy as np
import pytest

from converters.signal import SignalToNoise, decibels, parts_of
from edgecnn.card import Card, InputSpec

RANDOM = np.random.default_rng(0)
CLASSIFIER = Card("net", "classification", InputSpec(2, 2))


def detector(**options):
    return Card("net", "detection", InputSpec(2, 2), ("a", "b", "c"), options=options)


def outputs(scores, boxes=None):
    boxes = RANDOM.normal(size=(len(scores), 4)) if boxes is None else boxes
    return {"boxes": np.asarray(boxes, float), "scores": np.asarray(scores, float)}


def test_before_the_first_image_nothing_differs():
    assert SignalToNoise(detector()).snr_db == inf


def test_of_a_classifier_every_score_counts():
    first, second = RANDOM.normal(size=5), RANDOM.normal(size=5)
    found = SignalToNoise(CLASSIFIER)
    found.watch({"scores": first}, {"scores": second})
    assert found.snr_db == pytest.approx(10 * np.log10((first**2).sum() / ((first - second) ** 2).sum()))


def test_boxes_of_the_background_do_not_count():
    scores = np.full((6, 3), -12.0)
    scores[2] = [3.0, -9, -9]
    expected = outputs(scores)
    made = {**expected, "boxes": expected["boxes"] + 5.0}
    made["boxes"][2] = expected["boxes"][2]
    found = SignalToNoise(detector())
    found.watch(expected, made)
    assert found.by_role == {"boxes": inf, "scores": inf}
    made["boxes"][2] += 0.1
    found.watch(expected, made)
    assert 0 < found.by_role["boxes"] < 60


def test_logits_far_below_zero_are_all_the_same():
    expected = outputs(np.array([[2.0, -8, -8], [-15, -14, -16]]))
    made = {**expected, "scores": expected["scores"].clip(-8, None)}
    found = SignalToNoise(detector())
    found.watch(expected, made)
    assert found.by_role["scores"] > 60


def test_the_worse_output_is_what_a_file_is_worth():
    expected = outputs(np.full((4, 3), 2.0))
    found = SignalToNoise(detector())
    found.watch(expected, {"boxes": 1.5 * expected["boxes"], "scores": expected["scores"]})
    assert found.snr_db == found.by_role["boxes"] == pytest.approx(10 * np.log10(4))


def test_what_is_no_number_is_never_good():
    expected = outputs(np.full((4, 3), 2.0))
    found = SignalToNoise(detector())
    found.watch(expected, {**expected, "boxes": np.full((4, 4), nan)})
    assert isnan(found.snr_db)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("decode", ["yolov8", "yolov5"])
def test_one_tensor_is_taken_apart(decode, turned):
    columns = 7 if decode == "yolov8" else 8
    joined = RANDOM.uniform(size=(9, columns))
    parts = parts_of({"predictions": joined.T if turned else joined}, detector(decode=decode))
    np.testing.assert_array_equal(parts["boxes"], joined[:, :4])
    scores = joined[:, 4:] if decode == "yolov8" else joined[:, 4:5] * joined[:, 5:]
    np.testing.assert_array_equal(parts["scores"], scores)


@pytest.mark.parametrize(
    ("signal", "noise", "expected"), [(1.0, 0.0, inf), (0.0, 1.0, -inf), (100.0, 1.0, 20.0)]
)
def test_the_ratio_of_two_powers(signal, noise, expected):
    assert decibels(signal, noise) == expected
