"""Streams of network cameras: which reader an address needs, and the one for all but images in multipart.

RTSP, RTMP and video over HTTP go through OpenCV's FFmpeg. Its decoder runs in one thread: with more, FFmpeg
holds back a frame for each further one. Measured with OpenCV 5.0, MPEG-4, 640 x 480, 30 frames a second, from
a frame's bytes being sent to its pixels being here: 1 ms with one thread, 34 ms with two, 101 ms with four;
OpenCV's default is one for each core.
"""

import socket
import time

import cv2
import numpy as np

from edgecnn.errors import CameraError
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.sources.multipart import MultipartStream
from edgecnn.runtime.sources.opened import Opened
from edgecnn.runtime.sources.source import Source
from edgecnn.runtime.sources.web import PORTS, get, reason, shown, split

_TIMEOUT_S = 4.0
"""For connecting, and then for each frame."""


def is_stream(word: str) -> bool:
    """Whether it is the address of a stream."""
    scheme, colon, _ = word.partition("://")
    return bool(colon) and scheme.lower() in PORTS


def open_stream(url: str, *, timeout_s: float = _TIMEOUT_S) -> Source:
    """Open a network camera.

    Args:
        url: rtsp://, rtmp://, http:// or https://, with or without user:password@.
        timeout_s: for connecting, and then for each frame.

    Raises:
        CameraError: it cannot be reached, refuses, or gives no video.
    """
    parts = split(url)
    if parts.scheme not in ("http", "https"):
        return VideoStream(url, timeout_s=timeout_s)
    answer = get(url, timeout_s=timeout_s)
    if answer.kind.startswith("multipart/"):
        return MultipartStream(answer, timeout_s=timeout_s)
    answer.close()
    if answer.kind.startswith(("image/", "text/")):
        raise CameraError(
            f"{answer.name} gives {answer.kind}, not a video. The camera's manual names the address of its "
            "stream; often it ends in .mjpg."
        )
    return VideoStream(url, timeout_s=timeout_s)


class VideoStream(Opened):
    """A stream that FFmpeg reads; a frame's time is when it was decoded."""

    live = True

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """Open it; see `open_stream`."""
        super().__init__()
        self.name = shown(url)
        self.clock = "arrival"
        self._timeout_s = timeout_s
        _reach(url, timeout_s)
        milliseconds = round(timeout_s * 1e3)
        self._capture = cv2.VideoCapture(
            url,
            cv2.CAP_FFMPEG,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                milliseconds,
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                milliseconds,
                cv2.CAP_PROP_N_THREADS,
                1,
            ],
        )
        if not self._capture.isOpened():
            self._capture.release()
            raise CameraError(
                f"{self.name}: answers, but gives no video within {timeout_s:g} s. Check path, user and "
                "password, and that the camera sends H.264, H.265 or MJPEG."
            )
        said = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = said if 0 < said <= 1000 else None
        self._index = 0

    def _read(self) -> Frame:
        begin_s = time.monotonic()
        there, image = self._capture.read()
        now_s = time.monotonic()
        if not there:
            raise CameraError(
                f"{self.name}: the stream has ended (no frame after {now_s - begin_s:.1f} s). Check that the "
                "camera is on and in reach."
            )
        self._index += 1
        return Frame(np.asarray(image, np.uint8), self._index - 1, now_s, f"{self.name}#{self._index - 1}")

    def _release(self) -> None:
        self._capture.release()


def _reach(url: str, timeout_s: float) -> None:
    """Connect once and hang up: FFmpeg would not say why it cannot."""
    parts = split(url)
    try:
        socket.create_connection(
            (parts.hostname, parts.port or PORTS[parts.scheme]), timeout=timeout_s
        ).close()
    except OSError as error:
        raise CameraError(f"{shown(url)}: {reason(error, timeout_s)}") from None
