"""A source that does what it is told, frame by frame: for tests of whatever reads sources."""

import threading
import time
from collections.abc import Callable, Iterable

import numpy as np

from edgecnn.errors import CameraError
from edgecnn.runtime.frames import Frame


def picture(number: int, *, size_wh: tuple[int, int] = (64, 48)) -> np.ndarray:
    """Noise that no other number gives."""
    return np.random.default_rng(number).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)


class Scripted:
    """Gives frames at `fps` (None: as fast as asked); each step of the script may replace one of them.

    A step is an image, an exception to raise, seconds to hang, or a function that returns one of these;
    after the script come endless pictures, or the end.
    """

    def __init__(
        self, script: Iterable = (), *, fps: float | None = 200.0, live=True, clock="sensor", endless=True
    ):
        self.name, self.live, self.clock, self.fps = "scripted", live, clock, fps
        self.script, self.endless = list(script), endless
        self.index, self.closed = 0, threading.Event()
        self.start_s = time.monotonic()

    def __iter__(self):
        return self

    def __next__(self) -> Frame:
        if self.closed.is_set():
            raise StopIteration
        if self.fps:
            self.closed.wait(max(0.0, self.start_s + self.index / self.fps - time.monotonic()))
        index = self.index
        self.index += 1
        if index >= len(self.script) and not self.endless:
            raise StopIteration
        step = self.script[index] if index < len(self.script) else picture(index)
        if isinstance(step, Callable):
            step = step()
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, int | float):
            time.sleep(step)  # deaf to its closing, as a driver is
            step = picture(index)
        return Frame(step, index, time.monotonic(), f"scripted#{index}")

    def close(self) -> None:
        self.closed.set()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Openings:
    """Opens one thing after the other: sources, or errors; the last one again and again."""

    def __init__(self, *steps: Scripted | CameraError) -> None:
        self.steps, self.opened = list(steps), []

    def __call__(self) -> Scripted:
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, BaseException):
            raise step
        self.opened.append(step)
        step.start_s, step.index = time.monotonic(), 0
        step.closed.clear()
        return step


def until(true: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Wait for something, but not for ever."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.002)
