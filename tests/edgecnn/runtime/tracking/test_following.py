import time

import numpy as np
import pytest

from edgecnn.card import Card, InputSpec
from edgecnn.errors import DataError
from edgecnn.results import Boxes, Classes
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.tracking.following import Following
from edgecnn.runtime.tracking.zones import Line

LABELS = ("ball", "cone")
CARD = Card(
    "m", "detection", InputSpec(64, 64), LABELS, {"predictions": "p"},
    {"decode": "yolov8", "boxes": "pixels", "scores": "probabilities", "threshold": 0.5},
)  # fmt: skip


def boxes(*rows):
    xyxy = np.array([row[:4] for row in rows], np.float32).reshape(-1, 4)
    return Boxes(xyxy, [row[4] for row in rows], np.zeros(len(rows), np.int64), LABELS)


def frame(number, time_s=None):
    return Frame(
        np.zeros((100, 200, 3), np.uint8), number, 10 + number / 30 if time_s is None else time_s, "f"
    )


def test_nothing_seen_is_nothing_followed():
    shown, tracks, events = Following(CARD).follow(frame(0), boxes())
    assert (len(shown), len(tracks.track_id), events) == (0, 0, ())


def test_only_detectors_can_be_followed():
    with pytest.raises(DataError, match="classification"):
        Following(Card("m", "classification", InputSpec(8, 8), LABELS))
    with pytest.raises(DataError, match="Classes"):
        Following(CARD).follow(frame(0), Classes([0, 1], LABELS))


def test_the_model_is_asked_for_more_than_is_shown():
    following = Following(CARD)
    assert following.asked == {"threshold": 0.1}
    shown, _, _ = following.follow(frame(0), boxes((10, 10, 30, 30, 0.9), (50, 10, 70, 30, 0.2)))
    assert [float(score) for score in shown.score] == [pytest.approx(0.9)]


def test_a_weak_box_keeps_a_thing_alive():
    following = Following(CARD)
    for number in range(4):
        _, tracks, _ = following.follow(frame(number), boxes((10, 10, 30, 30, 0.9)))
    (known,) = tracks.track_id
    for number in range(4, 60):
        shown, tracks, _ = following.follow(frame(number), boxes((10, 10, 30, 30, 0.2)))
    assert len(shown) == 0
    assert tracks.track_id.tolist() == [known]


def test_a_new_threshold_changes_what_is_shown_and_asked():
    following = Following(CARD)
    assert following.adjust(threshold=0.1, iou=0.3) == {"threshold": pytest.approx(0.05), "iou": 0.3}
    shown, _, _ = following.follow(frame(0), boxes((50, 10, 70, 30, 0.2)))
    assert len(shown) == 1


def test_frames_of_one_moment_do_no_harm():
    following = Following(CARD)
    now = time.monotonic()
    for number in range(3):
        _, tracks, _ = following.follow(frame(number, now), boxes((10, 10, 30, 30, 0.9)))
    assert len(tracks.track_id) == 1


def test_a_crossing_is_told_once():
    following = Following(CARD, lines=[Line("gate", (100, 0), (100, 100))])
    told = []
    for number in range(40):
        left = 40 + 3 * number
        told += following.follow(frame(number), boxes((left, 40, left + 20, 60, 0.9)))[2]
    assert [(event.kind, event.name, event.label) for event in told] == [("cross", "gate", "ball")]


def test_a_zone_outside_the_frame_is_a_trouble_that_passes():
    following = Following(CARD, lines=[Line("gate", (100, 0), (100, 100))])
    small = Frame(np.zeros((40, 50, 3), np.uint8), 0, 10.0, "f")
    shown, _, events = following.follow(small, boxes((10, 10, 30, 30, 0.9)))
    assert (len(shown), events) == (1, ())
    assert "gate" in following.trouble
    following.follow(frame(1), boxes((10, 10, 30, 30, 0.9)))
    assert following.trouble is None


def test_a_new_threshold_keeps_the_numbers():
    following = Following(CARD)
    for number in range(3):
        _, before, _ = following.follow(frame(number), boxes((10, 10, 30, 30, 0.9)))
    following.adjust(threshold=0.3)
    _, after, _ = following.follow(frame(3), boxes((10, 10, 30, 30, 0.9)))
    assert after.track_id.tolist() == before.track_id.tolist()
