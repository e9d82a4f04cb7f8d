"""Where images come from: a file, a folder, a pattern, a video, several of them; each becomes a `Frame`.

Frames are read one at a time, when asked for. Decoding an image file is `edgecnn.image_file`'s, reading a
video `edgecnn.runtime.video`'s; this module says what comes after what.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn import image_file
from edgecnn.errors import DataError
from edgecnn.results import Result
from edgecnn.runtime.video import Video

Image: TypeAlias = npt.NDArray[np.uint8]

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mjpeg", ".mjpg", ".mpg", ".h264"}
)
"""Endings that are opened as a video, lower case."""


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One image and where it comes from.

    Attributes:
        image: (h, w, 3) uint8 BGR; the receiver's own.
        index: how many frames the iteration gave before this one.
        time_s: `time.monotonic()` at its capture, as near to it as the source knows.
        name: where a person finds it: the file's path; of a video or a camera, `path#number`, first frame 0.
        truth: what is really to be seen, where a drawn scene knows it.
    """

    image: Image
    index: int
    time_s: float
    name: str
    truth: Result | None = None

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the image in pixels."""
        return self.image.shape[1], self.image.shape[0]


def frames(
    source: Path | str | Sequence[Path | str], *, on_error: Callable[[DataError], object] | None = None
) -> Iterator[Frame]:
    """The images of one or several sources, one after the other.

    Args:
        source: an image file; a folder, whose image files come in the order of their names; a pattern such as
            `shots/*.jpg`, `**` for any depth; a video file; or a sequence of these.
        on_error: called with what is wrong with one file, which is then left out (a video: the rest of it).
            None raises it instead, which ends the iteration.

    Raises:
        DataError: a source does not exist or holds no image, or a file cannot be read; names it. The first is
            raised here, before any frame is read.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    if not sources:
        raise DataError("no source given. Give an image, a folder, a pattern or a video.")
    paths: list[Path] = []
    for one in sources:
        try:
            paths.extend(files_of(one))
        except DataError as error:
            if on_error is None:
                raise
            on_error(error)
    return _numbered(paths, on_error)


def _numbered(paths: Sequence[Path], on_error: Callable[[DataError], object] | None) -> Iterator[Frame]:
    index = 0
    for path in paths:
        try:
            for image, name in _images(path):
                yield Frame(image, index, time.monotonic(), name)
                index += 1
        except DataError as error:
            if on_error is None:
                raise
            on_error(error)


def files_of(source: Path | str) -> list[Path]:
    """The images and videos that a path or a pattern stands for, in the order of their names; see `frames`.

    Raises:
        DataError: it does not exist or holds no image.
    """
    path = Path(source)
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        return [path]
    if has_magic(str(source)):
        found = sorted(Path(match) for match in glob(str(source), recursive=True))  # noqa: PTH207  (absolute ones, too)
        images = [match for match in found if match.is_file() and _suffix(match) in _READABLE]
        if not images:
            raise DataError(f"{source}: no image or video matches this pattern")
        return images
    raise DataError(f"{source}: there is no such file or folder")


def _in_folder(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read ({error.strerror})") from None
    images = [
        entry
        for entry in entries
        if _suffix(entry) in image_file.IMAGE_SUFFIXES and not entry.name.startswith(".")
    ]
    if not images:
        deeper = f" Its subfolders are not searched; use '{folder}/**/*.jpg' for that."
        below = deeper if any(entry.is_dir() for entry in entries) else ""
        raise DataError(
            f"{folder}: no image in this folder ({', '.join(sorted(image_file.IMAGE_SUFFIXES))}).{below}"
        )
    return images


def _images(path: Path) -> Iterator[tuple[Image, str]]:
    if _suffix(path) in VIDEO_SUFFIXES:
        yield from _video(path)
    else:
        yield image_file.read(path), str(path)


def _video(path: Path) -> Iterator[tuple[Image, str]]:
    video = Video(path)
    try:
        while (image := video.read()) is not None:
            yield image, f"{path}#{video.number - 1}"
    finally:
        video.close()


def _suffix(path: Path) -> str:
    return path.suffix.lower()


_READABLE = image_file.IMAGE_SUFFIXES | VIDEO_SUFFIXES
