"""The Raspberry Pi's own cameras, through Picamera2, which is imported only here and only when asked for.

Picamera2 names formats as libcamera does, by the order of bits in a word: its "RGB888" is blue, green, red in
memory, which is OpenCV's order. It comes from the system's packages, not from PyPI.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np

from edgecnn.errors import CameraError
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.sources.opened import Opened

SIZE_WH = (640, 480)
"""What a camera is asked for where nobody says more."""

_BUFFERS = 3
"""One being exposed, one being processed, one being copied: fewer cost frames, more only memory."""

_LONGEST_WAIT_S = 4.0
"""A camera that gives no frame for so long hangs."""

_OLDEST_S = 1.0


class Picamera(Opened):
    """A camera of a Raspberry Pi.

    Attributes:
        size_wh: what the camera gives, which may differ from what it was asked for.
    """

    live = True

    def __init__(
        self, number: int = 0, *, size_wh: tuple[int, int] | None = None, fps: float | None = None
    ) -> None:
        """Open it.

        Args:
            number: which camera, from 0.
            size_wh: pixels to ask for.
            fps: frames a second to ask for; None leaves the camera's own.

        Raises:
            CameraError: Picamera2 is not installed, there is no such camera, or it is in use.
        """
        super().__init__()
        self.name = f"picamera2:{number}"
        self.clock = "arrival"
        self.fps = fps
        self._camera = _opened(number, size_wh or SIZE_WH, fps)
        self.size_wh: tuple[int, int] = tuple(self._camera.camera_configuration()["main"]["size"])
        self._index = 0

    def _read(self) -> Frame:
        begin_s = time.monotonic()
        try:
            request = self._camera.capture_request(wait=False).get_result(timeout=_LONGEST_WAIT_S)
        except TimeoutError:
            raise CameraError(
                f"{self.name}: the camera hangs (no frame for {time.monotonic() - begin_s:.1f} s). Check its "
                "ribbon cable, and whether another program uses it."
            ) from None
        except RuntimeError as error:
            raise CameraError(f"{self.name}: the camera has vanished ({_line(error)}).") from None
        try:
            captured_s = self._captured_s(request.get_metadata())
            # a copy: the request's own memory goes back to the camera
            image = np.array(request.make_array("main"), np.uint8, order="C")
        finally:
            request.release()
        self._index += 1
        return Frame(image, self._index - 1, captured_s, f"{self.name}#{self._index - 1}")

    def _captured_s(self, metadata: Mapping[str, int]) -> float:
        """When the sensor took it, as `time.monotonic()`.

        libcamera documents `SensorTimestamp` as CLOCK_BOOTTIME, while its Raspberry Pi pipeline passes on the
        driver's CLOCK_MONOTONIC (https://bugs.libcamera.org/show_bug.cgi?id=254). They differ by the time the
        system has slept, so only one of the two makes sense once it has.
        """
        now_s = time.monotonic()
        said_s = metadata.get("SensorTimestamp", 0) / 1e9
        for clock_s in (now_s, time.clock_gettime(time.CLOCK_BOOTTIME)):
            if 0 <= clock_s - said_s < _OLDEST_S:
                self.clock = "sensor"
                return now_s - (clock_s - said_s)
        self.clock = "arrival"
        return now_s

    def _release(self) -> None:
        with suppress(RuntimeError):  # a camera that has vanished cannot be stopped, but must be closed
            self._camera.stop()
        self._camera.close()


def _opened(number: int, size_wh: tuple[int, int], fps: float | None) -> Any:
    """A started Picamera2."""
    try:
        picamera2 = import_module("picamera2")
    except ImportError as error:
        raise CameraError(
            f"picamera2 cannot be imported ({_line(error)}). Install it with: sudo apt install "
            "python3-picamera2; a virtual environment must be made with: python3 -m venv "
            "--system-site-packages"
        ) from None
    known = picamera2.Picamera2.global_camera_info()
    if number >= len(known):
        there = ", ".join(f"picamera2:{place} ({one.get('Model', '?')})" for place, one in enumerate(known))
        raise CameraError(
            f"picamera2:{number}: there is no such camera. "
            + (
                f"There is {there}."
                if there
                else "None was found: check its ribbon cable; rpicam-hello --list-cameras"
            )
        )
    camera = None
    try:
        camera = picamera2.Picamera2(number)
        camera.configure(
            camera.create_video_configuration(
                main={"size": size_wh, "format": "RGB888"},
                buffer_count=_BUFFERS,
                queue=False,  # a frame kept from before the question would be old
                controls={} if fps is None else {"FrameRate": fps},
            )
        )
        camera.start()
    except (RuntimeError, ValueError) as error:
        if camera is not None:
            camera.close()
        raise CameraError(
            f"picamera2:{number} cannot be opened ({_line(error)}). Close other programs that use it; "
            "rpicam-hello --list-cameras shows its sizes."
        ) from None
    return camera


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
