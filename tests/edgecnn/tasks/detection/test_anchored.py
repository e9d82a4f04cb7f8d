"""Of stored values the same boxes come as of the real numbers they stand for, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.errors import CardError
from edgecnn.image import View
from edgecnn.tasks.detection import decode, decoder
from edgecnn.tasks.stored import Steps, real

VIEW = View((0.37, 0.41), (1.5, 8.25), (250, 117))
CELLS = 12 * 8 + 6 * 4  # of the fixture's card


def steps_of(dtype, *, scale, zero_point=0):
    stored = np.arange(256, dtype=np.uint8).view(dtype)
    return Steps(
        np.dtype(dtype), (stored.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale)
    )


def bits(boxes):
    return [(a.dtype, a.shape, a.tobytes()) for a in (boxes.xyxy, boxes.score, boxes.label_id, boxes.ignored)]


def same(card, stored, steps):
    """The boxes; found from stored values of either role or both, and alike each time."""
    numbers = real(stored, steps)
    wanted = decode(numbers, VIEW, card)
    for roles in (("boxes", "scores"), ("boxes",), ("scores",)):
        mixed = {role: stored[role] if role in roles else numbers[role] for role in stored}
        found = decoder(card, {role: steps[role] for role in roles})(mixed, VIEW)
        assert bits(found) == bits(wanted), roles
    return wanted


@pytest.mark.parametrize("threshold", [0.3, 0.01, 1.0])
def test_nothing_likely_is_no_boxes(card_of, threshold):
    stored = {"boxes": np.zeros((CELLS, 4), np.int8), "scores": np.full((CELLS, 3), -128, np.int8)}
    steps = {"boxes": steps_of("int8", scale=0.02), "scores": steps_of("int8", scale=0.1)}
    assert len(same(card_of("anchors", threshold=threshold), stored, steps)) == 0


@given(
    dtype=st.sampled_from(["int8", "uint8"]),
    scores=st.sampled_from(["logits", "probabilities"]),
    threshold=st.sampled_from([0.0, 0.01, 0.3, 0.5, 1.0]) | st.floats(0, 1),
    nms=st.sampled_from(["hard", "soft", "none"]),
    scale=st.sampled_from([0.003, 0.05, 0.3, 4.0]),
    zero_point=st.integers(0, 255),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_stored_values_mean_the_same_boxes(card_of, dtype, scores, threshold, nms, scale, zero_point, seed):
    card = card_of("anchors", scores=scores, threshold=threshold, nms=nms, scale_yxhw=[3, 3, 1, 1.5])
    rng, low = np.random.default_rng(seed), np.iinfo(dtype).min
    stored = {
        role: np.clip(np.rint(rng.normal(128, 40, (CELLS, columns))) + low, low, low + 255).astype(dtype)
        for role, columns in (("boxes", 4), ("scores", 3))
    }
    of_scores = (scale, zero_point + low) if scores == "logits" else (1 / 256, low)
    steps = {
        role: steps_of(dtype, scale=one[0], zero_point=one[1])
        for role, one in (("boxes", (scale, zero_point + low)), ("scores", of_scores))
    }
    same(card, stored, steps)


def test_of_more_than_a_thousand_ties_the_same_are_looked_at(card_of):
    card = card_of("anchors", size_wh=(320, 256), labels=("a", "b"), nms="none", threshold=0.01)
    cells = 40 * 32 + 20 * 16
    rng = np.random.default_rng(0)
    stored = {
        "boxes": rng.integers(-40, 40, (cells, 4)).astype(np.int8),
        "scores": rng.integers(0, 4, (cells, 2)).astype(np.int8),
    }
    steps = {"boxes": steps_of("int8", scale=0.02), "scores": steps_of("int8", scale=0.1)}
    assert len(same(card, stored, steps)) > 100


@pytest.mark.parametrize("high", [127, 100])
def test_of_probabilities_only_what_is_there_must_be_one(card_of, high):
    card = card_of("anchors", scores="probabilities")
    stored = {"boxes": np.zeros((CELLS, 4), np.int8), "scores": np.full((CELLS, 3), high, np.int8)}
    steps = {"boxes": steps_of("int8", scale=0.02), "scores": steps_of("int8", scale=0.01)}
    for read, outputs in ((decoder(card), real(stored, steps)), (decoder(card, steps), stored)):
        if high == 127:
            with pytest.raises(CardError, match=r"a score is 1\.27, but probabilities lie in 0\.\.1"):
                read(outputs, VIEW)
        else:
            assert (read(outputs, VIEW).score == 1).all()


@pytest.mark.parametrize("shapes", [((CELLS, 3), (CELLS, 4)), ((CELLS - 1, 4), (CELLS - 1, 3))])
def test_shapes_that_do_not_fit_the_card_are_refused(card_of, shapes):
    stored = {role: np.zeros(shape, np.int8) for role, shape in zip(("boxes", "scores"), shapes, strict=True)}
    steps = {role: steps_of("int8", scale=0.1) for role in stored}
    with pytest.raises(CardError, match=r"^m: boxes .* The card belongs to another model"):
        decoder(card_of("anchors"), steps)(stored, VIEW)


def test_an_option_that_cannot_be_is_refused_before_the_first_image(card_of):
    with pytest.raises(CardError, match=r"^m: option threshold"):
        decoder(card_of("anchors", threshold=2))


@pytest.mark.parametrize("form", ["yolov8", "postprocess", "centroids"])
def test_other_forms_read_stored_values_too(card_of, form):
    card = card_of(form, threshold=0.1, **({"boxes": "normalized"} if form == "yolov8" else {}))
    rng = np.random.default_rng(1)
    shapes = {
        "yolov8": {"predictions": (7, 40)},
        "postprocess": {"boxes": (10, 4), "classes": (10,), "scores": (10,), "count": (1,)},
        "centroids": {"scores": (8, 12, 3)},
    }[form]
    stored = {role: rng.integers(0, 256, shape).astype(np.uint8) for role, shape in shapes.items()}
    scales = {"predictions": 1 / 256, "classes": 1.0, "count": 1.0}
    if form == "postprocess":
        stored |= {"classes": np.arange(10, dtype=np.uint8) % 3, "count": np.array([9], np.uint8)}
    steps = {role: steps_of("uint8", scale=scales.get(role, 1 / 256)) for role in stored}
    found = decoder(card, steps)(stored, VIEW)
    assert bits(found) == bits(decode(real(stored, steps), VIEW, card))
    assert len(found)
