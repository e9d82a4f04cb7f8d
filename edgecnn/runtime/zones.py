"""What happens at lines and in zones of the image: who comes in, who leaves and after how long, who crosses.

Places are named by the caller; which box is which thing is `edgecnn.runtime.track`'s.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Point: TypeAlias = tuple[float, float]
Kind: TypeAlias = Literal["enter", "leave", "cross"]
Direction: TypeAlias = Literal["forward", "backward"]


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the image with straight edges.

    Attributes:
        name: what its events are called.
        points: three corners or more, in order around it: (x, y), to the right and down. When every number
            lies in 0..1 they are fractions of the image's width and height, otherwise pixels.
    """

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line from one point to another.

    Who walks along it from start to end sees things that cross it forward come from the right hand and go to
    the left: a line drawn from top to bottom is crossed forward to the right, one drawn from left to right is
    crossed forward upwards, away from the camera.

    Attributes:
        name: what its events are called.
        start: (x, y), in the same units as a zone's points.
        end: likewise.
    """

    name: str
    start: Point
    end: Point


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that one track did at one place.

    Attributes:
        time_s: of the frame that shows it, as in `Frame.time_s`.
        kind: what.
        name: of the zone or line.
        track_id: who; see `Tracks`.
        label: what it is.
        direction: of a crossing.
        inside_s: of a leave: for how many seconds it was in the zone.
    """

    time_s: float
    kind: Kind
    name: str
    track_id: int
    label: str
    direction: Direction | None = None
    inside_s: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: event, name, track, label, time_s, and direction or inside_s where there is one."""
        words: dict[str, Any] = {
            "event": self.kind,
            "name": self.name,
            "track": self.track_id,
            "label": self.label,
            "time_s": round(self.time_s, 4),
        }
        if self.direction is not None:
            words["direction"] = self.direction
        if self.inside_s is not None:
            words["inside_s"] = round(self.inside_s, 3)
        return words
