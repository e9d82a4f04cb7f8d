"""Things followed from frame to frame: which box is which thing.

After Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box" (ECCV 2022): boxes
of high score find their tracks first, those of low score then help tracks that found none. Unlike there, time
is in seconds, because frames come when they come, and boxes are compared as widely as the track may have
strayed. How a box moves is `tracking.kalman`'s, who goes with whom `tracking.assignment`'s, what is known at
one moment is `tracking.tracks`'.
"""

from dataclasses import dataclass
from math import inf, isfinite
from typing import Final

import numpy as np

from edgecnn.errors import DataError
from edgecnn.results import Array, Boxes
from edgecnn.runtime.tracking import kalman
from edgecnn.runtime.tracking.assignment import assign
from edgecnn.runtime.tracking.tracks import Tracks

__all__ = ["Tracker", "Tracks"]

_SURE: Final = 0.2
"""Overlap above which a box of high score may go with a confirmed track (ByteTrack: 0.2)."""

_NEW: Final = 0.3
"""Likewise with a track that is not confirmed yet (ByteTrack: 0.3)."""

_WEAK: Final = 0.35
"""Likewise a box of low score with any track: it must lie well, since its score says little (ByteTrack: 0.5,
and only with tracks of the frame before; more of them keep their number this way, benchmarks/tracking.py)."""

_REACH: Final = 1.0
"""Before they are compared, boxes are widened on each side by so many standard deviations of where the track
may be: one that is new, or has not been seen for long, may have strayed."""

_FARTHEST: Final = 0.5
"""But never by more than this share of the track's width and height on each side."""


@dataclass(slots=True)
class _Known:
    """All that is known of n tracks, in the order in which they began. Its arrays are changed in place."""

    state: Array  # (5, n, 4) float64: see kalman
    track_id: Array  # (n,) int64; 0 is not confirmed yet
    label_id: Array  # (n,) int64
    score: Array  # (n,) float32
    hits: Array  # (n,) int64
    seen_s: Array  # (n,) float64: when last

    @staticmethod
    def none() -> "_Known":
        """What is known before the first frame."""
        nothing = Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0), ())
        return _Known.new(np.zeros((0, 4)), nothing, np.zeros(0, np.int64), 0.0)

    @staticmethod
    def new(measured: Array, boxes: Boxes, chosen: Array, time_s: float) -> "_Known":
        """What is known of boxes of which nothing was known."""
        n = len(chosen)
        return _Known(
            kalman.begin(measured[chosen]),
            np.zeros(n, np.int64),
            boxes.label_id[chosen],
            boxes.score[chosen],
            np.ones(n, np.int64),
            np.full(n, time_s),
        )

    def only(self, keep: Array) -> "_Known":
        """What is known of some of them."""
        rows = (self.track_id, self.label_id, self.score, self.hits, self.seen_s)
        return _Known(self.state[:, keep], *(row[keep] for row in rows))

    def and_then(self, other: "_Known") -> "_Known":
        """These, then those."""
        return _Known(
            np.concatenate([self.state, other.state], 1),
            np.concatenate([self.track_id, other.track_id]),
            np.concatenate([self.label_id, other.label_id]),
            np.concatenate([self.score, other.score]),
            np.concatenate([self.hits, other.hits]),
            np.concatenate([self.seen_s, other.seen_s]),
        )

    def see(self, tracks: Array, measured: Array, boxes: Boxes, chosen: Array, time_s: float) -> None:
        """These tracks are seen as those boxes."""
        self.state[:, tracks] = kalman.correct(self.state[:, tracks], measured[chosen])
        self.label_id[tracks] = boxes.label_id[chosen]
        self.score[tracks] = boxes.score[chosen]
        self.hits[tracks] += 1
        self.seen_s[tracks] = time_s


