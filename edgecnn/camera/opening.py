"""Each kind of output, opened. A mistake in what was asked for is an error here, before anything is seen."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edgecnn.camera.outputs import Moment, Outputs, Sink
from edgecnn.errors import CameraError
from edgecnn.runtime.outputs.hard_cases import HardCases
from edgecnn.runtime.outputs.jsonl import JsonLines, record
from edgecnn.runtime.outputs.recording import Recording
from edgecnn.runtime.outputs.window import Window
from edgecnn.runtime.tracking.places import Line, Zone
from edgecnn.runtime.watch.eyes import Eyes
from edgecnn.runtime.watch.notice import Notice

MOST_FPS: Final = 30.0
"""A recording of a camera has at most so many pictures a second."""


def opened(
    outputs: Outputs,
    eyes: Eyes,
    *,
    threshold: float | None,
    live: bool,
    fps: float | None,
    zones: Sequence[Zone] = (),
    lines: Sequence[Line] = (),
    tell: Callable[[Notice], object],
) -> Iterator[Sink]:
    """Open each output that is asked for, when it is asked for here.

    Args:
        outputs: which.
        eyes: what they show.
        threshold: the least score of a box that is shown; None where there are no boxes.
        live: frames come by themselves, at a camera's pace; False: none is left out of a recording.
        fps: what the source announces.
        zones: drawn.
        lines: likewise.
        tell: told what happens to an output between results, from any thread.

    Raises:
        CameraError: there is no screen.
        DataError: a file is there already or cannot be written.
        MissingExtra: a package is not installed.
    """
    shown = {"threshold": threshold}
    if outputs.json is not None:
        yield _json_lines(outputs.json, outputs.force)
    if outputs.save is not None:
        yield _recording(
            outputs.save, min(fps or MOST_FPS, MOST_FPS) if live else fps or MOST_FPS, outputs.force
        )
    if outputs.hard_cases is not None:
        yield _hard_cases(outputs.hard_cases, eyes.card.task, shown)
    if outputs.mqtt is not None:
        yield _broker(outputs.mqtt, tell)
    if outputs.live is not None:
        yield _page(outputs.live, outputs.token, eyes, shown, {"zones": zones, "lines": lines})
    if outputs.show:
        yield _window(eyes)


def _json_lines(path: Path | str, force: bool) -> Sink:
    lines = JsonLines(path, force=force)
    return Sink(
        "json",
        see=lambda moment: lines.write(record(moment.seen)),
        notice=lambda notice: lines.write(notice.as_dict()),
        end=lambda report: lines.write({"report": report}),
        close=lines.close,
        files=lambda: () if str(path) == "-" else (Path(path),),
    )


def _recording(path: Path, fps: float, force: bool) -> Sink:
    recording = Recording(path, fps=fps, force=force)

    def write(moment: Moment) -> None:
        recording.write(moment.picture, moment.time_s)

    return Sink("save", see=write, see_again=write, close=recording.close, files=lambda: recording.paths)


def _hard_cases(folder: Path, task: str, shown: Mapping[str, float | None]) -> Sink:
    cases = HardCases(folder, task=task)

    def look(moment: Moment) -> None:
        cases.look(moment.seen, shown["threshold"] or 0.0)

    return Sink("record-low-confidence", see=look, files=lambda: (folder,) if cases.kept else ())


def _broker(url: str, tell: Callable[[Notice], object]) -> Sink:
    from edgecnn.live.mqtt import Broker  # an extra

    broker = Broker(url, on_notice=tell)

    def publish(moment: Moment) -> None:
        broker.publish(moment.seen)
        for event in moment.seen.events:
            broker.publish(event)

    def close() -> None:
        broker.close()
        left = broker.delivery()
        if left.dropped or left.waiting:
            raise CameraError(
                f"mqtt: {left.delivered} messages arrived, {left.dropped + left.waiting} did not"
            )

    return Sink("mqtt", see=publish, close=close)


def _page(
    address: str, token: str | None, eyes: Eyes, shown: dict[str, float | None], places: Mapping[str, Any]
) -> Sink:
    from edgecnn.live.page import Page  # an extra

    def adjust(**options: Any) -> None:
        eyes.adjust(**options)
        shown.update(options)

    title = f"{eyes.card.name} · {eyes.source_name}"
    page = Page(address, token=token, title=title, adjust=adjust, threshold=shown["threshold"], **places)

    def show(moment: Moment) -> None:
        page.show(moment.seen, eyes.statistics)  # the page asks for them only while somebody looks

    return Sink("live", see=show, see_again=show, notice=page.notice, close=page.close, place=page.url)


def _window(eyes: Eyes) -> Sink:
    window = Window(f"{eyes.card.name} · {eyes.source_name}")

    def show(moment: Moment) -> None:
        window.show(moment.picture)

    def look() -> str | None:
        window.look()
        return "the window was closed" if window.closed else None

    return Sink("show", see=show, see_again=show, look=look, close=window.close)
