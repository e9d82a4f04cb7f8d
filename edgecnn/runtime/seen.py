"""What a model saw, and how old that is; or that nothing young enough was seen."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from edgecnn.image import Image
from edgecnn.results import Result
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.model import Timings
from edgecnn.tasks import TASKS

if TYPE_CHECKING:
    from edgecnn.runtime.tracking.tracks import Tracks
    from edgecnn.runtime.tracking.zones import Event


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """One frame, what the model says about it, and what that took.

    Attributes:
        frame: the image and where it comes from.
        task: a key of `edgecnn.tasks.TASKS`.
        result: in pixels of `frame.image`.
        timings: of this frame.
        done_s: `time.monotonic()` when the result was there.
        tracks: the things followed from frame to frame; None where nothing is tracked.
        events: what happened at lines and zones with this frame, and with those before it whose results were
            replaced before anybody took them.
        picture: the annotated picture's file; None where none was asked for.
    """

    frame: Frame
    task: str
    result: Result
    timings: Timings
    done_s: float
    tracks: "Tracks | None" = None
    events: "tuple[Event, ...]" = ()
    picture: Path | None = None

    @property
    def age_ms(self) -> float:
        """How old the frame is now, since its capture; it grows while you look at it."""
        return (time.monotonic() - self.frame.time_s) * 1e3

    @property
    def delay_ms(self) -> float:
        """How old the frame was when its result was there."""
        return (self.done_s - self.frame.time_s) * 1e3

    def as_dict(self, *, top: int | None = None) -> dict[str, Any]:
        """JSON-ready: source, task, results (the `top` best), latency_ms of each stage."""
        return {
            "source": self.frame.name,
            "task": self.task,
            "results": self.result.records(top),
            "latency_ms": {
                "prepare": round(self.timings.prepare_ms, 4),
                "invoke": round(self.timings.invoke_ms, 4),
                "decode": round(self.timings.decode_ms, 4),
                "total": round(self.timings.total_ms, 4),
            },
        }

    def drawn(self) -> Image:
        """A copy of the frame's image with the result drawn on it."""
        return TASKS[self.task].draw(self.frame.image, self.result)


@dataclass(frozen=True, slots=True)
class Stale:
    """Nothing young enough was seen. It is false, so that `if seen:` asks what it should."""

    def __bool__(self) -> Literal[False]:
        """False."""
        return False

    def __repr__(self) -> str:
        return "STALE"


STALE: Final = Stale()
"""What `latest` answers when there is no result, or only one that is too old."""
