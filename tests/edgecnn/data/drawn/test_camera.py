"""The drawn drive as a camera: the same for the same word, in real time or as fast as possible."""

import threading
import time
from itertools import islice

import numpy as np
import pytest

from edgecnn.data.drawn import camera as module
from edgecnn.data.drawn.camera import DrawnSource
from edgecnn.data.drawn.video import drawn_video
from edgecnn.errors import DataError
from edgecnn.results import Boxes

WORD = "drawn:3?size=96x64"


def test_closed_before_the_first_frame_it_has_none():
    source = DrawnSource(WORD)
    source.close()
    assert list(source) == []


def test_unpaced_it_is_the_drive_frame_for_frame():
    with DrawnSource(WORD, paced=False) as source:
        assert (source.name, source.live, source.clock, source.fps) == (WORD, False, "schedule", 30)
        found = list(islice(source, 5))
    shots = list(islice(drawn_video(3, size_wh=(96, 64)), 5))
    for number, (frame, shot) in enumerate(zip(found, shots, strict=True)):
        assert (frame.index, frame.name) == (number, f"{WORD}#{number}")
        np.testing.assert_array_equal(frame.image, shot.image)
        assert isinstance(frame.truth, Boxes)
        np.testing.assert_array_equal(frame.truth.xyxy, shot.boxes.xyxy)
        np.testing.assert_array_equal(frame.truth.label_id, shot.boxes.label_id)


@pytest.mark.parametrize(
    ("word", "seed", "size_wh", "fps", "truth"),
    [
        ("drawn", 0, (320, 240), 30, True),
        ("drawn:7", 7, (320, 240), 30, True),
        ("drawn?fps=12.5", 0, (320, 240), 12.5, True),
        ("drawn:4294967295?size=64x48&truth=0", 2**32 - 1, (64, 48), 30, False),
        ("drawn?truth=1", 0, (320, 240), 30, True),
    ],
)
def test_a_word_says_seed_size_rate_and_truth(word, seed, size_wh, fps, truth):
    with DrawnSource(word, paced=False) as source:
        assert (source.seed, source.size_wh, source.fps) == (seed, size_wh, fps)
        frame = next(source)
    assert frame.image.shape == (size_wh[1], size_wh[0], 3)
    assert (frame.truth is not None) == truth


def test_what_the_word_leaves_open_can_be_asked_for():
    with DrawnSource("drawn", size_wh=(64, 48), fps=10) as source:
        assert (source.size_wh, source.fps) == ((64, 48), 10)
    with DrawnSource("drawn?size=80x60&fps=5", size_wh=(64, 48), fps=10) as source:
        assert (source.size_wh, source.fps) == ((80, 60), 5)


@pytest.mark.parametrize(
    "word",
    ["drawn:", "drawn:x", "drawn:-1", "drawn:4294967296", "drawn?size=8x8", "drawn?size=9999x64",
     "drawn?size=64", "drawn?fps=0", "drawn?fps=5000", "drawn?fps=nan", "drawn?truth=yes", "drawn?train=5",
     "drawn7"],
)  # fmt: skip
def test_words_that_say_something_else_are_refused_at_once(word):
    with pytest.raises(DataError):
        DrawnSource(word)


def test_paced_each_frame_comes_when_it_is_due():
    with DrawnSource(f"{WORD}&fps=20") as source:
        assert source.live
        found = [(frame, time.monotonic()) for frame in islice(source, 10)]
    first_s = found[0][0].time_s
    assert [frame.time_s - first_s for frame, _ in found] == pytest.approx(
        [frame.index / 20 for frame, _ in found]
    )
    assert all(come_s >= frame.time_s for frame, come_s in found)
    assert np.median([come_s - frame.time_s for frame, come_s in found]) < 0.03


def test_a_late_reader_gets_the_newest_frame_and_what_it_missed_was_never_painted(monkeypatch):
    painted = []
    real = module.Shot.image.func
    monkeypatch.setattr(module.Shot, "image", property(lambda shot: painted.append(shot.index) or real(shot)))
    with DrawnSource(f"{WORD}&fps=50") as source:
        next(source)
        time.sleep(0.3)
        late = next(source)
    assert 14 <= late.index <= 30
    assert painted == [0, late.index]
    assert time.monotonic() - late.time_s < 0.2
    shot = next(islice(drawn_video(3, size_wh=(96, 64), fps=50), late.index, None))
    np.testing.assert_array_equal(late.image, shot.image)


def test_closing_wakes_a_frame_that_waits():
    source = DrawnSource("drawn?size=64x48&fps=1")
    next(source)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(next(source, "end")))
    thread.start()
    time.sleep(0.1)
    begin_s = time.monotonic()
    source.close()
    thread.join(5)
    assert ended == ["end"]
    assert time.monotonic() - begin_s < 0.7
