"""Outputs become boxes by the definition, and whatever does not fit the card is refused in words."""

import math
import warnings
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.card import from_json, to_json
from edgecnn.errors import CardError, ModelError
from edgecnn.image import View
from edgecnn.results import Boxes
from edgecnn.tasks import TASKS, detection
from edgecnn.tasks.detection import JUDGING, anchors, decode, roles

VIEW = View((0.5, 0.5), (0.0, 8.0), (192, 96))  # 192 x 96, letterboxed into 96 x 64
DECODES = ("anchors", "centroids", "postprocess", "yolov8", "yolov5")


def test_detection_is_a_task():
    assert TASKS["detection"] is detection
    assert JUDGING == {"threshold": 0.01, "most": 300}


# nothing there


@pytest.mark.parametrize("threshold", [0.3, 0.01])
@pytest.mark.parametrize("form", DECODES)
def test_nothing_likely_is_no_boxes(card_of, encoded, form, threshold):
    card = card_of(form, threshold=threshold)
    outputs = (
        {"scores": np.full((8, 12, 3), -30, np.float32)} if form == "centroids" else encoded(card, [], [], [])
    )
    found = decode(outputs, VIEW, card)
    assert isinstance(found, Boxes)
    assert found.xyxy.shape == (0, 4)
    assert found.labels == card.labels


@pytest.mark.parametrize(
    ("form", "shapes"),
    [
        ("postprocess", {"boxes": (0, 4), "classes": (0,), "scores": (0,), "count": (1,)}),
        ("yolov8", {"predictions": (7, 0)}),
        ("yolov8", {"predictions": (0, 7)}),
        ("yolov5", {"predictions": (0, 8)}),
    ],
)
def test_outputs_without_rows_are_no_boxes(card_of, form, shapes):
    outputs = {role: np.zeros(shape, np.float32) for role, shape in shapes.items()}
    assert len(decode(outputs, VIEW, card_of(form))) == 0


# roles and options


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"decode": "anchors"}, ("boxes", "scores")),
        ({"decode": "centroids"}, ("scores",)),
        ({"decode": "postprocess"}, ("boxes", "classes", "scores", "count")),
        ({"decode": "postprocess", "count": False}, ("boxes", "classes", "scores")),
        ({"decode": "yolov8"}, ("predictions",)),
        ({"decode": "yolov5"}, ("predictions",)),
    ],
)
def test_roles_follow_the_option_decode(options, wanted):
    assert roles(options) == wanted


@pytest.mark.parametrize(
    ("form", "options", "message"),
    [
        ("yolov9", {}, "decode must be one of anchors, centroids, postprocess, yolov8, yolov5, not 'yolov9'"),
        (
            "anchors",
            {"treshold": 0.4},
            "with decode anchors has no option 'treshold'; it has decode, threshold",
        ),
        ("yolov8", {"strides": [8]}, "decode yolov8 has no option 'strides'"),
        ("anchors", {"threshold": 1.5}, r"threshold must be a number in 0..1, not 1.5"),
        ("anchors", {"threshold": nan}, "threshold must be a number in 0..1, not nan"),
        ("anchors", {"threshold": "0.4"}, "threshold must be a number in 0..1, not '0.4'"),
        ("anchors", {"threshold": True}, "threshold must be a number in 0..1, not True"),
        ("anchors", {"iou": -0.1}, "iou must be a number in 0..1, not -0.1"),
        ("anchors", {"most": 0}, "most must be a whole number in 1..300, not 0"),
        ("anchors", {"most": 301}, "most must be a whole number in 1..300, not 301"),
        ("anchors", {"most": 10.5}, "most must be a whole number in 1..300, not 10.5"),
        ("anchors", {"nms": "fast"}, "nms must be one of hard, soft, none, not 'fast'"),
        ("anchors", {"scores": "log"}, "scores must be one of logits, probabilities, not 'log'"),
        ("anchors", {"strides": []}, r"strides must be a list of numbers above 0, not \(\)"),
        ("anchors", {"strides": 8}, "strides must be a list of numbers above 0, not 8"),
        ("anchors", {"strides": [8, "16"]}, "strides must be a list of numbers above 0"),
        ("anchors", {"strides": [16, 8]}, r"strides must be whole numbers, ascending, .* not \[16.0, 8.0\]"),
        ("anchors", {"strides": [8.5, 16]}, "strides must be whole numbers, ascending"),
        ("anchors", {"anchor_px": [20]}, "anchor_px has 1 sides for 2 strides"),
        ("anchors", {"anchor_px": [20, inf]}, "anchor_px must be a list of numbers above 0"),
        ("anchors", {"scale_yxhw": [4, 4, 1]}, r"scale_yxhw must be four numbers, .* not \[4.0, 4.0, 1.0\]"),
        ("anchors", {"scale_yxhw": [4, 4, 0, 1]}, "scale_yxhw must be a list of numbers above 0"),
        (
            "anchors",
            {"scale_yxhw": {"y": 4}},
            "scale_yxhw must be a number, a word or a list of them, not dict",
        ),
        ("centroids", {"stride": 0}, "stride must be a whole number in 1..96, not 0"),
        ("postprocess", {"label_base": 2}, "label_base must be a whole number in 0..1, not 2"),
        ("postprocess", {"count": 1}, "count must be one of True, False, not 1"),
        ("yolov8", {"boxes": "xyxy"}, "boxes must be one of pixels, normalized, not 'xyxy'"),
        ("yolov5", {"boxes": None}, "boxes must be one of pixels, normalized, not None"),
        ("anchors", {"labels": ()}, "must name its labels"),
    ],
)
def test_an_option_with_another_value_is_refused(card_of, form, options, message):
    with pytest.raises(CardError, match=rf"^m: .*{message}"):
        decode({}, VIEW, card_of(form, **options))


