"""The overlay: it shows age and staleness, counts who came and went, and changes no frame."""

import time

import numpy as np
import pytest

from edgecnn.results import Boxes, Classes
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.model import Timings
from edgecnn.runtime.outputs.overlay import Overlay
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.tracking.places import Line, Zone
from edgecnn.runtime.tracking.tracks import Tracks
from edgecnn.runtime.tracking.zones import Event
from edgecnn.runtime.watch.statistics import Statistics

NOTHING = Boxes(np.zeros((0, 4)), [], [], ("ball",))
ONE = Boxes([[100, 80, 200, 160]], [0.9], [0], ("ball",))


def statistics(max_age_ms=None):
    return Statistics(1, 1, 0, 0, 0, 1, {}, {"captured": 30.0, "results": 9.8}, {}, 1, max_age_ms)


def seen(result=NOTHING, *, age_ms=0.0, size_wh=(320, 240), tracks=None, shape=3):
    size = (size_wh[1], size_wh[0], 3) if shape == 3 else (size_wh[1], size_wh[0])
    image = np.full(size, 90, np.uint8)
    image.setflags(write=False)
    task = "classification" if isinstance(result, Classes) else "detection"
    frame = Frame(image, 0, time.monotonic() - age_ms / 1e3, "cam#0")
    return Seen(frame, task, result, Timings(1, 1, 1), time.monotonic(), tracks=tracks)


def written(monkeypatch):
    """Every text that is drawn from now on."""
    texts = []
    monkeypatch.setattr("cv2.putText", lambda canvas, text, *_: texts.append(text))
    return texts


@pytest.mark.parametrize("size_wh", [(1, 1), (17, 9), (320, 240), (1920, 1080)])
@pytest.mark.parametrize("result", [NOTHING, Classes((0.2, 0.8), ("a", "b"))])
def test_a_picture_keeps_its_size_and_the_corner_covers_little(result, size_wh):
    one = seen(result, size_wh=size_wh)
    picture = Overlay().draw(one, statistics())
    assert picture.shape == one.frame.image.shape
    if result is NOTHING and size_wh[0] >= 320:
        assert (picture != 90).any(2).mean() < 0.05


def test_rate_and_age_are_written(monkeypatch):
    texts = written(monkeypatch)
    Overlay().draw(seen(age_ms=112.0), statistics(max_age_ms=5000))
    (text,) = texts
    rate, age, unit = text.split()
    assert (rate, unit) == ("9.8/s", "ms")
    assert 112 <= int(age) < 400


def test_what_is_too_old_has_a_red_frame_and_says_stale(monkeypatch):
    texts = written(monkeypatch)
    picture = Overlay().draw(seen(age_ms=300.0), statistics(max_age_ms=200))
    assert "STALE" in texts[0]
    assert (picture[:, 0] == (40, 40, 230)).all()
    fresh = Overlay().draw(seen(age_ms=0.0), statistics(max_age_ms=5000))
    assert not (fresh[:, 0] == (40, 40, 230)).all(1).any()


def test_tracks_have_numbers_and_those_not_seen_a_grey_frame(monkeypatch):
    texts = written(monkeypatch)
    tracks = Tracks(Boxes([[100, 80, 200, 160], [10, 10, 60, 60]], [0.9, 0.8], [0, 0], ("ball",)),
                    [7, 12], np.zeros((2, 2)), 0.0, seen=[True, False])  # fmt: skip
    picture = Overlay().draw(seen(ONE, tracks=tracks), statistics())
    assert "#7" in texts
    assert "#12" not in texts
    assert (picture[10, 20:50] == 150).all()


def test_zones_and_lines_carry_their_counts(monkeypatch):
    overlay = Overlay(
        zones=[Zone("door", ((0.1, 0.1), (0.5, 0.1), (0.5, 0.9)))],
        lines=[Line("gate", (160, 0), (160, 239))],
    )
    for kind, name, direction in [
        ("enter", "door", None), ("enter", "door", None), ("leave", "door", None),
        ("cross", "gate", "forward"), ("cross", "gate", "backward"), ("cross", "gate", "forward"),
    ]:  # fmt: skip
        overlay.count([Event(0.0, kind, name, 1, "ball", direction)])
    texts = written(monkeypatch)
    picture = overlay.draw(seen(), statistics())
    assert {"door 1", "gate 2 | 1"} <= set(texts)
    assert (picture[120, 158:163] != 90).any()
    assert (picture[24, 60:120] != 90).any(), "the zone's upper edge, from fractions"
