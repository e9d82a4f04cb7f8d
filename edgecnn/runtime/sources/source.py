"""What every source of frames is: an iterator of `Frame` that holds something open."""

from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

from edgecnn.errors import CameraError
from edgecnn.runtime.frames import Frame

Clock: TypeAlias = Literal["sensor", "arrival", "schedule"]
"""What a frame's time is: the sensor's own, when the bytes arrived here (what the wire took is not known), or
the moment at which a file's or a drawn frame was due."""


class DamagedFrame(CameraError):  # noqa: N818  (what it says, as a sentence would)
    """One frame is no image; the source itself is well, and the next `next` goes on with it."""


class Source(Protocol):
    """An iterator of frames. `next` waits for the next one; the end of a file ends the iteration.

    Attributes:
        name: where a person finds it, such as "/dev/video0".
        live: frames come by themselves, and one that nobody takes in time is old. False: they wait.
        clock: what `Frame.time_s` is.
        fps: how many frames a second it announces; None where it says nothing.
    """

    name: str
    live: bool
    clock: Clock
    fps: float | None

    def __iter__(self) -> Self:
        """Itself."""

    def __next__(self) -> Frame:
        """Wait for the next frame; only one thread at a time.

        Raises:
            DamagedFrame: this frame is no image; ask for the next.
            CameraError: the source has vanished; says what to do. It is of no use any more.
            DataError: a file cannot be read.
            StopIteration: it has come to its end, or was closed.
        """

    def close(self) -> None:
        """Let go of it. Any thread may, also while another waits for a frame; twice does no harm."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
