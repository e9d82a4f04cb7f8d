"""What happens at lines and in zones of the image: who comes, who leaves and after how long, who crosses.

A thing is where it stands: at the middle of its box's lower edge, or at its middle where the camera looks
down from above. Only what a frame really shows makes events: a track that is not seen stays where it was, and
what it did meanwhile is told when it is seen again.

Boxes tremble, so that one who stands on a border would come and go with every frame. Therefore a zone is left
only by who is outside by a margin, and a line is crossed only by who was clear of it by a margin on one side
and then is so on the other. The margin is a share of the thing's own size, as the trembling is.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import cv2
import numpy as np

from edgecnn.errors import DataError
from edgecnn.results import Array
from edgecnn.runtime.tracking.places import Line, Point, Zone, meet, parse_line, parse_zone, side
from edgecnn.runtime.tracking.tracks import Tracks

__all__ = ["Event", "Line", "Zone", "Zones", "parse_line", "parse_zone"]

Kind: TypeAlias = Literal["enter", "leave", "cross"]
Direction: TypeAlias = Literal["forward", "backward"]
Standing: TypeAlias = Literal["foot", "centre"]

_LEAST_PX: Final = 1.0
"""No margin is smaller."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that one track did at one place.

    Attributes:
        time_s: of the frame that shows it, as in `Frame.time_s`.
        kind: what.
        name: of the zone or line.
        track_id: who; see `Tracks`.
        label: what it is.
        direction: of a crossing; see `Line`.
        inside_s: of a leave: seconds from entering to when it was last seen inside.
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


@dataclass(slots=True)
class _Stay:
    """One track in one zone."""

    label: str
    since_s: float
    last_s: float


