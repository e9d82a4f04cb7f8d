"""The picture that a person looks at: what was seen, who is who, what happened where, and how old it is.

What a result looks like is its task's; here comes what a camera adds: numbers of tracks, zones and lines with
their counts, and in a corner the rate and the age. It remembers the counts, and nothing else.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import cv2
import numpy as np

from edgecnn.image import Image
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.tracking.places import Line, Zone
from edgecnn.runtime.tracking.tracks import Tracks
from edgecnn.runtime.tracking.zones import Event
from edgecnn.runtime.watch.statistics import Statistics

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_PLACE: Final = (255, 200, 0)
_RED: Final = (40, 40, 230)
_DARK: Final = (20, 20, 20)
_LIGHT: Final = (255, 255, 255)
_GONE: Final = (150, 150, 150)


class Overlay:
    """Draws what was seen, frame after frame."""

    def __init__(self, *, zones: Sequence[Zone] = (), lines: Sequence[Line] = ()) -> None:
        self._zones, self._lines = tuple(zones), tuple(lines)
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, events: Iterable[Event]) -> None:
        """Take note of what happened. Call it for every result, also for those that are not drawn."""
        for event in events:
            self._counts[event.name, event.direction or event.kind] += 1

    def draw(self, seen: Seen, statistics: Statistics) -> Image:
        """A new picture of a result.

        Args:
            seen: the result. The age shown is the one it has now.
            statistics: give the rate, and the age from which a result is STALE.

        Returns:
            (h, w, 3) uint8 BGR, of the frame's size.
        """
        canvas = np.ascontiguousarray(seen.drawn())
        height, width = canvas.shape[:2]
        for zone in self._zones:
            inside = self._counts[zone.name, "enter"] - self._counts[zone.name, "leave"]
            _draw_place(canvas, zone, f"{zone.name} {inside}")
        for line in self._lines:
            there, back = (self._counts[line.name, direction] for direction in ("forward", "backward"))
            _draw_place(canvas, line, f"{line.name} {there} | {back}")
        if seen.tracks is not None:
            _draw_tracks(canvas, seen.tracks)
        age_ms, limit_ms = seen.age_ms, statistics.max_age_ms
        is_stale = limit_ms is not None and age_ms > limit_ms
        text = f"{statistics.fps['results']:.1f}/s  {age_ms:.0f} ms" + ("  STALE" if is_stale else "")
        _write(canvas, text, (width, 0), _RED if is_stale else _DARK, size=_size(canvas))
        if is_stale:
            cv2.rectangle(canvas, (0, 0), (width - 1, height - 1), _RED, max(2, round(height / 120)))
        return canvas


def _draw_place(canvas: Image, place: Zone | Line, text: str) -> None:
    """Its outline, and its name at the topmost point."""
    height, width = canvas.shape[:2]
    corners = np.rint(place.pixels((width, height))).astype(np.int32)
    thick = max(1, round(min(height, width) / 300))
    cv2.polylines(canvas, [corners.reshape(-1, 1, 2)], isinstance(place, Zone), _PLACE, thick, cv2.LINE_AA)
    x, y = corners[corners[:, 1].argmin()].tolist()
    _write(canvas, text, (x, y), _PLACE, size=_size(canvas))


def _draw_tracks(canvas: Image, tracks: Tracks) -> None:
    """Numbers under the boxes; of a thing that this frame did not show only a thin grey frame."""
    corners = np.rint(tracks.boxes.xyxy).astype(np.int64).tolist()
    for place, number, is_seen in zip(corners, tracks.track_id, tracks.seen, strict=True):
        left, top, right, bottom = place
        if is_seen:
            _write(canvas, f"#{number}", (left, bottom), _DARK, size=_size(canvas))
        else:
            cv2.rectangle(canvas, (left, top), (right, bottom), _GONE, 1)


def _size(canvas: Image) -> float:
    """Of letters, as the tasks have it."""
    height, width = canvas.shape[:2]
    return float(max(0.35, min(height, width) / 900))


def _write(
    canvas: Image, text: str, corner: tuple[int, int], ground: tuple[int, int, int], *, size: float
) -> None:
    """Write on a filled ground, its top left corner at `corner` or as near to it as the image allows."""
    height, width = canvas.shape[:2]
    thick = max(1, round(size * 1.4))
    (wide, high), below = cv2.getTextSize(text, _FONT, size, thick)
    pad = max(1, high // 5)
    wide, tall = wide + 2 * pad, high + below + 2 * pad
    left, top = max(0, min(corner[0], width - wide)), max(0, min(corner[1], height - tall))
    cv2.rectangle(canvas, (left, top), (left + wide, top + tall), ground, cv2.FILLED)
    # luma of Rec. 601: dark letters on bright ground
    ink = _DARK if 0.299 * ground[2] + 0.587 * ground[1] + 0.114 * ground[0] > 120 else _LIGHT
    cv2.putText(canvas, text, (left + pad, top + pad + high), _FONT, size, ink, thick, cv2.LINE_AA)
