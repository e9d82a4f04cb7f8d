"""`edgecnn camera` as a function: a source, a model, and what is done with what it sees.

report = camera("cones.tflite", 0, outputs=Outputs(save=Path("drive.mp4"), live="8080"), seconds=60)

Capture and inference run in threads of their own (`edgecnn.runtime.watch.eyes`). Everything that shows, sends
or saves is here, in the caller's thread, and never slows them down: when results come faster, it gets the
newest one.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Literal

from edgecnn.camera.opening import opened
from edgecnn.camera.outputs import Moment, Outputs
from edgecnn.camera.report import Report
from edgecnn.camera.sinks import Sinks
from edgecnn.errors import DataError
from edgecnn.runtime.environment import environment
from edgecnn.runtime.outputs.overlay import Overlay
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.sources.source import Source
from edgecnn.runtime.tracking.places import Line, Zone
from edgecnn.runtime.watch.eyes import Eyes
from edgecnn.runtime.watch.notice import Notice
from edgecnn.runtime.watch.patience import Patience
from edgecnn.runtime.watch.statistics import Statistics
from edgecnn.watching import open_source, watch

__all__ = ["Outputs", "Report", "camera"]

TURN_S: Final = 0.1
"""How long a result is waited for before everything else gets its turn: a signal, a notice, a window."""

_STATUS_S: Final = 0.5

PICTURES_PER_SECOND: Final = 5.0
"""How fast pictures of a folder follow each other in a recording."""


def camera(
    model: Path | str,
    source: int | str | Path | Callable[[], Source] = 0,
    *,
    outputs: Outputs | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    stop: Callable[[], str | None] = lambda: None,
    on_start: Callable[[Eyes, Sequence[str]], object] = lambda eyes, places: None,
    on_status: Callable[[Statistics, Seen | None], object] = lambda statistics, seen: None,
    on_notice: Callable[[Notice], object] = lambda notice: None,
    camera_wh: tuple[int, int] | None = None,
    camera_fps: float | None = None,
    paced: bool = True,
    every_frame: bool = False,
    track: bool = False,
    zones: Sequence[Zone] = (),
    lines: Sequence[Line] = (),
    max_age_ms: float | None = None,
    fps_cap: float | None = None,
    patience: Patience | None = None,
    hang_s: float = 10.0,
    threads: int | Literal["auto"] = "auto",
    **loading: Any,
) -> Report:
    """Watch a source until it ends, or until it is enough, and say how it went.

    Args:
        model: a `.tflite` file.
        source: what `edgecnn.watching.open_source` takes, or a function that opens a source of your own.
        outputs: where results go; None: nowhere, the report is all.
        frames: end after so many results.
        seconds: end after so long, counted from the first look at the source.
        stop: asked ten times a second; ends the watching with the reason that it gives.
        on_start: called once with the eyes and with the places of outputs, such as the live page's address.
        on_status: called twice a second with the newest result, or None where it is missing or too old.
        on_notice: called with what happens, in this thread.
        camera_wh: width and height that a camera or a drawing is asked for.
        camera_fps: frames a second that it is asked for.
        paced: clips and drawings come in real time; False: as fast as the model can.
        every_frame: no frame is dropped; the source waits.
        track: follow things from frame to frame (detectors only).
        zones: parts of the image whose comings and goings are events. Tracks, too.
        lines: likewise, for who crosses them.
        max_age_ms: the age from which a result is STALE.
        fps_cap: at most so many results a second.
        patience: how long the source is waited for, and when it counts as frozen.
        hang_s: seconds that one inference may take before the interpreter is replaced.
        threads: of the interpreter; "auto" tries what is fastest.
        loading: everything else that `edgecnn.load` takes.

    Returns:
        What happened. What was written is complete by then, also when this raises.

    Raises:
        CameraError: the source cannot be opened, or there is no screen for a window.
        DataError: a file to be written is there already, or an argument makes no sense.
        ModelError: the model cannot be loaded or run; see `edgecnn.load` for more.
        MissingExtra: an output needs a package that is not installed.
        BrokenPipeError: JSON lines go to standard output, and whoever read them has gone.
    """
    outputs = outputs or Outputs()
    if frames is not None and frames < 1:
        raise DataError(f"frames must be 1 or more, not {frames}")
    if seconds is not None and not seconds > 0:
        raise DataError(f"seconds must be above 0, not {seconds}")
    notices: SimpleQueue[Notice] = SimpleQueue()
    opener = source if callable(source) else partial(
        open_source, source, size_wh=camera_wh, fps=camera_fps, paced=paced, every_frame=every_frame
    )  # fmt: skip
    opening = _Opening(opener)
    with ExitStack() as stack:
        eyes = stack.enter_context(
            watch(
                model, opening, every_frame=every_frame, track=track, zones=zones, lines=lines,
                max_age_ms=max_age_ms, fps_cap=fps_cap, patience=patience, hang_s=hang_s,
                on_notice=notices.put, threads=threads, **loading,
            )
        )  # fmt: skip
        delegation, backend, threshold = eyes.delegation(), eyes.backend, eyes.threshold
        outlets = opened(
            outputs, eyes, threshold=threshold, live=opening.live, fps=opening.rate, zones=zones, lines=lines,
            tell=notices.put,
        )  # fmt: skip
        sinks = Sinks(outlets, on_notice=on_notice)
        stack.enter_context(sinks)
        on_start(eyes, sinks.places)
        turns = _Turns(eyes, sinks, notices, opening, Overlay(zones=zones, lines=lines), on_status)
        ended = turns.take(frames=frames, seconds=seconds, stop=stop)
        statistics = eyes.statistics()

        def report() -> Report:
            return Report(
                model=str(model), source=eyes.source_name, ended=ended, statistics=statistics,
                delegation=delegation, backend=backend, notices=dict(sinks.notices),
                written=tuple(sinks.written), unsaved=tuple(sinks.unsaved), environment=environment(),
            )  # fmt: skip

        sinks.finish(lambda: report().as_dict())
    return report()


class _Opening:
    """Opens the source, and remembers what it said about itself."""

    def __init__(self, opener: Callable[[], Source]) -> None:
        self._opener = opener
        self.live = True
        self.fps: float | None = None

    def __call__(self) -> Source:
        source = self._opener()
        self.live, self.fps = source.live, source.fps
        return source

    def time_s(self, seen: Seen) -> float:
        """When a frame was there, as a viewer of a recording should see it."""
        if self.live:
            return seen.frame.time_s
        return seen.frame.index / (self.rate or PICTURES_PER_SECOND)

    @property
    def rate(self) -> float | None:
        """Frames a second in a recording; None where the source does not say."""
        return self.fps if self.live else self.fps or PICTURES_PER_SECOND


class _Turns:
    """The loop: a result or none, notices, status, and whether it is enough."""

    def __init__(
        self,
        eyes: Eyes,
        sinks: Sinks,
        notices: "SimpleQueue[Notice]",
        opening: _Opening,
        overlay: Overlay,
        on_status: Callable[[Statistics, Seen | None], object],
    ) -> None:
        self._eyes, self._sinks, self._notices, self._opening = eyes, sinks, notices, opening
        self._overlay = overlay
        self._on_status = on_status
        self._statistics = eyes.statistics()
        self._status_s = time.monotonic()
        self._newest: Seen | None = None
        self._was_stale = False

    def take(self, *, frames: int | None, seconds: float | None, stop: Callable[[], str | None]) -> str:
        """Go on until it is enough; the reason."""
        start_s = time.monotonic()
        count = 0
        while True:
            seen = self._eyes.next(TURN_S if seconds is None else min(TURN_S, seconds))
            self._pass_notices_on()
            if seen is not None:
                count += 1
                self._see(seen)
            elif self._eyes.ended:
                return "the source has ended"
            self._between()
            if frames is not None and count >= frames:
                return f"{count} frames"
            if seconds is not None and time.monotonic() - start_s >= seconds:
                return f"{seconds:g} seconds"
            if reason := stop() or self._sinks.look():
                return reason

    def _see(self, seen: Seen) -> None:
        self._newest, self._was_stale = seen, False
        self._sinks.see(Moment(seen, self._statistics, self._opening.time_s(seen), self._overlay))

    def _between(self) -> None:
        """What is to be done whether or not a result came."""
        seen, limit = self._newest, self._eyes.max_age_ms
        is_stale = seen is not None and limit is not None and seen.age_ms > limit
        if seen is not None and is_stale and not self._was_stale and self._opening.live:
            self._was_stale = True
            now = time.monotonic()
            self._sinks.see_again(Moment(seen, self._statistics, now, self._overlay))
        if time.monotonic() - self._status_s >= _STATUS_S:
            self._status_s = time.monotonic()
            self._statistics = self._eyes.statistics()
            self._on_status(self._statistics, None if is_stale else seen)

    def _pass_notices_on(self) -> None:
        try:
            while True:
                self._sinks.notice(self._notices.get_nowait())
        except Empty:
            return
