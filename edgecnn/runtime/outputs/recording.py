"""Pictures as a video file that runs at the speed of reality, and is whole whatever happens.

A camera's pictures come when they come; a video has so many a second. Each picture stands in the file from
its own time until the next one's. A file is written as `out.part.mp4` and gets its name once it is complete
and has been opened again. It ends, and `out-2.mp4` begins, when the pictures change their size, after a
pause, and before it becomes too large.

MPEG-4 costs 1.3 ms for 640x480 on one x86 core. An .mp4 whose writer was killed cannot be played at all; .mkv
and .avi play up to the cut, but for the last half megabyte (tried with OpenCV 5.0, by cutting files short).
Ctrl-C, SIGTERM and a disk that fills up leave a complete file in each of them.
"""

import os
from pathlib import Path
from typing import Final

import cv2

from edgecnn.errors import DataError
from edgecnn.image import Image

CODECS: Final = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
"""What can be written, by ending, and with which codec: each of them is in every build of OpenCV."""

SPARE_BYTES: Final = 16_000_000
"""With less free on the disk a recording ends: an .mp4 needs room for its index, and a system for itself."""

_LONGEST_PAUSE_S: Final = 10.0
_MOST_SECONDS: Final = 3600.0
"""What a power cut can cost; and the index of an .mp4 is kept in memory, 70 bytes a picture as measured."""
_MOST_BYTES: Final = 2_000_000_000
"""FAT, which memory cards have, ends at 4 GiB."""


class Recording:
    """A video that is being written. Use it in a `with` block, or close it.

    Attributes:
        paths: the files that are complete, in order.
        pictures: how many the files hold, repeated ones included.
    """

    def __init__(
        self, path: Path, *, fps: float, force: bool = False, spare_bytes: int = SPARE_BYTES
    ) -> None:
        """Nothing is written before the first picture comes.

        Args:
            path: ends in .mp4, .mkv or .avi.
            fps: pictures a second in the file.
            force: overwrite files that are there.
            spare_bytes: how much is left free on the disk.

        Raises:
            DataError: another ending, or the file is there already.
        """
        if path.suffix.lower() not in CODECS:
            raise DataError(f"{path}: a video is written as one of {', '.join(CODECS)}. Choose such a name.")
        if not 0 < fps <= 1000:
            raise DataError(f"{path}: {fps} pictures a second cannot be written")
        self._path, self._fps, self._force, self._spare_bytes = path, fps, force, spare_bytes
        self.paths: list[Path] = []
        self.pictures = 0
        self._part: _Part | None = None
        self._number = 0
        self._check_free(path)
        self._check_free(_unfinished(path))

    def write(self, image: Image, time_s: float) -> None:
        """Add a picture.

        Args:
            image: (h, w, 3) uint8 BGR; kept until the next one comes, so that it must not change.
            time_s: when it was taken, on any clock that goes forward.

        Raises:
            DataError: the disk is full, or the file cannot be written; the recording is over. What was
                written until then is complete, or the message says that it is not.
        """
        if self._part is not None and not self._part.goes_on_with(image, time_s):
            self.close()
        if self._part is None:
            self._part = self._begin(image, time_s)
        try:
            self._part.write(image, time_s)
        except DataError as error:
            self._give_up(error)

    def close(self) -> None:
        """Complete the file. Twice does no harm; a picture that comes later begins another file.

        Raises:
            DataError: the last pictures could not be written, or the file cannot be opened again.
        """
        if self._part is None:
            return
        try:
            self._part.hold()
        except DataError as error:
            self._give_up(error)
        self._finish()

    def _begin(self, image: Image, time_s: float) -> "_Part":
        self._number += 1
        path = self._path
        if self._number > 1:
            path = path.with_name(f"{path.stem}-{self._number}{path.suffix}")
            self._check_free(path)
        return _Part(path, image, time_s, self._fps, self._spare_bytes)

    def _finish(self) -> None:
        """Complete the part that is being written."""
        part, self._part = self._part, None
        if part is not None:
            part.close()
            self.pictures += part.pictures
            self.paths.append(part.path)

    def _give_up(self, error: DataError) -> None:
        """Save what there is, and say what happened to the rest."""
        try:
            self._finish()
        except DataError as second:
            raise DataError(f"{error} {second}") from None
        raise DataError(f"{error} What came before can be played.") from None

    def _check_free(self, path: Path) -> None:
        if path.exists() and not self._force:
            raise DataError(f"{path} is there already. Choose another, or overwrite with force (--force).")


class _Part:
    """One file."""

    def __init__(self, path: Path, image: Image, time_s: float, fps: float, spare_bytes: int) -> None:
        self.path = path
        self.pictures = 0
        self._fps, self._spare_bytes = fps, spare_bytes
        self._unfinished = _unfinished(path)
        self._shape = image.shape
        self._start_s = self._newest_s = time_s
        self._held: Image | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._unfinished.write_bytes(b"")
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})") from None
        height, width = image.shape[:2]
        codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._unfinished), cv2.CAP_FFMPEG, codec, fps, (width, height))
        if not self._writer.isOpened():
            self._writer.release()
            self._unfinished.unlink()
            raise DataError(
                f"{path}: this OpenCV ({cv2.__version__}) has no FFmpeg that writes it at {width}x{height}. "
                "Use OpenCV's own package: pip install opencv-python"
            )

    def goes_on_with(self, image: Image, time_s: float) -> bool:
        """Whether a picture belongs into this file."""
        return (
            image.shape == self._shape
            and 0 <= time_s - self._newest_s <= _LONGEST_PAUSE_S
            and time_s - self._start_s <= _MOST_SECONDS
            and (self.pictures % 64 > 0 or self._unfinished.stat().st_size < _MOST_BYTES)
        )

    def write(self, image: Image, time_s: float) -> None:
        """Let the picture before stand until this one's time."""
        due = round((time_s - self._start_s) * self._fps)
        while self.pictures < due and self._held is not None:
            self.hold()
        self._held, self._newest_s = image, time_s

    def hold(self) -> None:
        """Write the held picture once.

        Raises:
            DataError: the disk is full, or nothing can be written to it any more.
        """
        if self._held is None:
            return
        disk = os.statvfs(self.path.parent)
        free = disk.f_bavail * disk.f_frsize
        if free < self._spare_bytes:
            raise DataError(
                f"{self.path}: the recording has ended: the disk is full ({free / 1e6:.1f} MB are free, "
                f"and {self._spare_bytes / 1e6:.1f} MB are left so)."
            )
        # True or False since OpenCV 5; None before: there, opening the file again in the end must show it
        if self._writer.write(self._held) is False:
            raise DataError(f"{self.path}: the recording has ended: its disk takes no more of it.")
        self.pictures += 1

    def close(self) -> None:
        """Complete the file and give it its name.

        Raises:
            DataError: it cannot be opened again.
        """
        self._writer.release()
        readable = cv2.VideoCapture(str(self._unfinished))
        there = readable.isOpened() and readable.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        readable.release()
        if self.pictures and not there:
            raise DataError(f"{self._unfinished} cannot be played: the disk did not take its end.")
        try:
            self._unfinished.replace(self.path)
        except OSError as error:
            raise DataError(f"{self._unfinished}: cannot become {self.path} ({error.strerror})") from None


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.stem}.part{path.suffix}")
