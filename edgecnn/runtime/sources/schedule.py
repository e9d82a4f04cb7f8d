"""When each frame of a recording or a drawing is due, so that it comes as it would from a camera."""

import time
from collections.abc import Callable
from threading import Event

_LONGEST_SKIP_S = 0.5
"""Longer is not spent on frames whose time has passed: a device too slow for a clip would do nothing else."""


class Schedule:
    """Frame i is due at start + i / fps; the start is when the first frame is ready.

    For each frame: `newest`, then make it, then `wait`. So it is made before it is due, and comes when it is.
    """

    def __init__(self, fps: float, *, every_frame: bool = False) -> None:
        """Nothing is due yet. `every_frame`: who is late passes over nothing; what follows is due later."""
        self._period_s = 1 / fps
        self._every = every_frame
        self._start_s: float | None = None

    def newest(self, index: int, skip: Callable[[], bool]) -> None:
        """Pass over frames whose time has passed while nobody asked, up to the newest one that is due.

        Whoever cannot even pass over them in time goes on from here, slower than real time.

        Args:
            index: of the frame that would come next.
            skip: passes over one frame; False where none is left.
        """
        if self._start_s is None:
            return
        now_s = time.monotonic()
        give_up_s = now_s if self._every else now_s + _LONGEST_SKIP_S
        while self._start_s + (index + 1) * self._period_s <= now_s:
            if now_s >= give_up_s:
                self._start_s = now_s - index * self._period_s
                return
            if not skip():
                return
            index += 1
            now_s = time.monotonic()

    def wait(self, index: int, closing: Event) -> float:
        """Wait until a frame is due, or until `closing` is set.

        Returns:
            `time.monotonic()` when it was due.
        """
        if self._start_s is None:
            self._start_s = time.monotonic() - index * self._period_s
        due_s = self._start_s + index * self._period_s
        remaining_s = due_s - time.monotonic()
        if remaining_s > 0:
            closing.wait(remaining_s)
        return due_s
