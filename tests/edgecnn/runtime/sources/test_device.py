"""V4L2 cameras, faked where OpenCV opens them: what is asked for, whose clock is believed, and vanishing."""

import os
import re
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn.errors import CameraError
from edgecnn.runtime.sources import DamagedFrame, open_source
from edgecnn.runtime.sources import device as module

PATH = "/dev/null"  # any character device that is there


class FakeCapture:
    """Behaves as `cv2.VideoCapture` on V4L2 does (modules/videoio/src/cap_v4l.cpp)."""

    def __init__(self):
        self.properties = {
            cv2.CAP_PROP_FRAME_WIDTH: 640.0,
            cv2.CAP_PROP_FRAME_HEIGHT: 480.0,
            cv2.CAP_PROP_FPS: 30.0,
            cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"YUYV")),
            cv2.CAP_PROP_CONVERT_RGB: 1.0,
            cv2.CAP_PROP_BUFFERSIZE: 4.0,
        }
        self.fixed = set()
        self.opened = True
        self.released = 0
        self.frames = []  # (image or JPEG's bytes, seconds that grab waits, age of the driver's time)
        self.driver_s = 0.0
        self.newest = None
        self.grabs = 0

    def isOpened(self):
        return self.opened

    def set(self, what, value):
        if what in self.fixed:
            return False
        self.properties[what] = float(value)
        return True

    def get(self, what):
        return self.driver_s * 1e3 if what == cv2.CAP_PROP_POS_MSEC else self.properties[what]

    def grab(self):
        self.grabs += 1
        if not self.frames:
            return False
        self.newest, wait_s, age_s = self.frames.pop(0)
        time.sleep(wait_s)
        self.driver_s = time.monotonic() - age_s
        return True

    def retrieve(self):
        if self.newest is None:
            return False, None
        return True, np.frombuffer(self.newest, np.uint8)[None] if isinstance(
            self.newest, bytes
        ) else self.newest

    def release(self):
        self.released += 1


@pytest.fixture
def capture(monkeypatch):
    """The capture that the next camera opens; change it before."""
    fake = FakeCapture()
    asked = {(PATH, cv2.CAP_V4L2): fake}
    monkeypatch.setattr(cv2, "VideoCapture", lambda *words: asked[words])
    return fake


IMAGE = np.full((480, 640, 3), 9, np.uint8)


def test_a_camera_that_is_not_there_names_those_that_are(monkeypatch):
    monkeypatch.setattr(module, "cameras", list)
    with pytest.raises(
        CameraError, match=r"^/dev/video93: there is no such device\. There is no camera: plug one in"
    ):
        open_source(93)
    monkeypatch.setattr(module, "cameras", lambda: ["/dev/video0", "/dev/video2"])
    for word in (93, "93", "/dev/video93"):
        with pytest.raises(CameraError, match=r"There is /dev/video0, /dev/video2\.$"):
            open_source(word)


def test_a_device_without_permission_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(CameraError, match=r"no right to open it\. Run: sudo usermod -aG video"):
        open_source(PATH)


def test_what_is_no_device_is_named():
    with pytest.raises(CameraError, match="/dev is no device"):
        module.Device(Path("/dev"))


def test_a_device_that_gives_no_images_is_let_go(capture):
    capture.opened = False
    with pytest.raises(CameraError, match=r"/dev/null gives no images: another program holds it.*picamera2"):
        open_source(PATH)
    assert capture.released == 1


def test_a_camera_says_what_it_really_gives(capture):
    capture.fixed = {cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT}
    with open_source(PATH, size_wh=(1280, 720), fps=60) as source:
        assert (source.name, source.live) == (PATH, True)
        assert (source.size_wh, source.fps, source.fourcc) == ((640, 480), 60, "MJPG")
    assert capture.properties[cv2.CAP_PROP_BUFFERSIZE] == 2
    assert capture.properties[cv2.CAP_PROP_CONVERT_RGB] == 0
    assert capture.released == 1


