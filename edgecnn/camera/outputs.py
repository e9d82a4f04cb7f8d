"""What may be done with results, and what each way of doing it looks like to the camera."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgecnn.image import Image
from edgecnn.runtime.outputs.overlay import Overlay
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.watch.notice import Notice
from edgecnn.runtime.watch.statistics import Statistics


@dataclass(frozen=True)
class Outputs:
    """What is done with results; None and False: nothing.

    Attributes:
        show: a window on this machine's screen.
        live: [HOST:]PORT of a page for browsers.
        token: what a browser must know to see the page.
        save: a video file with everything drawn in; .mp4, .mkv or .avi.
        json: a file of JSON lines; "-" is standard output.
        hard_cases: a folder for frames on which the model is of two minds.
        mqtt: URL of a broker that gets results and events.
        force: overwrite files that are there.
    """

    show: bool = False
    live: str | None = None
    token: str | None = None
    save: Path | None = None
    json: Path | str | None = None
    hard_cases: Path | None = None
    mqtt: str | None = None
    force: bool = False


@dataclass(frozen=True)
class Moment:
    """One result, ready to be given out.

    Attributes:
        seen: the result.
        statistics: not more than half a second old.
        time_s: when the picture was there, on the clock of a recording.
        overlay: draws it.
    """

    seen: Seen
    statistics: Statistics
    time_s: float
    overlay: Overlay

    @cached_property
    def picture(self) -> Image:
        """With everything drawn in; drawn once, however many ask."""
        return self.overlay.draw(self.seen, self.statistics)


def nothing(_: Any = None) -> None:
    """What an output does about something that it does not care for."""


@dataclass(frozen=True)
class Sink:
    """One output that is open, as functions. Each may raise `OSError` or `EdgecnnError`.

    Attributes:
        name: what a person calls it.
        see: takes a result.
        see_again: takes the newest result again, since it has become STALE.
        notice: takes what happened.
        look: called ten times a second; gives the reason why the person at this output wants to end.
        end: takes the report.
        close: completes what was written.
        files: what was written, complete after `close`.
        place: what a person may want to open, such as the page's address.
    """

    name: str
    see: Callable[[Moment], object] = nothing
    see_again: Callable[[Moment], object] = nothing
    notice: Callable[[Notice], object] = nothing
    look: Callable[[], str | None] = nothing
    end: Callable[[dict[str, Any]], object] = nothing
    close: Callable[[], object] = nothing
    files: Callable[[], Sequence[Path]] = tuple
    place: str | None = None
