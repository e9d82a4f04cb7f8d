"""The drive through a drawn world as a camera: a source of frames that knows what is really to be seen.

drawn                                  seed 0, 320 x 240, 30 frames a second
drawn:7?size=640x480&fps=15            another world, size and rate
drawn:7?truth=0                        without truth, which takes a sixth of the time
"""

import re
import time
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from edgecnn.data.drawn.video import Shot, drawn_video
from edgecnn.errors import DataError
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.sources.opened import Opened
from edgecnn.runtime.sources.schedule import Schedule

SIZE_WH = (320, 240)
FPS = 30.0


class DrawnSource(Opened):
    """A drive that has no end. The same name always shows the same.

    Paced, each frame is painted before it is due, and given when it is; of those whose time has passed, only
    the newest is painted, and the index shows how many were left out.

    Attributes:
        seed: what the world follows from.
        size_wh: of the images, in pixels.
    """

    def __init__(
        self,
        word: str = "drawn",
        *,
        size_wh: tuple[int, int] | None = None,
        fps: float | None = None,
        paced: bool = True,
        every_frame: bool = False,
    ) -> None:
        """Nothing is painted yet.

        Args:
            word: see this module.
            size_wh: where the word does not say.
            fps: likewise.
            paced: in real time; False: as fast as asked for, every frame.
            every_frame: paced, none is left out either; who is late gets it late.

        Raises:
            DataError: the word says something else, or an impossible size, seed or rate.
        """
        super().__init__()
        said = _parsed(word)
        self.seed = said.seed
        self.size_wh = said.size_wh or size_wh or SIZE_WH
        rate = said.fps or fps or FPS
        self.fps = rate
        self.name = word
        self.live = paced
        self.clock = "schedule"
        self._with_truth = said.truth
        self._drive = drawn_video(self.seed, size_wh=self.size_wh, fps=rate)
        self._next = 0
        self._schedule = Schedule(rate, every_frame=every_frame) if paced else None

    def _read(self) -> Frame:
        due_s = time.monotonic()
        if self._schedule is not None:
            self._schedule.newest(self._next, self._skip)
        shot = self._advanced()
        image = shot.image
        truth = shot.boxes if self._with_truth else None
        if self._schedule is not None:
            due_s = self._schedule.wait(shot.index, self._closing)
        return Frame(image, shot.index, due_s, f"{self.name}#{shot.index}", truth)

    def _advanced(self) -> Shot:
        self._next += 1
        return next(self._drive)

    def _skip(self) -> bool:
        self._advanced()
        return True

    def _release(self) -> None:
        """Only memory is held."""


def recognizes(word: str) -> bool:
    """Whether a word names a drawn drive, rightly or wrongly spelled."""
    return re.match(r"drawn($|[:?])", word) is not None


@dataclass(frozen=True, slots=True)
class _Said:
    """What a word says; None where it is silent."""

    seed: int = 0
    size_wh: tuple[int, int] | None = None
    fps: float | None = None
    truth: bool = True


def _parsed(word: str) -> _Said:
    found = re.fullmatch(r"drawn(?::(\d{1,10}))?(?:\?(.*))?", word)
    if found is None:
        raise DataError(f"{word}: not a drawn drive. Write it like drawn:7?size=320x240&fps=30")
    said = _Said(int(found[1] or 0))
    for key, value in parse_qsl(found[2] or "", keep_blank_values=True):
        if key == "size" and (size := re.fullmatch(r"(\d{1,5})x(\d{1,5})", value)):
            said = replace(said, size_wh=(int(size[1]), int(size[2])))
        elif key == "fps" and re.fullmatch(r"\d{1,4}(\.\d{1,6})?", value) and float(value) > 0:
            said = replace(said, fps=float(value))
        elif key == "truth" and value in ("0", "1"):
            said = replace(said, truth=value == "1")
        else:
            raise DataError(
                f"{word}: {key}={value} is not understood. Options are size=WIDTHxHEIGHT, fps=N "
                "and truth=0 or 1"
            )
    return said
