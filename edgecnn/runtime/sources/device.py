"""Cameras of the system: V4L2 devices, read through OpenCV.

Checked in OpenCV's source (modules/videoio/src/cap_v4l.cpp): `CAP_PROP_POS_MSEC` is the timestamp that the
driver gave to the newest buffer, which for nearly all drivers is CLOCK_MONOTONIC at the frame's start; a JPEG
that cannot be decoded leaves the frame before in place, so JPEGs are fetched as they are and decoded here;
and where no frame comes, `grab` returns after 10 s.
"""

import os
import stat
import time
from pathlib import Path

import cv2
import numpy as np

from edgecnn import image_file
from edgecnn.errors import CameraError, DataError
from edgecnn.image import Image
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.sources.opened import Opened
from edgecnn.runtime.sources.source import DamagedFrame

_BUFFERS = 2
"""One being filled while the other is read. With one, a USB camera finds no buffer when its next frame
begins, and leaves every other frame out; more would hold older frames."""

_AT_ONCE_S = 0.002
"""A frame that is there within this time was there already, and may be old."""

_OLDEST_S = 1.0
"""A driver's time further back than this, or in the future, is of another clock."""

_MJPG = cv2.VideoWriter.fourcc(*"MJPG")


class Device(Opened):
    """A V4L2 camera.

    Attributes:
        size_wh: what the camera gives, which may differ from what it was asked for.
        fps: what the camera says it does, likewise.
        fourcc: its pixel format, such as "MJPG" or "YUYV".
    """

    live = True

    def __init__(
        self, path: Path, *, size_wh: tuple[int, int] | None = None, fps: float | None = None
    ) -> None:
        """Open it.

        Args:
            path: such as /dev/video0.
            size_wh: pixels to ask for; None takes what OpenCV asks for, 640 x 480.
            fps: frames a second to ask for; None leaves the camera's own.

        Raises:
            CameraError: it is not there, may not be used, or is no camera.
        """
        super().__init__()
        _check(path)
        self.name = str(path)
        self.clock = "arrival"
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            self._capture.release()
            raise CameraError(
                f"{path} gives no images: another program holds it, or it is no camera OpenCV can read. "
                "Close the other program (fuser -v /dev/video*), or try another device: edgecnn doctor lists "
                "them. A Raspberry Pi's own camera is --source picamera2."
            )
        self._ask(size_wh, fps)
        self.size_wh = (
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        said = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = said if 0 < said <= 1000 else None
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        self.fourcc = code.to_bytes(4, "little", signed=code < 0).decode("ascii", "replace")
        self._index = 0
        self._read_s: float | None = None

    def _ask(self, size_wh: tuple[int, int] | None, fps: float | None) -> None:
        """A camera may decline any of these; what it does is read back afterwards."""
        # JPEG first: over USB 2, only so do larger sizes come at full rate
        self._capture.set(cv2.CAP_PROP_FOURCC, _MJPG)
        if size_wh is not None:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size_wh[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size_wh[1])
        if fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)
        if int(self._capture.get(cv2.CAP_PROP_FOURCC)) == _MJPG:
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)

    def _read(self) -> Frame:
        self._grab()
        captured_s = self._captured_s()
        name = f"{self.name}#{self._index}"
        self._index += 1
        there, pixels = self._capture.retrieve()
        self._read_s = time.monotonic()
        if not there or pixels is None or not pixels.size:
            raise DamagedFrame(f"{name}: the image is damaged.")
        return Frame(_image(np.asarray(pixels, np.uint8), name), self._index - 1, captured_s, name)

    def _grab(self) -> None:
        """Fetch the newest frame: not one that has waited in a buffer since nobody looked."""
        begin_s = time.monotonic()
        waited = self._read_s is not None and begin_s - self._read_s > 1.5 / (self.fps or 30.0)
        for _ in range(_BUFFERS + 1 if waited else 1):
            before_s = time.monotonic()
            if not self._capture.grab():
                raise CameraError(self._vanished(time.monotonic() - begin_s))
            if time.monotonic() - before_s > _AT_ONCE_S:
                return

    def _vanished(self, waited_s: float) -> str:
        if not Path(self.name).exists():
            return f"{self.name}: the camera has vanished. Plug it in again, and check cable and power."
        return (
            f"{self.name}: the camera has vanished or hangs (no frame after {waited_s:.1f} s). Check cable "
            "and power; edgecnn doctor lists the cameras that are there."
        )

    def _captured_s(self) -> float:
        now_s = time.monotonic()
        said_s = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
        if 0 <= now_s - said_s < _OLDEST_S:
            self.clock = "sensor"
            return said_s
        self.clock = "arrival"
        return now_s

    def _release(self) -> None:
        self._capture.release()


def cameras() -> list[str]:
    """The V4L2 devices that are there."""
    found = Path("/dev").glob("video[0-9]*")
    return [str(path) for path in sorted(found, key=lambda path: (len(path.name), path.name))]


def _image(pixels: Image, name: str) -> Image:
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return pixels
    try:
        return image_file.decode(pixels.tobytes(), name)  # a JPEG as the camera sent it
    except DataError:
        raise DamagedFrame(f"{name}: {pixels.size} bytes that are no whole JPEG.") from None


def _check(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        there = ", ".join(cameras())
        advice = (
            f"There is {there}" if there else "There is no camera: plug one in; edgecnn doctor looks for more"
        )
        raise CameraError(f"{path}: there is no such device. {advice}.") from None
    if not stat.S_ISCHR(mode):
        raise CameraError(f"{path} is no device. Give one such as /dev/video0; edgecnn doctor lists them.")
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraError(
            f"{path}: no right to open it. Run: sudo usermod -aG video $USER, then log in again."
        )
