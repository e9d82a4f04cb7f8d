"""Clips and pictures, in real time and as fast as possible."""

import threading
import time

import cv2
import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.runtime.frames import frames
from edgecnn.runtime.sources import DamagedFrame, open_source


@pytest.fixture
def folder(tmp_path):
    """Write PNGs, each of its own grey."""

    def write(count, size_wh=(8, 6)):
        (tmp_path / "shots").mkdir()
        for number in range(count):
            image = np.full((size_wh[1], size_wh[0], 3), number, np.uint8)
            cv2.imwrite(str(tmp_path / "shots" / f"{number:03}.png"), image)
        return tmp_path / "shots"

    return write


def test_an_empty_folder_is_an_error(folder):
    with pytest.raises(DataError, match="no image in this folder"):
        open_source(folder(0))


@pytest.mark.parametrize("paced", [True, False])
def test_every_picture_of_a_folder_comes_once_and_at_once(folder, paced):
    begin_s = time.monotonic()
    with open_source(folder(20), paced=paced) as source:
        assert (source.live, source.clock, source.fps) == (False, "schedule", None)
        found = list(source)
    assert [int(frame.image[0, 0, 0]) for frame in found] == list(range(20))
    assert [frame.index for frame in found] == list(range(20))
    assert [frame.name.rpartition("/")[2] for frame in found][:2] == ["000.png", "001.png"]
    assert begin_s <= found[0].time_s <= found[-1].time_s <= time.monotonic()
    assert time.monotonic() - begin_s < 2


def test_pictures_with_a_rate_come_when_they_are_due(folder):
    with open_source(folder(6), fps=20) as source:
        assert (source.live, source.fps) == (True, 20)
        found = [(frame, time.monotonic()) for frame in source]
    due = [frame.time_s - found[0][0].time_s for frame, _ in found]
    assert due == pytest.approx([frame.index / 20 for frame, _ in found], abs=1e-6)
    assert all(come_s >= frame.time_s for frame, come_s in found)


def test_unpaced_pictures_have_no_rate(folder):
    with open_source(folder(3), fps=0.1, paced=False) as source:
        assert len(list(source)) == 3


def test_pictures_whose_time_has_passed_are_left_out_but_never_the_last(folder):
    with open_source(folder(10), fps=50) as source:
        next(source)
        time.sleep(0.07)
        assert next(source).index >= 3
        time.sleep(0.5)
        assert [frame.index for frame in source] == [9]


def test_a_damaged_picture_costs_that_picture(folder):
    path = folder(3)
    (path / "001.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    with open_source(path) as source:
        assert next(source).index == 0
        with pytest.raises(DamagedFrame, match=r"001\.png: the image's header is damaged"):
            next(source)
        assert [frame.index for frame in source] == [2]


def test_one_picture_that_is_damaged_is_an_error(folder):
    path = folder(1) / "000.png"
    with open_source(path) as source:
        assert [frame.name for frame in source] == [str(path)]
    path.write_bytes(b"")
    with open_source(path) as source:
        with pytest.raises(DataError, match="is empty"):
            next(source)
        assert next(source, "end") == "end"


def test_a_clip_unpaced_is_what_frames_reads(clip):
    path = clip(count=12)
    with open_source(path, paced=False) as source:
        assert (source.live, source.clock, source.fps) == (False, "schedule", 30)
        found = list(source)
    expected = list(frames(path))
    assert [(frame.index, frame.name) for frame in found] == [(frame.index, frame.name) for frame in expected]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)


def test_a_paced_clip_plays_in_real_time(clip):
    with open_source(clip(count=15, fps=30)) as source:
        assert source.live
        found = [(frame, time.monotonic()) for frame in source]
    first = found[0][0].time_s
    assert [frame.time_s - first for frame, _ in found] == pytest.approx(
        [frame.index / 30 for frame, _ in found]
    )
    assert found[-1][0].index >= 13
    assert 0.4 < found[-1][1] - first < 2
    assert np.median([come_s - frame.time_s for frame, come_s in found]) < 0.03


def test_a_late_reader_of_a_clip_gets_the_frame_that_is_due(clip):
    with open_source(clip(count=60, fps=100), fps=50) as source:
        assert source.fps == 50
        next(source)
        time.sleep(0.2)
        frame = next(source)
        assert 9 <= frame.index <= 30
        assert round(float(frame.image.mean()) / 2) == pytest.approx(frame.index, abs=1)
        assert time.monotonic() - frame.time_s < 0.1


@pytest.mark.parametrize("paced", [True, False])
def test_a_clip_that_was_cut_off_is_an_error_once_then_its_end(clip, paced):
    path = clip(count=60, fps=200)
    path.write_bytes(path.read_bytes()[:-9000])
    with open_source(path, paced=paced) as source:
        with pytest.raises(DataError, match=r"ends after \d+ of 60 frames: truncated"):
            list(source)
        assert next(source, "end") == "end"


def test_a_clip_without_a_rate_wants_one(tmp_path, clip, monkeypatch):
    path = clip()
    real = cv2.VideoCapture

    class Silent:
        """A container that does not say how fast it is."""

        def __init__(self, path):
            self.capture = real(path)

        def get(self, what):
            return 0.0 if what == cv2.CAP_PROP_FPS else self.capture.get(what)

        def __getattr__(self, name):
            return getattr(self.capture, name)

    monkeypatch.setattr(cv2, "VideoCapture", Silent)
    with pytest.raises(DataError, match="does not say how many frames a second"):
        open_source(path)
    with open_source(path, fps=500) as source:
        assert source.fps == 500
    with open_source(path, paced=False) as source:
        assert source.fps is None
        assert len(list(source)) == 30


def test_a_pattern_is_pictures_or_one_clip(clip, folder, tmp_path):
    shots = folder(4)
    with open_source(f"{shots}/00[12].png") as source:
        assert [frame.index for frame in source] == [0, 1]
    clip("a.avi", 3)
    with open_source(f"{tmp_path}/*.avi", paced=False) as source:
        assert len(list(source)) == 3
    clip("b.avi", 3)
    with pytest.raises(DataError, match="2 videos and 0 images match"):
        open_source(f"{tmp_path}/*.avi")


def test_closing_a_clip_that_waits_wakes_it(clip):
    source = open_source(clip(count=3), fps=0.05)
    next(source)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(next(source, "end")))
    thread.start()
    time.sleep(0.05)
    begin_s = time.monotonic()
    source.close()
    thread.join(5)
    assert ended == ["end"]
    assert time.monotonic() - begin_s < 1