class Zones:
    """Remembers who is where, and tells what changes. Not for several threads at once.

    Args:
        zones: their names differ from each other and from the lines'.
        lines: likewise.
        stands: which point of a box says where the thing is: "foot", the middle of its lower edge, or
            "centre".
        margin: share of a box's mean width and height within which it is still where it was.

    Raises:
        DataError: two places of one name, or a negative margin.
    """

    def __init__(
        self,
        zones: Sequence[Zone] = (),
        lines: Sequence[Line] = (),
        *,
        stands: Standing = "foot",
        margin: float = 0.1,
    ) -> None:
        names = [*(zone.name for zone in zones), *(line.name for line in lines)]
        twice = [name for name, number in Counter(names).items() if number > 1]
        if twice:
            raise DataError(f"two zones or lines are called {twice[0]!r}: give each a name of its own")
        if not margin >= 0:
            raise DataError(f"zones: the margin is {margin}, but must be 0 or more")
        self._zones, self._lines = tuple(zones), tuple(lines)
        self._stands, self._margin = stands, margin
        self._stays: dict[str, dict[int, _Stay]] = {zone.name: {} for zone in zones}
        self._clear_at: dict[str, dict[int, Point]] = {line.name: {} for line in lines}
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._size_wh: tuple[int, int] | None = None
        self._outlines: dict[str, Array] = {}

    def update(self, tracks: Tracks, size_wh: tuple[int, int]) -> tuple[Event, ...]:
        """What happened with this frame, zones before lines.

        Args:
            tracks: of the frame; a track that is not among them any more has ended, and leaves where it was.
            size_wh: of the frame's image.

        Raises:
            DataError: a place lies outside an image of this size.
        """
        if size_wh != self._size_wh:
            self._measure(size_wh)
        alive = set(tracks.track_id.tolist())
        seen = tracks.seen.nonzero()[0].tolist()
        points = _points(tracks.boxes.xyxy, self._stands, size_wh) if seen else []
        margins = _margins(tracks.boxes.xyxy, self._margin) if seen else []
        here = [
            (
                int(tracks.track_id[i]),
                tracks.boxes.labels[int(tracks.boxes.label_id[i])],
                points[i],
                margins[i],
            )
            for i in seen
        ]
        events: list[Event] = []
        for zone in self._zones:
            events += self._in_zone(zone.name, here, alive, tracks.time_s)
        for line in self._lines:
            events += self._over_line(line.name, here, alive, tracks.time_s)
        for event in events:
            self._counts[event.name, event.direction or event.kind, event.label] += 1
        return tuple(events)

    def counts(self) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
        """How often so far, by place, what and label; of a zone also who is inside now. JSON-ready.

        {"door": {"enter": {"person": 3}, "leave": {"person": 2}, "inside": {"person": 1}},
        "gate": {"forward": {"car": 4}, "backward": {}}}
        """
        counts: dict[str, dict[str, dict[str, int]]] = {
            **{zone.name: {"enter": {}, "leave": {}, "inside": {}} for zone in self._zones},
            **{line.name: {"forward": {}, "backward": {}} for line in self._lines},
        }
        for (name, what, label), number in self._counts.items():
            counts[name][what][label] = number
        for name, stays in self._stays.items():
            counts[name]["inside"] = dict(Counter(stay.label for stay in stays.values()))
        return counts

    def _measure(self, size_wh: tuple[int, int]) -> None:
        outlines = {zone.name: zone.pixels(size_wh) for zone in self._zones}
        outlines |= {line.name: line.pixels(size_wh) for line in self._lines}
        for name, outline in outlines.items():
            if (outline.min(0) >= size_wh).any() or (outline.max(0) <= 0).any():
                raise DataError(
                    f"{name!r} lies outside the image, which is {size_wh[0]}x{size_wh[1]} pixels. "
                    "Fractions (0..1) fit any size."
                )
        self._outlines, self._size_wh = outlines, size_wh
        for clear_at in self._clear_at.values():
            clear_at.clear()  # in pixels of an image that is no more

    def _in_zone(self, name: str, here: Sequence["_Here"], alive: set[int], time_s: float) -> list[Event]:
        stays, outline = self._stays[name], self._outlines[name]
        events = []
        for track_id, label, point, margin in here:
            depth = cv2.pointPolygonTest(outline, point, True)
            stay = stays.get(track_id)
            if depth >= 0 and stay is None:
                stays[track_id] = _Stay(label, time_s, time_s)
                events.append(Event(time_s, "enter", name, track_id, label))
            elif depth >= -margin and stay is not None:
                stay.last_s = time_s
            elif stay is not None:
                events.append(self._left(name, track_id, time_s))
        events += [self._left(name, gone, time_s) for gone in sorted(set(stays) - alive)]
        return events

    def _left(self, name: str, track_id: int, time_s: float) -> Event:
        stay = self._stays[name].pop(track_id)
        return Event(time_s, "leave", name, track_id, stay.label, inside_s=stay.last_s - stay.since_s)

    def _over_line(self, name: str, here: Sequence["_Here"], alive: set[int], time_s: float) -> list[Event]:
        clear_at = self._clear_at[name]
        start, end = (tuple(point) for point in self._outlines[name].tolist())
        length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
        events = []
        for track_id, label, point, margin in here:
            if abs(side(start, end, point)) < margin * length:
                continue
            before = clear_at.get(track_id)
            clear_at[track_id] = point
            if before is not None and meet(before, point, start, end):
                direction: Direction = "forward" if side(start, end, point) < 0 else "backward"
                events.append(Event(time_s, "cross", name, track_id, label, direction))
        for gone in set(clear_at) - alive:
            del clear_at[gone]
        return events


_Here: TypeAlias = tuple[int, str, Point, float]


def _points(xyxy: Array, stands: Standing, size_wh: tuple[int, int]) -> list[Point]:
    """Where each box stands, within the image: who stands beyond its edge is in the zone at that edge."""
    x = (xyxy[:, 0] + xyxy[:, 2]) / 2
    y = xyxy[:, 3] if stands == "foot" else (xyxy[:, 1] + xyxy[:, 3]) / 2
    return list(zip(np.clip(x, 0, size_wh[0]).tolist(), np.clip(y, 0, size_wh[1]).tolist(), strict=True))


def _margins(xyxy: Array, share: float) -> list[float]:
    size = (xyxy[:, 2:] - xyxy[:, :2]).mean(1)
    margins: list[float] = np.maximum(share * size, _LEAST_PX).tolist()
    return margins