@pytest.mark.parametrize("missing", ["strides", "anchor_px"])
def test_anchors_must_be_said(card_of, missing):
    with pytest.raises(CardError, match=f"m: option {missing} must be a list of numbers above 0, not None"):
        anchors(card_of("anchors", without=(missing,)))


def test_a_card_must_say_how_it_is_read(card_of):
    with pytest.raises(
        CardError, match="m: a detector's card must say how its outputs are read: decode is anchors, "
    ):
        decode({}, VIEW, card_of("anchors", without=("decode",)))


def test_a_card_that_was_written_and_read_means_the_same(card_of):
    card = card_of("anchors", threshold=0.25)
    np.testing.assert_array_equal(anchors(card), anchors(from_json(to_json(card), "there")))


def test_numbers_of_numpy_are_numbers(card_of):
    card = card_of("anchors", threshold=np.float32(0.25), most=np.int64(7), anchor_px=(np.float32(20), 45))
    assert len(anchors(card)) == 12 * 8 + 6 * 4


def test_another_threshold_is_not_taken_for_the_one_before(card_of, encoded):
    card = card_of("yolov8")
    outputs = encoded(card, [(10, 10, 20, 20)], [0], [0.5])
    for threshold, wanted in ((0.4, 1), (0.6, 0), (0.4, 1)):
        card.options["threshold"] = threshold  # a card is not to be changed; it would be noticed all the same
        assert len(decode(outputs, VIEW, card)) == wanted


# anchors


@pytest.mark.parametrize(
    ("size_wh", "cells"), [((96, 64), 12 * 8 + 6 * 4), ((97, 65), 13 * 9 + 7 * 5), ((1, 1), 2)]
)
def test_anchors_lie_level_by_level_row_by_row(card_of, size_wh, cells):
    found = anchors(card_of("anchors", size_wh=size_wh))
    assert found.dtype == np.float32
    wanted = [
        ((column + 0.5) * stride, (row + 0.5) * stride, side)
        for stride, side in ((8, 20), (16, 45.5))
        for row in range(math.ceil(size_wh[1] / stride))
        for column in range(math.ceil(size_wh[0] / stride))
    ]
    assert found.tolist() == [list(one) for one in wanted]
    assert len(found) == cells


def test_only_anchors_have_anchors(card_of):
    with pytest.raises(CardError, match="m: decode yolov8 has no anchors"):
        anchors(card_of("yolov8"))


