"""Things to show on a page."""

import time

import numpy as np

from edgecnn.results import Boxes
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.model import Timings
from edgecnn.runtime.seen import Seen

STATISTICS = {
    "seconds": 12.5,
    "captured": 375,
    "dropped": 12,
    "results": 363,
    "restarts": {"source": 1, "interpreter": 0},
    "fps": {"captured": 30.0, "results": 29.1},
    "stages_ms": {
        "invoke": {"p50": 12.1, "p90": 13.0, "p99": 15.2, "max": 18.0, "n": 363},
        "delay": {"p50": 21.1, "p90": 24.0, "p99": 29.2, "max": 33.0, "n": 363},
    },
    "max_age_ms": None,
}


class Numbers:
    """Statistics as the page reads them."""

    def __init__(self, **changed):
        self.told = {**STATISTICS, **changed}

    def as_dict(self):
        return self.told


def striped(size_wh=(320, 240)):
    """Left half red, right half blue."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    image[:, : size_wh[0] // 2] = (40, 40, 220)
    image[:, size_wh[0] // 2 :] = (220, 60, 30)
    return image


def seen_now(
    result=None, *, image=None, index=0, delay_ms=20.0, tracks=None, events=(), labels=("ball", "cone")
):
    """Something seen that was captured `delay_ms` ago."""
    if result is None:
        result = Boxes([[20, 30, 120, 130], [180, 60, 300, 200]], [0.9, 0.4], [0, 1], labels)
    now = time.monotonic()
    frame = Frame(striped() if image is None else image, index, now - delay_ms / 1e3, f"drawn#{index}")
    task = "detection" if isinstance(result, Boxes) else "classification"
    return Seen(frame, task, result, Timings(1.0, 12.0, 0.5), now, tracks, events)


def until(true, *, seconds=10.0):
    """Wait until something is so; what it was in the end."""
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return found
