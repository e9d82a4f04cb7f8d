"""A video file: its frames in order, and whether it ends too early."""

from pathlib import Path

import cv2
import numpy as np

from edgecnn.errors import DataError
from edgecnn.image import Image

_COMPLETE = 0.97
"""A video that gives less than this share of its announced frames was cut off. Some containers only announce
duration times frame rate, which is off by a few frames, so less than everything is no proof."""

_FASTEST_FPS = 1000.0


class Video:
    """An open video file. Only one thread at a time may use or close it.

    Raises:
        DataError: it cannot be opened as a video.
    """

    def __init__(self, path: Path) -> None:
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        if not size:
            raise DataError(f"{path}: the file is empty (0 bytes). Remove it or copy it again.")
        self.path = path
        self.number = 0
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            self._capture.release()
            raise DataError(
                f"{path}: cannot be opened as a video: not one, cut off, or in a format this OpenCV does not "
                "read. Copy it again, or convert it: ffmpeg -i IN out.mp4"
            )
        self._announced = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))  # 0 or less: it does not say

    @property
    def fps(self) -> float | None:
        """Frames a second, as the file announces; None where it says nothing one could believe."""
        said = float(self._capture.get(cv2.CAP_PROP_FPS))
        return said if 0 < said <= _FASTEST_FPS else None

    def read(self) -> Image | None:
        """The next frame, (h, w, 3) uint8 BGR, the caller's own; None after the last one.

        Raises:
            DataError: there is no next one, but there should be: the file was cut off.
        """
        there, image = self._capture.read()
        if not there:
            self._check_end()
            return None
        self.number += 1
        return np.asarray(image, np.uint8)

    def skip(self) -> bool:
        """Pass over one frame; False after the last one. Raises as `read`."""
        if not self._capture.grab():
            self._check_end()
            return False
        self.number += 1
        return True

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _check_end(self) -> None:
        if not self.number:
            raise DataError(
                f"{self.path}: not one frame could be read from this video. Copy it again or remove it."
            )
        if self.number < _COMPLETE * self._announced:
            raise DataError(
                f"{self.path}: ends after {self.number} of {self._announced} frames: truncated. "
                "Copy it again."
            )
