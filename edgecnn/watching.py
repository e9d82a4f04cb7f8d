"""A model that watches: which source a word names, drawn scenes among them, and the eyes on it.

with edgecnn.watch("cones.tflite", source=0) as eyes:            # starts capture and inference
    while robot.ok():
        seen = eyes.latest(max_age_ms=120)                       # never blocks
        robot.steer(bearing(seen)) if seen else robot.stop()
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from edgecnn.runtime import sources
from edgecnn.runtime.model import Model, load
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.sources.source import Source
from edgecnn.runtime.tracking.zones import Line, Zone
from edgecnn.runtime.watch.eyes import Eyes
from edgecnn.runtime.watch.notice import Notice
from edgecnn.runtime.watch.patience import Patience


def open_source(
    word: int | str | Path,
    *,
    size_wh: tuple[int, int] | None = None,
    fps: float | None = None,
    paced: bool = True,
    every_frame: bool = False,
) -> Source:
    """Open what a word names: `edgecnn.runtime.sources.open_source`, and drawn scenes.

    Args:
        word: a camera's number, "/dev/video0", "picamera2", "rtsp://…", "http://…", a clip, a folder, an
            image; or "drawn", "drawn:7", "drawn:7?size=320x240&fps=30": a drive through drawn scenes.
        size_wh: what a camera or a drawing is asked for; None leaves it to them.
        fps: likewise.
        paced: clips and drawings come in real time; False: as fast as they are asked for.
        every_frame: nothing of them is left out, paced or not; what is taken late comes late.

    Raises:
        CameraError: it cannot be opened; says why and what to do.
        DataError: a file that cannot be read, or drawn scenes that cannot be drawn.
    """
    if isinstance(word, str) and word.startswith("drawn"):
        from edgecnn.data.drawn.camera import (
            DrawnSource,
            recognizes,
        )  # a device that never draws does without

        if recognizes(word):
            return DrawnSource(word, size_wh=size_wh, fps=fps, paced=paced, every_frame=every_frame)
        return DrawnSource(word, size_wh=size_wh, fps=fps, paced=paced, every_frame=every_frame)
    return sources.open_source(word, size_wh=size_wh, fps=fps, paced=paced, every_frame=every_frame)


def watch(
    model: Model | Path | str,
    source: int | str | Path | Callable[[], Source] = 0,
    *,
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
    on_seen: Callable[[Seen], object] | None = None,
    on_notice: Callable[[Notice], object] = lambda notice: None,
    on_stale: Callable[[], object] | None = None,
    on_fresh: Callable[[], object] | None = None,
    threads: int | Literal["auto"] = "auto",
    **loading: Any,
) -> Eyes:
    """Start capture and inference; the newest result is then always at hand.

    Args:
        model: a `.tflite` file, which is loaded again when its interpreter hangs; or a loaded model, which
            stays open in the end.
        source: what `open_source` takes, or a function that opens a source of your own.
        camera_wh: width and height that a camera or a drawing is asked for.
        camera_fps: frames a second that it is asked for.
        paced: whether recordings and drawings come in real time.
        every_frame: no frame is dropped: the source waits for the model, and the model for whoever iterates.
        track: follow things (detectors only): `Seen.tracks`, and prediction between results.
        zones: parts of the image; who enters and leaves them is in `Seen.events`. Tracks, too.
        lines: likewise, for who crosses them.
        max_age_ms: the age from which a result is too old; `latest` then says STALE.
        fps_cap: at most so many results a second, to save energy.
        patience: how long a source is waited for, and when it counts as frozen.
        hang_s: seconds that one inference may take before the interpreter is replaced.
        on_seen: called with each result, in a thread of its own; where it is slow it gets the newest only.
        on_notice: called with what happens: a camera vanishes, freezes, is back. Must return soon.
        on_stale: called once when the newest result becomes too old: put the robot into its safe state. The
            eyes begin in that state. Must return soon.
        on_fresh: called once when there is a young result again, the first one included.
        threads: of the interpreter, for a file; "auto" tries in the first second what is fastest.
        loading: everything else that `edgecnn.load` takes: labels, options, delegate, require_delegate, ...

    Raises:
        CameraError: the source cannot be opened. One that vanishes later is opened again and again instead.
        ModelError: the model cannot be loaded; see `edgecnn.load` for more.
        DataError: an argument makes no sense.
    """

    def opened() -> Source:
        if callable(source):
            return source()
        return open_source(source, size_wh=camera_wh, fps=camera_fps, paced=paced, every_frame=every_frame)

    reloading = None if isinstance(model, Model) else partial(load, model, threads=threads, **loading)
    loaded = model if isinstance(model, Model) else load(model, threads=threads, **loading)
    try:
        return Eyes(
            loaded,
            opened,
            loading=reloading,
            every_frame=every_frame,
            track=track,
            zones=zones,
            lines=lines,
            max_age_ms=max_age_ms,
            fps_cap=fps_cap,
            patience=patience,
            hang_s=hang_s,
            on_seen=on_seen,
            on_notice=on_notice,
            on_stale=on_stale,
            on_fresh=on_fresh,
        )
    except BaseException:
        if reloading is not None:
            loaded.close()
        raise
