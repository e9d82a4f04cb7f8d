"""Things followed from frame to frame: which box is which thing, where it goes, and where it will be.

`Tracks` is what is known at one moment, and can be moved on to another.
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
        boxes: smoothed places of things that are seen in this frame, or that were seen a moment ago and
            must be about here now. Score and label are those of the last box that matched.
        track_id: (n,) int64: a number for each thing, from 1, that no other thing of this tracker ever gets.
        velocity_px_s: (n, 2) float32: of the centre, to the right and down.
        time_s: of the frame, as in `Frame.time_s`.
        seen: (n,) bool: a box of this very frame matched; otherwise the place is a prediction. Where nothing
            is said, all of them.
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

    def records(self) -> list[dict[str, Any]]:
        """JSON-ready dicts: track, label, score, box_xyxy, velocity_px_s, seen."""
        return [
            {
                "track": int(self.track_id[i]),
                "label": self.boxes.labels[int(self.boxes.label_id[i])],
                "score": float(self.boxes.score[i]),
                "box_xyxy": [float(v) for v in self.boxes.xyxy[i]],
                "velocity_px_s": [float(v) for v in self.velocity_px_s[i]],
                "seen": bool(self.seen[i]),
            }
            for i in range(len(self))
        ]
