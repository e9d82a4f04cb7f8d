"""A Raspberry Pi's camera; a module in place of Picamera2 keeps to its source (picamera2.py, job.py)."""

import sys
import time
from concurrent.futures import Future
from types import ModuleType

import numpy as np
import pytest

from edgecnn.errors import CameraError
from edgecnn.runtime.sources import open_source
from edgecnn.runtime.sources import picamera as module


class Job:
    """What `capture_request(wait=False)` gives."""

    def __init__(self, result, wait_s=0.0):
        self.future = Future()
        if isinstance(result, Exception):
            self.future.set_exception(result)
        elif result is not None:
            time.sleep(wait_s)
            self.future.set_result(result)

    def get_result(self, timeout=None):
        return self.future.result(timeout=timeout)


class Request:
    """A completed request: its memory is the camera's, and must go back."""

    def __init__(self, camera, memory):
        self.camera, self.memory = camera, memory

    def get_metadata(self):
        return dict(self.camera.metadata)

    def make_array(self, name):
        assert name == "main"
        return self.memory

    def release(self):
        self.memory[:] = 0  # the next frame is written over it
        self.camera.held -= 1


class FakePicamera2:
    """Stands in for `picamera2.Picamera2`."""

    known = ({"Model": "imx708", "Num": 0}, {"Model": "ov5647", "Num": 1})
    made: list["FakePicamera2"] = []  # noqa: RUF012  (emptied by the fixture)
    refuses = None
    fails_to_stop = False

    @staticmethod
    def global_camera_info():
        return list(FakePicamera2.known)

    def __init__(self, number=0):
        self.number, self.calls, self.held = number, [], 0
        self.metadata, self.answers = {"SensorTimestamp": 0, "ExposureTime": 9000}, []
        FakePicamera2.made.append(self)

    def create_video_configuration(self, main, buffer_count, queue, controls):
        assert main["format"] == "RGB888"
        return {"main": dict(main), "buffer_count": buffer_count, "queue": queue, "controls": dict(controls)}

    def configure(self, configuration):
        if FakePicamera2.refuses:
            raise FakePicamera2.refuses
        width, height = configuration["main"]["size"]
        configuration["main"]["size"] = (width - width % 2, height - height % 2)
        self.configuration = configuration

    def camera_configuration(self):
        return self.configuration

    def start(self):
        self.calls.append("start")

    def capture_request(self, wait=None):
        assert wait is False
        if self.answers:
            return Job(self.answers.pop(0))
        self.held += 1
        width, height = self.configuration["main"]["size"]
        memory = np.zeros((height, width + 10, 3), np.uint8)[:, :width]  # rows padded, as the ISP does
        memory[:] = (200, 30, 4)
        return Job(Request(self, memory))

    def stop(self):
        self.calls.append("stop")
        if self.fails_to_stop:
            raise RuntimeError("Failed to stop camera: No such device")

    def close(self):
        self.calls.append("close")


@pytest.fixture
def picamera2(monkeypatch):
    fake = ModuleType("picamera2")
    fake.Picamera2 = FakePicamera2
    monkeypatch.setitem(sys.modules, "picamera2", fake)
    monkeypatch.setattr(FakePicamera2, "made", [])
    monkeypatch.setattr(FakePicamera2, "refuses", None)
    return FakePicamera2


def test_without_picamera2_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match=r"sudo apt install python3-picamera2.*--system-site-packages"):
        open_source("picamera2")


def test_frames_are_bgr_copies_and_every_request_goes_back(picamera2):
    with open_source("picamera2:1", size_wh=(321, 241), fps=25) as source:
        (camera,) = picamera2.made
        frames = [next(source) for _ in range(3)]
        assert camera.held == 0
    assert (source.name, source.live, source.fps, source.size_wh) == ("picamera2:1", True, 25, (320, 240))
    assert camera.number == 1
    assert camera.configuration["controls"] == {"FrameRate": 25}
    assert camera.configuration["queue"] is False
    for number, frame in enumerate(frames):
        assert (frame.index, frame.name) == (number, f"picamera2:1#{number}")
        assert frame.image.shape == (240, 320, 3)
        assert frame.image.flags.c_contiguous
        assert (frame.image == (200, 30, 4)).all()
    assert camera.calls == ["start", "stop", "close"]


def test_without_wishes_a_camera_keeps_its_rate(picamera2):
    with open_source("picamera2") as source:
        assert (source.name, source.fps, source.size_wh) == ("picamera2:0", None, (640, 480))
        assert picamera2.made[0].configuration["controls"] == {}


@pytest.mark.parametrize(
    ("clock_id", "slept_s", "age_s", "clock"),
    [
        (time.CLOCK_MONOTONIC, 0, 0.03, "sensor"),
        (time.CLOCK_BOOTTIME, 0, 0.03, "sensor"),
        (time.CLOCK_MONOTONIC, 5000, 0.03, "sensor"),
        (time.CLOCK_BOOTTIME, 5000, 0.03, "sensor"),
        (time.CLOCK_REALTIME, 0, 0.03, "arrival"),
        (time.CLOCK_MONOTONIC, 0, 7.0, "arrival"),
        (time.CLOCK_MONOTONIC, 0, -0.5, "arrival"),
    ],
)
def test_the_sensors_time_is_understood_on_either_clock(
    picamera2, monkeypatch, clock_id, slept_s, age_s, clock
):
    real = time.clock_gettime

    def since_boot(which):
        return real(which) + (slept_s if which == time.CLOCK_BOOTTIME else 0)

    with open_source("picamera2") as source:
        monkeypatch.setattr(time, "clock_gettime", since_boot)
        before_s = time.monotonic()
        picamera2.made[0].metadata["SensorTimestamp"] = round((since_boot(clock_id) - age_s) * 1e9)
        frame = next(source)
        assert source.clock == clock
        expected_s = before_s - (age_s if clock == "sensor" else 0)
        assert frame.time_s == pytest.approx(expected_s, abs=0.02)


def test_a_camera_number_that_is_not_there_names_those_that_are(picamera2, monkeypatch):
    with pytest.raises(
        CameraError, match=r"picamera2:2: there is no such camera\. There is picamera2:0 \(imx708\), pica"
    ):
        open_source("picamera2:2")
    monkeypatch.setattr(picamera2, "known", ())
    with pytest.raises(CameraError, match="None was found: check its ribbon cable"):
        open_source("picamera2")


def test_a_camera_in_use_is_let_go_and_named(picamera2):
    picamera2.refuses = RuntimeError("Failed to acquire camera:\n Device or resource busy")
    with pytest.raises(
        CameraError, match=r"cannot be opened \(Failed to acquire camera: Device or resource busy\)"
    ):
        open_source("picamera2")
    assert picamera2.made[0].calls == ["close"]


def test_a_camera_that_hangs_or_vanishes_is_an_error(picamera2, monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_WAIT_S", 0.1)
    with open_source("picamera2") as source:
        picamera2.made[0].answers = [None, RuntimeError("Camera frontend has timed out!")]
        with pytest.raises(CameraError, match=r"the camera hangs \(no frame for 0\.1 s\)"):
            next(source)
        with pytest.raises(CameraError, match=r"has vanished \(Camera frontend has timed out!\)"):
            next(source)
        picamera2.made[0].fails_to_stop = True
    assert picamera2.made[0].calls == ["start", "stop", "close"]


def test_importing_the_sources_does_not_import_picamera2():
    assert "picamera2" not in sys.modules