class Tracker:
    """Gives each thing a number and keeps it. Not for several threads at once.

    Args:
        high: score from which a box may begin a track, and is matched first.
        low: score from which a box may go on with a track. Boxes that a detector leaves out cannot help: give
            the model this threshold to make use of it.
        hits: how many frames in a row must show a thing before it is a track and gets its number.
        keep_s: how long a track that is not seen is predicted, and waits for its thing to come back. It ends
            with a frame that does not show it, never between two frames, however far apart these are.
        per_label: a track keeps its label. False: a box of another label may go on with it and changes it;
            for a detector that often takes one thing for another.

    Raises:
        DataError: an impossible option.
    """

    def __init__(
        self,
        *,
        high: float = 0.5,
        low: float = 0.1,
        hits: int = 2,
        keep_s: float = 1.0,
        per_label: bool = True,
    ) -> None:
        self.adjust(high=high, low=low)
        if hits < 1 or not 0 <= keep_s < inf:
            raise DataError(f"tracker: hits {hits} must be 1 or more, keep_s {keep_s} 0 or more seconds")
        self._hits, self._keep_s, self._per_label = hits, keep_s, per_label
        self._known = _Known.none()
        self._labels: tuple[str, ...] | None = None
        self._time_s = -inf
        self._given = 0

    def adjust(self, *, high: float, low: float) -> None:
        """Other scores from the next frame on; all tracks go on.

        Raises:
            DataError: they make no sense together.
        """
        if not 0 <= low <= high <= 1:
            raise DataError(f"tracker: low {low} and high {high} must be scores in 0..1, low <= high")
        self._high, self._low = high, low

    def update(self, boxes: Boxes, time_s: float) -> Tracks:
        """What is followed, now that `boxes` are seen.

        Args:
            boxes: of one frame, in pixels.
            time_s: of that frame, `Frame.time_s`; later than that of the frame before.

        Returns:
            The confirmed tracks, in the order in which they began: those of this frame, and where those
            should be now that were last seen `keep_s` ago at most.

        Raises:
            DataError: a frame that is not later than the one before, or boxes of other labels: another clip
                or another model wants another Tracker. The tracks stay as they were.
        """
        self._check(boxes, time_s)
        known = self._known
        dt_s = time_s - self._time_s
        if known.hits.size:  # at the first frame no time has passed since any other
            known.state = kalman.predict(known.state, dt_s)
        self._time_s, self._labels = time_s, boxes.labels
        measured = kalman.centred(boxes.xyxy)
        free = boxes.score >= self._high
        pairs = self._pairs(known, boxes)
        if pairs:
            tracks, chosen = np.array(pairs).T
            known.see(tracks, measured, boxes, chosen, time_s)
            free[chosen] = False
        lost = known.seen_s < time_s
        ended = lost & ((known.track_id == 0) | (known.seen_s < time_s - self._keep_s))
        if lost.any():
            kalman.fade(known.state, lost, dt_s)
        if ended.any():
            known = known.only(~ended)
        if free.any():
            known = known.and_then(_Known.new(measured, boxes, free.nonzero()[0], time_s))
        self._known = known
        return self._shown(boxes.labels)

    def _check(self, boxes: Boxes, time_s: float) -> None:
        if not isfinite(time_s) or time_s <= self._time_s:
            raise DataError(
                f"tracker: a frame at {time_s:.4f} s after one at {self._time_s:.4f} s. Give each frame once "
                "and in order; a new clip wants a new Tracker."
            )
        if self._labels is not None and boxes.labels != self._labels:
            raise DataError(
                f"tracker: boxes of {len(boxes.labels)} labels after boxes of {len(self._labels)} others. "
                "Another model wants another Tracker."
            )

    def _pairs(self, known: _Known, boxes: Boxes) -> list[tuple[int, int]]:
        """Which track goes on as which box: confirmed tracks choose first, and boxes of high score first."""
        overlap = _overlap(known.state, boxes.xyxy)
        if self._per_label:
            overlap[known.label_id[:, None] != boxes.label_id] = 0
        high, confirmed = boxes.score >= self._high, known.track_id > 0
        low, anyone = ~high & (boxes.score >= self._low), np.ones_like(confirmed)
        pairs: list[tuple[int, int]] = []
        for rows, columns, least in (
            (confirmed, high, _SURE),
            (~confirmed, high, _NEW),
            (anyone, low, _WEAK),
        ):
            if rows.any() and columns.any():
                new = assign((overlap - least) * (rows[:, None] & columns))
                for row, column in new:
                    overlap[row] = overlap[:, column] = 0
                pairs += new
        return pairs

    def _shown(self, labels: tuple[str, ...]) -> Tracks:
        """The confirmed tracks; those that have just become so get their numbers."""
        known = self._known
        risen = ((known.track_id == 0) & (known.hits >= self._hits)).nonzero()[0]
        if risen.size:
            known.track_id[risen] = np.arange(self._given + 1, self._given + 1 + risen.size)
            self._given += risen.size
        shown = known.track_id.nonzero()[0]
        place, rate = known.state[kalman.PLACE, shown], known.state[kalman.RATE, shown].astype(np.float32)
        xyxy = kalman.cornered(place).astype(np.float32)
        boxes = Boxes.adopt(xyxy, known.score[shown], known.label_id[shown], labels)
        seen = known.seen_s[shown] == self._time_s
        return Tracks(boxes, known.track_id[shown], rate[:, :2], self._time_s, seen, rate[:, 2:])


def _overlap(state: Array, xyxy: Array) -> Array:
    """(n, m) float64: intersection over union of tracks and boxes, both widened by how far a track strays."""
    place = state[kalman.PLACE]
    deviation = np.sqrt(state[kalman.PLACE_VARIANCE, :, :2])
    wider = 2 * np.minimum(_REACH * deviation, _FARTHEST * place[:, 2:])[:, None]
    expected = kalman.cornered(place)[:, None]
    least, most = np.maximum(expected, xyxy), np.minimum(expected, xyxy)
    common = np.maximum(most[..., 2:] - least[..., :2] + wider, 0)
    theirs = xyxy[:, 2:] - xyxy[:, :2] + wider
    ours = place[:, None, 2:] + wider
    both = common[..., 0] * common[..., 1]
    union = theirs[..., 0] * theirs[..., 1] + ours[..., 0] * ours[..., 1] - both
    overlap: Array = both / union  # no track is smaller than a pixel, so that no union is empty
    return overlap
