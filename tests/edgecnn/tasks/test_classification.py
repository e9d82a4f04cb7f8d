"""Scores become classes; predictions are judged with ties against the model."""

import json
from fractions import Fraction
from math import exp, inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgecnn.card import Card, InputSpec
from edgecnn.errors import CardError, DataError, ModelError
from edgecnn.image import View
from edgecnn.results import Boxes, Classes
from edgecnn.tasks import TASKS, classification
from edgecnn.tasks.classification import decode, draw, metrics, score, softmax, wilson

LABELS = ("cat", "dog", "owl")
VIEW = View((1.0, 1.0), (0.0, 0.0), (8, 8))


def card(scores="probabilities", labels=LABELS):
    return Card("m", "classification", InputSpec(8, 8), labels, options={"scores": scores})


def test_classification_is_a_task():
    assert TASKS["classification"] is classification
    assert classification.roles({}) == ("scores",)


# decode


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3), (1, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_probabilities_are_taken_as_they_are(shape, dtype):
    scores = np.array([0.25, 0.5, 0.25], dtype).reshape(shape)
    classes = decode({"scores": scores}, VIEW, card())
    assert classes.score.tolist() == [0.25, 0.5, 0.25]
    assert classes.labels == LABELS


def test_scores_are_probabilities_unless_the_card_says_otherwise():
    without = Card("m", "classification", InputSpec(8, 8), LABELS)
    assert decode({"scores": np.array([1.0, 2.0, 3.0])}, VIEW, without).score.tolist() == [1, 2, 3]


def test_logits_become_probabilities():
    logits = [1.0, -2.0, 0.5]
    total = sum(exp(x) for x in logits)
    found = decode({"scores": np.array(logits, np.float32)}, VIEW, card("logits")).score
    np.testing.assert_allclose(found, [exp(x) / total for x in logits], rtol=1e-6)


@pytest.mark.parametrize("count", [2, 4, 0])
def test_another_number_of_scores_than_labels_is_refused(count):
    with pytest.raises(
        CardError, match=f"m: {count} scores but 3 labels. Give a label file with {count} lines"
    ):
        decode({"scores": np.zeros(count)}, VIEW, card())


def test_an_unknown_kind_of_scores_is_refused():
    with pytest.raises(CardError, match="must be logits or probabilities, not 'log'"):
        decode({"scores": np.zeros(3)}, VIEW, card("log"))


@pytest.mark.parametrize(
    ("kind", "bad"), [("logits", nan), ("logits", inf), ("probabilities", nan), ("probabilities", -inf)]
)
def test_scores_that_are_no_numbers_are_an_error_and_not_a_class(kind, bad):
    with pytest.raises(ModelError, match="m: scores are not finite"):
        decode({"scores": np.array([0.1, bad, 0.2], np.float32)}, VIEW, card(kind))


# softmax


@given(arrays.arrays(np.float64, st.integers(1, 20), elements=st.floats(-1e4, 1e4)))
def test_softmax_is_what_double_precision_gives(logits):
    shifted = logits.astype(np.float32).astype(np.float64)
    wanted = np.exp(shifted - shifted.max())
    wanted /= wanted.sum()
    found = softmax(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)
    assert abs(float(found.sum()) - 1) < 1e-5


def test_softmax_survives_the_largest_numbers():
    assert softmax(np.array([3e38, 3e38, -3e38], np.float32)).tolist() == [0.5, 0.5, 0]


def test_an_infinitely_unlikely_class_has_probability_zero():
    assert softmax(np.array([0.0, 0.0, -inf], np.float32)).tolist() == [0.5, 0.5, 0]


def test_softmax_works_along_the_last_axis():
    both = softmax(np.array([[0.0, 0.0], [0.0, 1000.0]]))
    np.testing.assert_array_equal(both, [[0.5, 0.5], [0, 1]])


# draw


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3), (200, 3, 3), (32, 32, 3), (480, 640, 3), (60, 80)])
def test_drawing_gives_a_copy_of_the_same_size(shape):
    image = np.full(shape, 128, np.uint8)
    drawn = draw(image, Classes([0.1, 0.7, 0.2], LABELS))
    assert drawn.shape == (*shape[:2], 3)
    assert drawn.dtype == np.uint8
    assert (image == 128).all()


def test_the_picture_shows_something_at_the_bottom_and_nothing_at_the_top():
    drawn = draw(np.full((480, 640, 3), 128, np.uint8), Classes([0.1, 0.7, 0.2], LABELS))
    assert drawn.max() > 200
    assert (drawn[:300] == 128).all()


def test_only_classes_can_be_drawn():
    boxes = Boxes(np.empty((0, 4)), np.empty(0), np.empty(0), LABELS)
    with pytest.raises(DataError, match="classification wants Classes, not Boxes"):
        draw(np.zeros((8, 8, 3), np.uint8), boxes)


# score


def judged(scores, truths):
    labels = tuple("abcdefgh"[: len(scores[0])])
    return score([Classes(s, labels) for s in scores], [Classes.truth(t, labels) for t in truths])


def test_nothing_to_judge_is_an_error():
    with pytest.raises(DataError, match="0 results for 0 truths"):
        score([], [])


def test_results_without_their_truths_are_an_error():
    with pytest.raises(DataError, match="1 results for 2 truths"):
        score([Classes.truth(0, LABELS)], [Classes.truth(0, LABELS)] * 2)