def definition(outputs, view, card):
    """Decode with anchors as the contract says, box by box."""
    options = {"threshold": 0.3, "iou": 0.6, "most": 300, **card.options}
    sy, sx, sh, sw = options["scale_yxhw"]
    found = []
    for (x, y, side), code, raw in zip(
        anchors(card).tolist(), outputs["boxes"].tolist(), outputs["scores"].tolist(), strict=True
    ):
        cy, cx = y + code[0] / sy * side, x + code[1] / sx * side
        h, w = side * math.exp(code[2] / sh), side * math.exp(code[3] / sw)
        corners = view.to_source([[cx - w / 2, cy - h / 2], [cx + w / 2, cy + h / 2]]).reshape(4).tolist()
        for label, logit in enumerate(raw):
            score = float(np.float32(1 / (1 + math.exp(-logit))))
            if score >= np.float32(options["threshold"]):
                found.append((score, label, corners))
    found.sort(key=lambda one: -one[0])
    kept = []
    for score, label, (x1, y1, x2, y2) in found:
        width, height = view.source_wh
        seen = [min(max(v, 0), limit) for v, limit in zip((x1, y1, x2, y2), (width, height) * 2, strict=True)]
        if not (np.float32(seen[2]) > np.float32(seen[0]) and np.float32(seen[3]) > np.float32(seen[1])):
            continue
        for _, other, (a1, b1, a2, b2), _ in kept:
            shared = max(min(x2, a2) - max(x1, a1), 0) * max(min(y2, b2) - max(y1, b1), 0)
            union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - shared
            if other == label and shared > options["iou"] * union:
                break
        else:
            kept.append((score, label, (x1, y1, x2, y2), seen))
    return kept[: options["most"]]


@pytest.mark.parametrize("iou", [0.3, 0.6])
@pytest.mark.parametrize(
    ("likely", "coarse", "most"), [(-3, False, 300), (-1, True, 300), (0, True, 7), (1, False, 40)]
)
def test_anchors_are_read_as_the_contract_says(card_of, likely, coarse, most, iou):
    rng = np.random.default_rng(most)
    card = card_of("anchors", most=most, iou=iou)
    raw = rng.normal(likely, 1.5, (120, 3))
    raw = np.round(raw * 4) / 4 if coarse else raw  # as int8 gives them: many are equal
    outputs = {"boxes": rng.normal(0, 1, (120, 4)).astype(np.float32), "scores": raw.astype(np.float32)}
    found, wanted = decode(outputs, VIEW, card), definition(outputs, VIEW, card)
    assert len(found) == len(wanted) > 5
    np.testing.assert_allclose(found.xyxy, [one[3] for one in wanted], atol=1e-4)
    np.testing.assert_allclose(found.score, [one[0] for one in wanted], rtol=1e-6)
    assert found.label_id.tolist() == [one[1] for one in wanted]


# scores


@pytest.mark.parametrize("form", ["anchors", "yolov8", "yolov5", "postprocess"])
@pytest.mark.parametrize("score", [0.001, 0.25, 0.3, 0.7, 0.9999])
def test_a_score_equal_to_the_threshold_is_an_answer(card_of, encoded, form, score):
    lenient = card_of(form, threshold=0.0)
    outputs = encoded(lenient, [(10, 12, 40, 40)], [1], [score])
    exact = float(decode(outputs, VIEW, lenient).score[0])
    for threshold, wanted in ((exact, 1), (float(np.nextafter(np.float32(exact), np.float32(1))), 0)):
        assert (decode(outputs, VIEW, card_of(form, threshold=threshold)).score >= exact).sum() == wanted


@given(st.floats(-120, 120, width=32), st.floats(0, 1))
@settings(max_examples=100)
def test_comparing_logits_answers_as_comparing_probabilities(card_of, raw, threshold):
    card = card_of("anchors", size_wh=(8, 8), strides=[8], anchor_px=[8], labels=("a",), threshold=threshold)
    outputs = {"boxes": np.zeros((1, 4), np.float32), "scores": np.array([[raw]], np.float32)}
    found = decode(outputs, View((1.0, 1.0), (0.0, 0.0), (8, 8)), card)
    score = np.float32(1 / (1 + math.exp(-raw)))
    assert len(found) == (score >= np.float32(threshold))


