"""Files as sources: a clip or pictures, in real time as from a camera, or as fast as they are asked for."""

import time
from collections.abc import Sequence
from pathlib import Path

from edgecnn import image_file
from edgecnn.errors import DataError
from edgecnn.runtime.frames import VIDEO_SUFFIXES, Frame, files_of
from edgecnn.runtime.sources.opened import Opened
from edgecnn.runtime.sources.schedule import Schedule
from edgecnn.runtime.sources.source import DamagedFrame
from edgecnn.runtime.video import Video


def recorded(
    word: str, *, fps: float | None = None, paced: bool = True, every_frame: bool = False
) -> "Clip | Pictures":
    """Open a clip, a folder of pictures, a pattern or one picture.

    Args:
        word: its path.
        fps: how fast it goes on; None: a clip's own rate, and pictures as fast as they are asked for.
        paced: in real time; False: as fast as asked for, none left out.
        every_frame: paced, none is left out either; whoever is late gets it late, and all that follow.

    Raises:
        DataError: there is no such file, or it is no clip and no picture.
    """
    paths = files_of(word)
    clips = [path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES]
    if not clips:
        return Pictures(word, paths, fps=fps if paced else None, every_frame=every_frame)
    if len(paths) > 1:
        raise DataError(
            f"{word}: {len(clips)} videos and {len(paths) - len(clips)} images match. Give one video, or a "
            "pattern that matches images only."
        )
    return Clip(paths[0], fps=fps, paced=paced, every_frame=every_frame)


class Clip(Opened):
    """A video file.

    Paced, frame i comes when it is due, and frames whose time has passed are left out, which the index shows,
    unless every frame counts.
    """

    def __init__(
        self, path: Path, *, fps: float | None = None, paced: bool = True, every_frame: bool = False
    ) -> None:
        """Open it.

        Raises:
            DataError: it cannot be opened, or paced, and nobody says how fast it is.
        """
        super().__init__()
        self._video = Video(path)
        self.name = str(path)
        self.live = paced
        self.clock = "schedule"
        self.fps = fps or self._video.fps
        self._schedule: Schedule | None = None
        self._ended = False
        if not paced:
            return
        if self.fps is None:
            self._video.close()
            raise DataError(
                f"{path} does not say how many frames a second it has. Say it (fps), or run it unpaced."
            )
        self._schedule = Schedule(self.fps, every_frame=every_frame)

    def _read(self) -> Frame:
        if self._ended:
            raise StopIteration
        due_s = time.monotonic()
        try:
            if self._schedule is not None:
                self._schedule.newest(self._video.number, self._video.skip)
            image = self._video.read()
        except DataError:
            self._ended = True
            raise
        if image is None:
            self._ended = True
            raise StopIteration
        number = self._video.number - 1
        if self._schedule is not None:
            due_s = self._schedule.wait(number, self._closing)
        return Frame(image, number, due_s, f"{self.name}#{number}")

    def _release(self) -> None:
        self._video.close()


class Pictures(Opened):
    """Image files, in order, each once; with a rate, as a camera of that rate would give them."""

    def __init__(
        self, name: str, paths: Sequence[Path], *, fps: float | None = None, every_frame: bool = False
    ) -> None:
        """Nothing is read yet.

        Args:
            name: what to call them.
            paths: of the files.
            fps: images a second; None gives them as fast as they are asked for.
            every_frame: none is left out, however late.
        """
        super().__init__()
        self.name = name
        self.live = fps is not None
        self.clock = "schedule"
        self.fps = fps
        self._schedule = None if fps is None else Schedule(fps, every_frame=every_frame)
        self._paths = tuple(paths)
        self._index = 0

    def _read(self) -> Frame:
        due_s = time.monotonic()
        if self._schedule is not None:
            self._schedule.newest(self._index, self._skip)
        if self._index >= len(self._paths):
            raise StopIteration
        path, number = self._paths[self._index], self._index
        self._index += 1
        try:
            image = image_file.read(path)
        except DataError as error:
            if len(self._paths) == 1:
                raise
            raise DamagedFrame(str(error)) from None
        if self._schedule is not None:
            due_s = self._schedule.wait(number, self._closing)
        return Frame(image, number, due_s, str(path))

    def _skip(self) -> bool:
        if self._index >= len(self._paths) - 1:  # the last is given, however late
            return False
        self._index += 1
        return True

    def _release(self) -> None:
        """Files are open only while they are read."""
