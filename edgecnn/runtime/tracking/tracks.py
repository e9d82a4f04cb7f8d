"""What is known of the things that are followed, at one moment, and where they will be at another.

Which box is which thing is `edgecnn.runtime.tracking.track`'s.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgecnn.errors import DataError
from edgecnn.results import Array, Boxes

_UNSAID = np.zeros(0)


@dataclass(frozen=True, eq=False)
class Tracks:
    """n things at one moment. Arrays are read-only.

    Attributes:
        boxes: smoothed places of things that are seen in this frame, or that were seen a moment ago and must
            be about here now; parts of them may lie outside the image. Score and label are those of the last
            box that matched.
        track_id: (n,) int64: a number for each thing, from 1, that no other thing of this tracker ever gets.
        velocity_px_s: (n, 2) float32: of the centre, to the right and down.
        time_s: when this is so, as in `Frame.time_s`.
        seen: (n,) bool: the newest frame showed it; otherwise its place is a guess. Where nothing is said,
            all of them.
        growth_px_s: (n, 2) float32: how fast width and height grow. Where nothing is said, not at all.
    """

    boxes: Boxes
    track_id: Array
    velocity_px_s: Array
    time_s: float
    seen: Array = field(default_factory=lambda: _UNSAID)
    growth_px_s: Array = field(default_factory=lambda: _UNSAID)

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.seen is _UNSAID:
            object.__setattr__(self, "seen", np.ones(n, bool))
        if self.growth_px_s is _UNSAID:
            object.__setattr__(self, "growth_px_s", np.zeros((n, 2), np.float32))
        for name, dtype, shape in (
            ("track_id", np.int64, (n,)),
            ("velocity_px_s", np.float32, (n, 2)),
            ("seen", np.bool_, (n,)),
            ("growth_px_s", np.float32, (n, 2)),
        ):
            array = np.array(getattr(self, name), dtype=dtype)
            if array.shape != shape:
                raise DataError(f"Tracks.{name} must have shape {shape}, not {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.track_id)

    @property
    def speed_px_s(self) -> Array:
        """(n,) float32: how fast the centre moves, whatever the direction."""
        return np.hypot(self.velocity_px_s[:, 0], self.velocity_px_s[:, 1])

    def only(self, keep: Array) -> "Tracks":
        """Some of them, such as `tracks.only(tracks.seen)`; (n,) bool or indices."""
        boxes = self.boxes
        return Tracks(
            Boxes.adopt(boxes.xyxy[keep], boxes.score[keep], boxes.label_id[keep], boxes.labels),
            self.track_id[keep],
            self.velocity_px_s[keep],
            self.time_s,
            self.seen[keep],
            self.growth_px_s[keep],
        )

    def at(self, time_s: float) -> "Tracks":
        """Where they are at another moment, shortly after this one, if each goes on as it does.

        The centre moves at its velocity. Width and height grow as they do, but never to less than half or
        more than twice what they are: growth is the least certain of what is known.
        """
        dt_s = np.float32(time_s - self.time_s)
        xyxy = self.boxes.xyxy
        size = xyxy[:, 2:] - xyxy[:, :2]
        centre = xyxy[:, :2] + size / 2 + self.velocity_px_s * dt_s
        half = np.clip(size + self.growth_px_s * dt_s, size / 2, size * 2) / 2
        moved = np.concatenate([centre - half, centre + half], 1)
        boxes = Boxes.adopt(moved, self.boxes.score, self.boxes.label_id, self.boxes.labels)
        return Tracks(boxes, self.track_id, self.velocity_px_s, time_s, self.seen, self.growth_px_s)

    def records(self) -> list[dict[str, Any]]:
        """JSON-ready dicts: track, label, score, box_xyxy, velocity_px_s, seen."""
        labels = self.boxes.labels
        rows = zip(
            self.track_id.tolist(),
            self.boxes.label_id.tolist(),
            self.boxes.score.tolist(),
            self.boxes.xyxy.tolist(),
            self.velocity_px_s.tolist(),
            self.seen.tolist(),
            strict=True,
        )
        return [
            {
                "track": track_id,
                "label": labels[label_id],
                "score": score,
                "box_xyxy": xyxy,
                "velocity_px_s": velocity,
                "seen": seen,
            }
            for track_id, label_id, score, xyxy, velocity, seen in rows
        ]