def test_of_more_than_a_thousand_the_best_are_looked_at_and_of_equal_ones_the_first(card_of):
    card = card_of("yolov8", size_wh=(8192, 8), labels=("a",), nms="none", threshold=0.1, fit="stretch")
    view = View((1.0, 1.0), (0.0, 0.0), (8192, 8))
    rows = np.tile(np.array([0, 4, 2, 2, 0.5], np.float32), (2000, 1))
    rows[:, 0] = np.arange(2000) * 4 + 2
    rows[1500:1600, 4] = 0.75
    found = decode({"predictions": rows}, view, card)
    assert len(found) == 300
    assert (found.xyxy[:, 0] // 4).tolist() == [*range(1500, 1600), *range(200)]
    # with equal boxes, suppression shows how many were looked at
    rows[:, :2] = (50, 4)
    rows[-1, :2] = (90, 4)
    assert (
        len(decode({"predictions": rows}, view, replace(card, options={**card.options, "nms": "hard"}))) == 1
    )


@pytest.mark.parametrize("most", [1, 5, 300])
@pytest.mark.parametrize("nms", ["hard", "soft", "none"])
def test_never_more_than_most(card_of, nms, most):
    rng = np.random.default_rng(0)
    card = card_of("anchors", size_wh=(320, 320), most=most, nms=nms, threshold=0.01)
    n = len(anchors(card))
    outputs = {"boxes": rng.normal(0, 0.2, (n, 4)), "scores": rng.normal(0, 2, (n, 3))}
    found = decode(outputs, View((1, 1), (0, 0), (320, 320)), card)
    assert len(found) == most
    assert (np.diff(found.score) <= 0).all()
    assert (found.score >= 0.01).all()


@pytest.mark.parametrize("form", ["anchors", "yolov8", "yolov5"])
def test_what_slightly_leaves_the_range_of_probabilities_is_clipped(card_of, encoded, form):
    card = card_of(form, scores="probabilities")
    outputs = encoded(card, [(10, 12, 40, 40)], [1], [0.5])
    outputs = {
        role: np.where(found == 0, -0.01, found) if role != "boxes" else found
        for role, found in outputs.items()
    }
    key = "scores" if form == "anchors" else "predictions"
    scores = outputs[key].T if form == "yolov8" else outputs[key]
    scores[scores <= -20] = 0
    scores[0, -1] = 1.02
    found = decode(outputs, VIEW, card)
    assert found.score.max() <= 1
    scores[0, -1] = 1.3
    with pytest.raises(
        CardError, match=r"m: a score is 1.3, but probabilities lie in 0..1. Set the card's option scores"
    ):
        decode(outputs, VIEW, card)


# boxes


def test_boxes_are_clipped_to_the_image_and_those_outside_it_are_no_answers(card_of, encoded):
    card = card_of("yolov8", nms="none")
    # the image lies at y 8..56 of the prepared one
    places = [
        (-20, 0, 30, 30),
        (5, 0, 20, 7),
        (5, 56, 20, 64),
        (100, 10, 120, 20),
        (40, 20, 40, 30),
        (60, 30, 50, 20),
    ]
    found = decode(encoded(card, places, [0] * 6, [0.9] * 6), VIEW, card)
    assert found.xyxy.tolist() == [[0, 0, 60, 44]]


@pytest.mark.parametrize("nms", ["hard", "none"])
def test_suppression_is_by_label_and_may_be_left_out(card_of, encoded, nms):
    card = card_of("yolov8", nms=nms)
    places = [(10, 10, 40, 40), (11, 10, 41, 40), (10, 10, 40, 40)]
    found = decode(encoded(card, places, [0, 0, 1], [0.9, 0.8, 0.7]), VIEW, card)
    assert found.label_id.tolist() == ([0, 1] if nms == "hard" else [0, 0, 1])


def test_soft_suppression_lowers_scores_instead(card_of, encoded):
    card = card_of("yolov8", nms="soft", threshold=0.1)
    places = [(10, 10, 40, 40), (10, 10, 40, 40), (10, 10, 40, 40), (60, 40, 70, 50)]
    found = decode(encoded(card, places, [0, 0, 1, 0], [0.9, 0.8, 0.7, 0.6]), VIEW, card)
    assert found.label_id.tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(found.score, [0.9, 0.7, 0.6, 0.8 * math.exp(-2)], rtol=1e-6)


def test_what_was_suppressed_in_the_graph_is_not_suppressed_again(card_of, encoded):
    card = card_of("postprocess")
    outputs = encoded(card, [(10, 10, 40, 40)] * 2, [0, 0], [0.9, 0.8])
    assert len(decode(outputs, VIEW, card)) == 2
    assert len(decode(outputs, VIEW, replace(card, options={**card.options, "nms": "hard"}))) == 1


@pytest.mark.parametrize("bad", [inf, -inf, 3e38, -3e38])
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("form", ["anchors", "yolov8", "yolov5", "postprocess"])
def test_the_largest_numbers_overflow_nothing(card_of, encoded, form, place, bad):
    card = card_of(form)
    outputs = encoded(card, [(10, 12, 40, 40), (12, 12, 44, 40)], [1, 1], [0.5, 0.6])
    codes = outputs["boxes"] if "boxes" in outputs else outputs["predictions"]
    codes = codes.T if form == "yolov8" else codes
    codes[: len(codes) if form == "anchors" else 1, place] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = decode(outputs, VIEW, card)
    assert np.isfinite(found.xyxy).all()
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= (192, 96, 192, 96)).all()


