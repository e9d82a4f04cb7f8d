"""A few boxes in plain Python are, to the bit, what NumPy makes of them; the unusual is left to NumPy."""

from math import inf, nan

import numpy as np
import pytest

from edgecnn.image import View
from edgecnn.tasks.detection import _answers, decode, postprocessed
from edgecnn.tasks.detection.candidates import from_postprocess
from edgecnn.tasks.detection.settings import settings

VIEWS = (
    View((0.5, 0.5), (0.0, 8.0), (192, 96)),
    View((0.46875, 0.625), (0.3, -17.2), (641, 479)),
    View((3.1, 2.7), (0.0, 0.0), (31, 23)),
)


def outputs_of(boxes, classes, scores, count=None):
    count = len(scores) if count is None else count
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "classes": np.array(classes, np.float32),
        "scores": np.array(scores, np.float32),
        "count": np.array([count], np.float32),
    }


def both(outputs, view, card):
    """In plain Python, and in NumPy."""
    said = settings(card)
    few = postprocessed.answers(outputs, view, said, card.labels)
    return few, _answers(from_postprocess(outputs, said), view, said, card.labels)


def assert_same(few, usual):
    for name in ("xyxy", "score", "label_id", "ignored"):
        one, other = getattr(few, name), getattr(usual, name)
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
        assert not one.flags.writeable
    assert few.labels == usual.labels


@pytest.mark.parametrize("outputs", [outputs_of([], [], []), outputs_of([(0, 0, 1, 1)], [0], [0.2])])
def test_no_boxes_are_none_in_both(card_of, outputs):
    few, usual = both(outputs, VIEWS[0], card_of("postprocess"))
    assert_same(few, usual)
    assert len(few) == 0


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("label_base", [0, 1])
def test_a_hundred_random_frames_are_the_same_to_the_bit(card_of, view, label_base):
    card = card_of("postprocess", label_base=label_base, threshold=0.3, most=7)
    rng = np.random.default_rng(label_base)
    done = 0
    for _ in range(100):
        rows = int(rng.integers(1, 11))
        corner, size = rng.uniform(-0.2, 0.8, (rows, 2)), rng.uniform(0.1, 0.5, (rows, 2))
        boxes = np.concatenate([corner, corner + size], 1)
        scores = rng.integers(0, 256, rows) / 256  # many of 8 bits are equal, and some are the threshold
        scores[rng.random(rows) < 0.2] = np.float32(0.3)
        classes = rng.integers(0, 3, rows) + label_base
        few, usual = both(outputs_of(boxes, classes, scores, int(rng.integers(0, rows + 1))), view, card)
        if few is not None:
            assert_same(few, usual)
            done += 1
    assert done > 30


@pytest.mark.parametrize(
    "outputs",
    [
        outputs_of([(0, 0, 1, 1)], [0], [nan]),
        outputs_of([(0, 0, 1, 1)], [0], [1.2]),
        outputs_of([(0, 0, 1, 1)], [0.5], [0.9]),
        outputs_of([(0, 0, 1, 1)], [3], [0.9]),
        outputs_of([(0, 0, 1, 1)], [-1], [0.9]),
        outputs_of([(0, 0, 1, 1)], [nan], [0.9]),
        outputs_of([(0, 0, 1, 1)], [0], [0.9], 2),
        outputs_of([(0, 0, 1, 1)], [0], [0.9], 0.5),
        outputs_of([(0, 0, 1, 1)], [0], [0.9], nan),
        outputs_of([(0, nan, 1, 1)], [0], [0.9]),
        outputs_of([(0, 0, inf, 1)], [0], [0.9]),
        outputs_of([(0, 0, 1, 0)], [0], [0.9]),
        outputs_of([(2, 2, 3, 3)], [0], [0.9]),
        outputs_of([(0, 0, 1, 1)] * 65, [0] * 65, [0.9] * 65),
    ],
)
def test_the_unusual_is_left_to_numpy(card_of, outputs):
    card = card_of("postprocess")
    assert postprocessed.answers(outputs, VIEWS[0], settings(card), card.labels) is None


def test_boxes_that_shall_be_suppressed_are(card_of):
    outputs = outputs_of([(0, 0, 1, 1), (0, 0, 1, 0.99)], [0, 0], [0.9, 0.8])
    assert len(decode(outputs, VIEWS[0], card_of("postprocess"))) == 2
    assert len(decode(outputs, VIEWS[0], card_of("postprocess", nms="hard"))) == 1
