"""Boxes of the original image, encoded by a test that reads only the contract, come back to 1e-3 pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.image import fit
from edgecnn.tasks.detection import decode

FORMS = [
    ("anchors", {}),
    ("anchors", {"scale_yxhw": [10, 5, 2, 3], "strides": [4, 16, 32], "anchor_px": [9, 30, 70]}),
    ("yolov8", {"boxes": "pixels"}),
    ("yolov8", {"boxes": "normalized", "scores": "logits"}),
    ("yolov5", {"boxes": "normalized"}),
    ("yolov5", {"boxes": "pixels", "scores": "logits"}),
    ("postprocess", {"label_base": 0}),
    ("postprocess", {"label_base": 1}),
]


@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("source_wh", [(96, 64), (640, 480), (50, 200), (333, 111)])
@pytest.mark.parametrize(("form", "options"), FORMS)
def test_boxes_come_back_where_they_were(card_of, encoded, form, options, source_wh, how):
    card = card_of(form, fit=how, nms="none", **options)
    _, view = fit(np.zeros((source_wh[1], source_wh[0], 3), np.uint8), card.input)
    rng = np.random.default_rng(7)
    # inside the part of the original that the model sees
    seen = view.to_source(np.array([[0, 0], [card.input.width, card.input.height]]))
    low, high = seen.clip(0, source_wh)
    places = low + np.sort(rng.uniform(0.02, 0.98, (12, 2, 2)), axis=1) * (high - low)
    wanted = places.reshape(12, 4)
    prepared = view.to_prepared(wanted.reshape(-1, 2)).reshape(-1, 4)
    labels, scores = rng.integers(0, 3, 12).tolist(), np.linspace(0.95, 0.4, 12).tolist()
    found = decode(encoded(card, prepared.tolist(), labels, scores), view, card)
    np.testing.assert_allclose(found.xyxy, wanted, atol=1e-3)
    np.testing.assert_allclose(found.score, scores, atol=1e-6)
    assert found.label_id.tolist() == labels
    assert found.labels == card.labels


@given(st.tuples(st.integers(1, 500), st.integers(1, 500)), st.sampled_from(["stretch", "letterbox", "crop"]),
       st.lists(st.integers(1, 99), min_size=4, max_size=4, unique=True))  # fmt: skip
@settings(max_examples=60)
def test_any_size_of_image_is_undone(card_of, encoded, source_wh, how, shares):
    card = card_of("yolov8", fit=how)
    _, view = fit(np.zeros((source_wh[1], source_wh[0]), np.uint8), card.input)
    (x1, x2), (y1, y2) = (np.sort(pair) / 100 for pair in (shares[:2], shares[2:]))
    seen = view.to_source(np.array([[0, 0], [card.input.width, card.input.height]]))
    low, high = seen.clip(0, source_wh)
    wanted = np.concatenate([low + (x1, y1) * (high - low), low + (x2, y2) * (high - low)])
    prepared = view.to_prepared(wanted.reshape(2, 2)).reshape(1, 4)
    found = decode(encoded(card, prepared.tolist(), [1], [0.9]), view, card)
    # a box that float32 keeps apart is there; its corners are as exact as float32 is
    assert len(found) == 1
    np.testing.assert_allclose(found.xyxy[0], wanted, atol=1e-3 * max(1, max(source_wh) / 96))