@pytest.mark.parametrize("form", ["anchors", "yolov8", "yolov5", "postprocess"])
@pytest.mark.parametrize("where", ["box", "score"])
def test_what_is_no_number_is_an_error_and_no_box(card_of, encoded, form, where):
    card = card_of(form)
    outputs = encoded(card, [(10, 12, 40, 40)], [1], [0.9])
    if "predictions" in outputs:
        rows = outputs["predictions"].T if form == "yolov8" else outputs["predictions"]
        rows[0, 0 if where == "box" else 5] = nan
    else:
        found = outputs["boxes" if where == "box" else "scores"]
        found[: 1 if form == "postprocess" else None] = nan
    message = r"boxes are not numbers \(NaN\)" if where == "box" else "scores are not finite"
    with pytest.raises(ModelError, match=f"^m: {message}"):
        decode(outputs, VIEW, card)


def test_infinitely_likely_is_damage_and_infinitely_unlikely_is_not(card_of, encoded):
    card = card_of("anchors")
    outputs = encoded(card, [], [], [])
    outputs["scores"][:] = -inf
    assert len(decode(outputs, VIEW, card)) == 0
    outputs["scores"][5, 1] = inf
    with pytest.raises(ModelError, match="m: scores are not finite"):
        decode(outputs, VIEW, card)


# shapes