def test_results_of_another_task_are_an_error():
    boxes = Boxes(np.empty((0, 4)), np.empty(0), np.empty(0), LABELS)
    for results, truths in (([boxes], [Classes.truth(0, LABELS)]), ([Classes.truth(0, LABELS)], [boxes])):
        with pytest.raises(DataError, match="classification wants Classes"):
            score(results, truths)


@pytest.mark.parametrize("place", [0, 1])
def test_labels_in_another_order_are_an_error_wherever_they_come(place):
    results = [Classes.truth(0, LABELS), Classes.truth(0, LABELS)]
    results[place] = Classes.truth(0, ("dog", "cat", "owl"))
    with pytest.raises(DataError, match=r"\(dog, cat, owl; 3\) are not the data's \(cat, dog, owl; 3\)"):
        score(results, [Classes.truth(0, LABELS)] * 2)


@pytest.mark.parametrize(
    ("scores", "truth", "right", "in_top5", "said", "tie"),
    [
        ([0.9, 0.1], 0, True, True, 0, False),
        ([0.9, 0.1], 1, False, True, 0, False),
        ([0.5, 0.5], 0, False, True, 1, True),  # the model did not decide: wrong, whichever stands first
        ([0.5, 0.5], 1, False, True, 0, True),
        ([0.4, 0.4, 0.2], 2, False, True, 0, False),  # a tie between wrong answers: simply wrong
        ([0, 0, 0, 0, 0, 0], 0, False, False, 1, True),  # all alike: not even among the best five
        ([6, 5, 4, 3, 2, 1], 4, False, True, 0, False),
        ([6, 5, 4, 3, 2, 1], 5, False, False, 0, False),
        ([6, 5, 4, 3, 2, 2], 4, False, False, 0, False),  # fifth or sixth? not decided
    ],
)
def test_one_image_is_judged_as_a_person_would(scores, truth, right, in_top5, said, tie):
    found = judged([scores], [truth])
    assert found.top1 == right
    assert found.top5 == in_top5
    assert found.confusion[truth, said] == 1
    assert found.confusion.sum() == 1
    assert found.ties == tie


@given(
    st.integers(1, 8).flatmap(
        lambda classes: st.lists(
            st.tuples(
                st.lists(st.integers(0, 3), min_size=classes, max_size=classes), st.integers(0, classes - 1)
            ),
            min_size=1,
            max_size=12,
        )
    )
)
@settings(deadline=None)
def test_the_counts_are_those_of_a_plain_loop(pairs):
    found = judged([s for s, _ in pairs], [t for _, t in pairs])
    right = top5 = ties = 0
    for scores, truth in pairs:
        others = [s for index, s in enumerate(scores) if index != truth]
        right += all(s < scores[truth] for s in others)
        top5 += sum(s >= scores[truth] for s in others) < 5
        ties += max(others, default=-1) == scores[truth]
    assert found.top1 == right / len(pairs)
    assert found.top5 == top5 / len(pairs)
    assert found.ties == ties
    assert found.images == found.confusion.sum() == len(pairs)
    assert np.trace(found.confusion) == right


def test_per_class_figures_are_those_of_the_textbook():
    confusion_of = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 0)]  # truth, said; nothing of class 2
    found = judged(
        [[float(said == i) for i in range(3)] for _, said in confusion_of], [t for t, _ in confusion_of]
    )
    a, b, c = found.per_class()
    assert (a["images"], a["recall"], a["precision"]) == (3, 2 / 3, 2 / 3)
    assert a["f1"] == pytest.approx(
        float(2 * Fraction(2, 3) * Fraction(2, 3) / (Fraction(2, 3) + Fraction(2, 3)))
    )
    assert (b["recall"], b["precision"], b["f1"]) == (1 / 2, 1 / 2, 1 / 2)
    assert c == {
        "label": "c", "images": 0, "recall": None, "recall_interval": None, "precision": None, "f1": None,
    }  # fmt: skip


def test_a_class_that_is_never_right_has_f1_zero():
    found = judged([[0.0, 1.0]], [0])
    assert [record["f1"] for record in found.per_class()] == [0, 0]


def test_the_figures_are_json():
    found = judged([[0.9, 0.1], [0.5, 0.5]], [0, 0]).as_dict()
    assert json.loads(json.dumps(found)) == found
    assert (found["images"], found["top1"], found["ties"]) == (2, 0.5, 1)


def test_scores_of_large_arrays_are_not_changed():
    scores = np.random.default_rng(0).random((100, 10)).astype(np.float32)
    before = scores.copy()
    metrics(scores, np.zeros(100, np.int64), tuple("abcdefghij"))
    np.testing.assert_array_equal(scores, before)


# Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3
@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons_as_published(right, total, low, high):
    assert wilson(right, total) == pytest.approx((low, high), abs=5e-5)
    assert wilson(total - right, total) == pytest.approx((1 - high, 1 - low), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_holds_the_share_and_lies_in_0_to_1(pair):
    right, total = pair
    low, high = wilson(right, total)
    assert 0 <= low <= right / total + 1e-12
    assert right / total - 1e-12 <= high <= 1


def test_the_interval_is_that_of_top1():
    found = judged([[0.9, 0.1]] * 15 + [[0.1, 0.9]] * 133, [0] * 148)
    assert found.interval == pytest.approx((0.0624, 0.1605), abs=5e-5)
