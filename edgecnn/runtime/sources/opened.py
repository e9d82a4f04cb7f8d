"""What all sources share: one thread reads, any thread may close.

A `cv2.VideoCapture` that is released while another thread reads from it ends the process. So whoever closes
only says so; what is held open is given back by the thread that reads, or at once where none does.
"""

from abc import ABC, abstractmethod
from threading import Event, Lock
from types import TracebackType
from typing import Self

from edgecnn.errors import EdgecnnError
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.sources.source import Clock


class Opened(ABC):
    """Half a `Source`: all but how a frame is read and what is held open."""

    name: str
    live: bool
    clock: Clock
    fps: float | None

    def __init__(self) -> None:
        self._closing = Event()
        self._busy = Lock()
        self._held = True

    @abstractmethod
    def _read(self) -> Frame:
        """The next frame; raises as `Source.__next__`. Waits end early once `_closing` is set."""

    @abstractmethod
    def _release(self) -> None:
        """Give back what is held open; called once, never during `_read`."""

    def _interrupt(self) -> None:  # noqa: B027  (most have nothing to interrupt)
        """Wake a thread that waits in `_read`, where that can be done."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        try:
            with self._busy:
                if self._closing.is_set():
                    raise StopIteration
                try:
                    frame = self._read()
                except EdgecnnError:
                    if self._closing.is_set():  # what was torn from its hands cannot be read
                        raise StopIteration from None
                    raise
        finally:
            if self._closing.is_set():
                self._let_go()
        if self._closing.is_set():
            raise StopIteration
        return frame

    def close(self) -> None:
        """Let go of it, now or as soon as the thread that reads comes back. Never waits."""
        self._closing.set()
        self._interrupt()
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _let_go(self) -> None:
        if not self._busy.acquire(blocking=False):
            return  # whoever reads does it on the way out
        try:
            if self._held:
                self._held = False
                self._release()
        finally:
            self._busy.release()
