"""From boxes to things: what is followed through the frames, and what happens at lines and in zones.

A tracker wants boxes that the user does not: those of low score help it to keep a thing. So the model is
asked for more than is shown, and what is shown is chosen here.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from edgecnn.card import Card
from edgecnn.errors import DataError
from edgecnn.results import Boxes, Result
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.tracking.track import Tracker
from edgecnn.runtime.tracking.tracks import Tracks
from edgecnn.runtime.tracking.zones import Event, Line, Zone, Zones
from edgecnn.tasks.detection.settings import settings

_LOW: Final = 0.1
"""Boxes of this score and more go on with a track (ByteTrack's own); at most half the threshold, though."""

_SOON_S: Final = 1e-6


class Following:
    """Follows the things of one camera. Not for several threads at once.

    Attributes:
        threshold: least score of a box that is shown, and with which a track begins.
        trouble: why there are no events now, such as a zone outside frames of a new size; else None.
    """

    def __init__(self, card: Card, *, zones: Sequence[Zone] = (), lines: Sequence[Line] = ()) -> None:
        """Follow what a detector finds, from nothing.

        Raises:
            DataError: the card is of another task, or a zone or a line makes no sense.
        """
        if card.task != "detection":
            raise DataError(f"{card.name} is for {card.task}: only a detector's boxes can be tracked")
        self.threshold = settings(card).threshold
        self._tracker = Tracker(high=self.threshold, low=self._low)
        self._zones = Zones(zones, lines)
        self._has_places = bool(zones or lines)
        self._time_s = -float("inf")
        self.trouble: str | None = None

    @property
    def asked(self) -> dict[str, Any]:
        """The options under which the model is to be asked."""
        return {"threshold": self._low}

    def adjust(self, **options: Any) -> dict[str, Any]:
        """Change the threshold of what is shown; all other options are the model's. Tracks go on.

        Returns:
            The options under which the model is to be asked from now on.
        """
        if "threshold" in options:
            self.threshold = float(options["threshold"])
            self._tracker.adjust(high=self.threshold, low=self._low)
        return {**options, **self.asked}

    def follow(self, frame: Frame, result: Result) -> tuple[Boxes, Tracks, tuple[Event, ...]]:
        """The boxes that are shown, the tracks, and what happened.

        Args:
            frame: later than the one before.
            result: under the options `asked`.
        """
        if not isinstance(result, Boxes):
            raise DataError(f"{type(result).__name__} cannot be followed, only Boxes can")
        # frames of one folder, or of a camera with a coarse clock, may carry one and the same time
        self._time_s = max(frame.time_s, self._time_s + _SOON_S)
        tracks = self._tracker.update(result, self._time_s)
        return self._shown(result), tracks, self._events(tracks, frame)

    def _events(self, tracks: Tracks, frame: Frame) -> tuple[Event, ...]:
        if not self._has_places:
            return ()
        try:
            events = self._zones.update(tracks, frame.size_wh)
        except DataError as error:
            self.trouble = str(error)
            return ()
        self.trouble = None
        return events

    @property
    def _low(self) -> float:
        return min(_LOW, self.threshold / 2)

    def _shown(self, boxes: Boxes) -> Boxes:
        keep = np.flatnonzero(boxes.score >= np.float32(self.threshold))
        if keep.size == len(boxes):
            return boxes
        return Boxes.adopt(
            boxes.xyxy.take(keep, axis=0), boxes.score.take(keep), boxes.label_id.take(keep), boxes.labels
        )