@pytest.mark.parametrize(
    ("form", "shapes", "message"),
    [
        ("anchors", {"boxes": (119, 4), "scores": (119, 3)},
         r"96 x 64 pixels with strides \[8, 16\] and 3 labels give \(120, 4\) and \(120, 3\)"),
        ("anchors", {"boxes": (120, 4), "scores": (120, 4)},
         r"boxes \(120, 4\) and scores \(120, 4\) came out"),
        ("anchors", {"boxes": (120, 3), "scores": (120, 3)},
         "The card belongs to another model, or its roles are mixed up"),
        ("anchors", {"boxes": (480,), "scores": (360,)}, "came out"),
        ("centroids", {"scores": (12, 8, 3)},
         r"scores \(12, 8, 3\) came out, but 96 x 64 pixels with stride 8 and 3 labels give \(8, 12, 3\)"),
        ("postprocess", {"boxes": (5, 4), "classes": (5,), "scores": (4,)},
         r"they must be \(n, 4\), \(n,\) and \(n,\)"),
        ("postprocess", {"boxes": (4,), "classes": (5, 4), "scores": (5,)}, "roles are mixed up"),
        ("yolov8", {"predictions": (84, 2100)},
         r"but 3 labels give \(7, n\) or \(n, 7\). Give 80 or 2096 labels, or another decode"),
        ("yolov8", {"predictions": (7,)}, "Another decode reads this model"),
        ("yolov5", {"predictions": (7, 100)}, r"but 3 labels give \(n, 8\). Give 2 or 95 labels"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_the_card_are_refused(card_of, form, shapes, message):
    outputs = {role: np.zeros(shape, np.float32) for role, shape in shapes.items()}
    with pytest.raises(CardError, match=f"^m: .*{message}"):
        decode(outputs, VIEW, card_of(form))


# the operator's outputs


@pytest.mark.parametrize("base", [0, 1])
def test_class_numbers_start_where_the_card_says(card_of, encoded, base):
    card = card_of("postprocess", label_base=base)
    found = decode(encoded(card, [(10, 10, 40, 40)], [2], [0.9]), VIEW, card)
    assert found.label_id.tolist() == [2]


@pytest.mark.parametrize(
    ("base", "number", "message"),
    [
        (
            0,
            3,
            r"class 3, but 3 labels with label_base 0 are numbered 0..2. Set the option label_base to 1 if ",
        ),
        (
            1,
            0,
            r"class 0, but 3 labels with label_base 1 are numbered 1..3. Set the option label_base to 0 if ",
        ),
        (0, 89, "class 89, but 3 labels .* Give a label file with a line for every class"),
        (1, 4, "class 4, but 3 labels .* Give a label file"),
        (0, -1, "class -1, but 3 labels .* Give a label file"),
        (0, 0.53, "class 0.53 is no whole number. The card's roles are mixed up"),
        (0, 1e30, "class 1e"),
    ],
)
def test_a_class_without_a_label_is_refused_with_advice(card_of, encoded, base, number, message):
    card = card_of("postprocess", label_base=base)
    outputs = encoded(card, [(10, 10, 40, 40)], [0], [0.9])
    outputs["classes"][0] = number
    with pytest.raises(CardError, match=f"^m: {message}"):
        decode(outputs, VIEW, card)


def test_an_unlikely_class_without_a_label_does_not_matter(card_of, encoded):
    card = card_of("postprocess")
    outputs = encoded(card, [(10, 10, 40, 40), (10, 10, 40, 40)], [0, 0], [0.9, 0.1])
    outputs["classes"][1] = 55
    assert len(decode(outputs, VIEW, card)) == 1


@pytest.mark.parametrize("count", [[2.0], 2.0, [[2.0]]])
def test_a_count_may_have_any_shape(card_of, encoded, count):
    card = card_of("postprocess")
    outputs = encoded(card, [(10, 10, 40, 40)] * 3, [0] * 3, [0.9] * 3)
    assert len(decode({**outputs, "count": np.array(count, np.float32)}, VIEW, card)) == 2


def test_without_a_count_every_row_is_valid(card_of, encoded):
    card = card_of("postprocess", count=False)
    outputs = encoded(card, [(10, 10, 40, 40)] * 3, [0] * 3, [0.9] * 3)
    valid = {role: found[:3] for role, found in outputs.items() if role != "count"}
    assert len(decode(valid, VIEW, card)) == 3


@pytest.mark.parametrize("count", [[5.0], [-1.0], [0.87], [0.9, 0.8]])
def test_a_count_that_is_none_is_refused(card_of, encoded, count):
    card = card_of("postprocess")
    outputs = encoded(card, [(10, 10, 40, 40)] * 3, [0] * 3, [0.9] * 3)
    with pytest.raises(
        CardError, match=r"m: count says .*, but there are 4 rows. The card's roles are mixed up"
    ):
        decode({**outputs, "count": np.array(count, np.float32)}, VIEW, card)


# hostile


SHAPES = {
    "anchors": {"boxes": (120, 4), "scores": (120, 3)},
    "postprocess": {"boxes": (10, 4), "classes": (10,), "scores": (10,), "count": (1,)},
    "yolov8": {"predictions": (7, 40)},
    "yolov5": {"predictions": (40, 8)},
    "centroids": {"scores": (8, 12, 3)},
}


def outcome(outputs, card):
    """The boxes, or what the error says."""
    try:
        return decode(outputs, VIEW, card)
    except (CardError, ModelError) as error:
        return str(error)


@given(
    form=st.sampled_from(DECODES),
    nms=st.sampled_from(["hard", "soft", "none"]),
    most=st.integers(1, 300),
    threshold=st.sampled_from([0.0, 0.01, 0.5]),
    seed=st.integers(0, 2**32 - 1),
    spread=st.sampled_from([0.3, 1, 30, 1e20, 3e38]),
    strange=st.sampled_from([0, 0, 0.01]),
    sound=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_whatever_comes_out_is_a_result_or_an_error_in_words(
    card_of, form, nms, most, threshold, seed, spread, strange, sound
):
    card = card_of(form, nms=nms, most=most, threshold=threshold)
    rng = np.random.default_rng(seed)
    outputs = {}
    for role, shape in SHAPES[form].items():
        found = rng.uniform(-1, 1, shape) * spread
        if sound and role in ("predictions", "scores"):
            found = np.abs(found) % 1
        found[rng.random(shape) < strange] = rng.choice([nan, inf, -inf])
        outputs[role] = found.astype(np.float32)
    if form == "postprocess" and sound:
        outputs |= {"classes": rng.integers(0, 3, 10).astype(np.float32), "count": np.array([10], np.float32)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = outcome(outputs, card)
    if sound and not strange:
        assert isinstance(found, Boxes), found
    if isinstance(found, str):
        assert found.startswith("m: ")
        return
    assert len(found) <= most
    assert ((found.score >= threshold) & (found.score <= 1)).all()
    assert (found.xyxy[:, 2:] > found.xyxy[:, :2]).all()
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= (192, 96, 192, 96)).all()


def test_outputs_are_not_changed(card_of):
    rng = np.random.default_rng(0)
    card = card_of("anchors")
    outputs = {"boxes": rng.normal(0, 1, (120, 4)), "scores": rng.normal(0, 1, (120, 3))}
    before = {role: found.copy() for role, found in outputs.items()}
    for found in outputs.values():
        found.setflags(write=False)
    decode(outputs, VIEW, card)
    assert all(np.array_equal(outputs[role], before[role]) for role in outputs)