def test_a_camera_without_jpeg_gives_pixels(capture):
    capture.fixed = {cv2.CAP_PROP_FOURCC}
    capture.frames = [(IMAGE, 0, 0.02)]
    with open_source(PATH) as source:
        assert source.fourcc == "YUYV"
        frame = next(source)
    assert capture.properties[cv2.CAP_PROP_CONVERT_RGB] == 1
    np.testing.assert_array_equal(frame.image, IMAGE)
    assert (frame.index, frame.name) == (0, "/dev/null#0")


def test_jpegs_are_decoded_and_a_damaged_one_costs_that_frame(capture, jpeg):
    whole = jpeg(90)
    capture.frames = [(whole, 0, 0), (whole[:300], 0, 0), (b"", 0, 0), (whole + b"\0" * 64, 0, 0)]
    with open_source(PATH) as source:
        assert next(source).image.shape == (48, 64, 3)
        for number, message in ((1, "300 bytes that are no whole JPEG"), (2, "the image is damaged")):
            with pytest.raises(DamagedFrame, match=f"/dev/null#{number}: {message}"):
                next(source)
        assert round(float(next(source).image.mean())) == 90


@pytest.mark.parametrize(
    ("age_s", "clock"),
    [
        (0.0, "sensor"),
        (0.04, "sensor"),
        (0.9, "sensor"),
        (1.5, "arrival"),
        (-0.5, "arrival"),
        (-1.6e9, "arrival"),
        (1e5, "arrival"),
    ],
)
def test_the_drivers_time_is_believed_where_it_can_be_true(capture, age_s, clock):
    capture.frames = [(IMAGE, 0, age_s)]
    with open_source(PATH) as source:
        before_s = time.monotonic()
        frame = next(source)
        after_s = time.monotonic()
        assert source.clock == clock
    age_s = age_s if clock == "sensor" else 0
    assert before_s - age_s <= frame.time_s <= after_s - age_s + 1e-6


def test_frames_that_waited_while_nobody_looked_are_passed_over(capture):
    old, new = IMAGE, IMAGE + 1
    capture.frames = [(old, 0, 0), (old, 0, 0.3), (old, 0, 0.2), (new, 0.01, 0.03)]
    with open_source(PATH) as source:
        next(source)
        time.sleep(0.2)
        frame = next(source)
    assert (frame.image == new).all()
    assert frame.index == 1


def test_who_looks_in_time_gets_every_frame(capture):
    capture.frames = [(IMAGE + number, 0, 0) for number in range(5)]
    with open_source(PATH, fps=1) as source:
        assert [int(next(source).image[0, 0, 0]) for _ in range(5)] == [9, 10, 11, 12, 13]


def test_a_camera_that_vanishes_is_an_error_each_time(capture, monkeypatch):
    capture.frames = [(IMAGE, 0, 0)]
    with open_source(PATH) as source:
        next(source)
        for _ in range(2):
            with pytest.raises(
                CameraError, match=r"/dev/null: the camera has vanished or hangs \(no frame after 0\.0 s\)"
            ):
                next(source)
        source.name = "/dev/video93"
        with pytest.raises(CameraError, match=r"/dev/video93: the camera has vanished\. Plug it in again"):
            next(source)
    assert capture.released == 1


def test_a_camera_is_never_released_during_a_read(capture):
    inside = threading.Event()
    released_inside = []

    def grab():
        inside.set()
        time.sleep(0.2)
        inside.clear()
        capture.newest = IMAGE
        return True

    capture.grab = grab
    capture.release = lambda: released_inside.append(inside.is_set())
    source = open_source(PATH)
    ended = []
    thread = threading.Thread(target=lambda: ended.extend(source))
    thread.start()
    assert inside.wait(5)
    source.close()
    assert released_inside == []
    thread.join(5)
    assert released_inside == [False]


def test_cameras_are_listed_in_the_order_of_their_numbers():
    found = module.cameras()
    assert all(re.fullmatch(r"/dev/video\d+", name) for name in found)
    assert found == sorted(found, key=lambda name: int(name.removeprefix("/dev/video")))
