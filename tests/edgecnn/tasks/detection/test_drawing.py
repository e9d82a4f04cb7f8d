"""Boxes are drawn on a copy, in their label's colour, and nothing leaves the image."""

import itertools

import cv2
import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.results import Boxes, Classes
from edgecnn.tasks.detection import draw
from edgecnn.tasks.detection.drawing import color_of

LABELS = tuple(f"thing {number}" for number in range(90))


def boxes(*xyxy, label_id=None, score=None):
    count = len(xyxy)
    return Boxes(
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.full(count, 0.75) if score is None else score,
        np.arange(count) if label_id is None else label_id,
        LABELS,
    )


@pytest.mark.parametrize("shape", [(1, 1, 3), (48, 64, 3), (480, 640, 3)])
def test_without_boxes_the_image_stays_as_it_is(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    drawn = draw(image, boxes())
    assert (drawn == image).all()
    assert not np.shares_memory(drawn, image)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3), (200, 3, 3), (32, 32, 3), (480, 640, 3), (60, 80)])
def test_drawing_gives_a_copy_of_the_same_size(shape):
    image = np.full(shape, 128, np.uint8)
    high, wide = shape[:2]
    places = [(0, 0, wide, high), (wide / 2, high / 2, wide, high), (0, 0, 0, 0), (wide - 1, 0, wide, 1)]
    drawn = draw(image, boxes(*places, (-50, -50, wide + 900, high + 1e9)))
    assert drawn.shape == (*shape[:2], 3)
    assert drawn.dtype == np.uint8
    assert (image == 128).all()
    assert (drawn != 128).any()


def test_the_frame_lies_on_the_box_and_the_text_above_it():
    drawn = draw(np.zeros((480, 640, 3), np.uint8), boxes((200, 200, 400, 300), label_id=[4]))
    color = np.array(color_of(4))
    frame = (drawn == color).all(axis=2)
    rows, columns = np.nonzero(frame)
    assert columns.min() in (199, 200)
    assert columns.max() in (400, 401)
    assert rows.max() in (300, 301)
    assert 170 < rows.min() < 190
    assert not drawn[210:290, 210:390].any()
    assert not drawn[:160].any()


@pytest.mark.parametrize("corner", [(0, 0), (600, 0), (0, 460), (600, 460)])
def test_a_text_stays_whole_at_the_edges(corner):
    left, top = corner
    drawn = draw(np.zeros((480, 640, 3), np.uint8), boxes((left, top, left + 30, top + 15), label_id=[4]))
    middle = draw(np.zeros((480, 640, 3), np.uint8), boxes((300, 200, 330, 215), label_id=[4]))
    ink = [(one > 200).all(axis=2).sum() for one in (drawn, middle)]
    assert ink[0] == ink[1] > 30


def test_a_label_keeps_its_colour_and_neighbours_differ():
    assert color_of(3) == color_of(3)
    seen = [np.array(color_of(number), float) for number in range(12)]
    hues = [cv2.cvtColor(np.uint8([[one]]), cv2.COLOR_BGR2HSV)[0, 0, 0] for one in seen]
    for a, b in itertools.combinations(hues[:8], 2):
        assert min(abs(int(a) - int(b)), 180 - abs(int(a) - int(b))) >= 8  # 16 degrees


def test_the_best_box_lies_on_top():
    same = [(50, 50, 150, 150)] * 2
    drawn = draw(np.zeros((200, 200, 3), np.uint8), boxes(*same, label_id=[1, 2], score=[0.9, 0.5]))
    assert tuple(drawn[150, 100]) == color_of(1)


def test_lines_grow_with_the_image():
    def width(side):
        place = (side // 4, side // 2, side - side // 4, side - side // 4)
        drawn = draw(np.zeros((side, side, 3), np.uint8), boxes(place, label_id=[1]))
        return int(drawn[side - side // 4 - side // 10 :, side // 2].any(axis=1).sum())

    assert 1 <= width(100) < width(480) < width(1920) < 20


def test_only_boxes_can_be_drawn():
    with pytest.raises(DataError, match="detection wants Boxes, not Classes"):
        draw(np.zeros((8, 8, 3), np.uint8), Classes([1.0], ("a",)))
