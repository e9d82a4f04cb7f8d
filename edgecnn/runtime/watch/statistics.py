"""Counts and times of a camera that may run for weeks: percentiles in a fixed amount of memory."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, exp, log
from typing import Any

_LEAST_MS = 1e-3
_MOST_MS = 1e6
_STEP = log(1.005)
_BINS = ceil(log(_MOST_MS / _LEAST_MS) / _STEP) + 1

_RECENT = 64


class Spread:
    """How times are spread: counted in 4,147 bins of half a percent each, from 1 µs to 1,000 s.

    A percentile is the upper edge of its bin, so that no time is called shorter than it was. One thread adds;
    others may read meanwhile.
    """

    def __init__(self) -> None:
        self.count = 0
        self.maximum = 0.0
        self._bins = [0] * _BINS

    def add(self, ms: float) -> None:
        """Count one time, in milliseconds; what lies outside the bins is counted in the nearest."""
        place = ceil(log(max(ms, _LEAST_MS) / _LEAST_MS) / _STEP)
        self._bins[min(place, _BINS - 1)] += 1
        self.count += 1
        self.maximum = max(self.maximum, ms)

    def percentile(self, percent: float) -> float:
        """The time, in ms, that `percent` of those counted did not exceed; 0 where nothing was counted."""
        wanted = max(1, ceil(self.count * percent / 100))
        so_far = 0
        for place, number in enumerate(self._bins):
            so_far += number
            if so_far >= wanted:
                return min(_LEAST_MS * exp(place * _STEP), self.maximum)
        return self.maximum

    def as_dict(self) -> dict[str, float]:
        """p50, p90, p99 and max in ms, and n, how many were counted."""
        named = {f"p{percent}": round(self.percentile(percent), 4) for percent in (50, 90, 99)}
        return {**named, "max": round(self.maximum, 4), "n": self.count}


class Pace:
    """How many of something there are each second, now: over the last 64."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_RECENT)

    def add(self, time_s: float) -> None:
        """One more, at `time.monotonic()`."""
        self._times.append(time_s)

    def per_second(self, now_s: float) -> float:
        """0 before the second one. It falls when none comes any more."""
        times = tuple(self._times)
        if len(times) < 2:
            return 0.0
        steps = len(times) - 1
        usual = (times[-1] - times[0]) / steps
        # a pause much longer than usual belongs to the time that is looked at
        pause = now_s - times[-1]
        return steps / max(times[-1] - times[0] + (pause if pause > 2 * usual else 0.0), 1e-9)


@dataclass(frozen=True)
class Statistics:
    """What a pair of eyes has done so far.

    Attributes:
        seconds: since the first frame was asked for.
        captured: frames that the source gave.
        dropped: frames that no model saw, because a newer one was there first.
        repeated: frames left out because a frozen source gave the same picture again.
        damaged: frames that could not be used.
        results: frames that were answered.
        restarts: how often the source was opened again ("source") and the interpreter replaced
            ("interpreter").
        fps: frames and results per second, now: "captured", "results".
        stages_ms: of each stage p50, p90, p99, max and n. `capture`: from asking for a frame until it was
            there, the wait for the camera included. `wait`: a frame's age when its turn came. `prepare`,
            `invoke`, `decode`. `track`: following things, lines and zones. `delay`: a frame's age when its
            result was there.
        threads: of the interpreter.
        max_age_ms: the age above which a result is stale; None where nothing was said.
    """

    seconds: float
    captured: int
    dropped: int
    repeated: int
    damaged: int
    results: int
    restarts: Mapping[str, int]
    fps: Mapping[str, float]
    stages_ms: Mapping[str, Mapping[str, float]]
    threads: int
    max_age_ms: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "seconds": round(self.seconds, 3),
            "captured": self.captured,
            "dropped": self.dropped,
            "repeated": self.repeated,
            "damaged": self.damaged,
            "results": self.results,
            "restarts": dict(self.restarts),
            "fps": {name: round(value, 2) for name, value in self.fps.items()},
            "stages_ms": {name: dict(values) for name, values in self.stages_ms.items()},
            "threads": self.threads,
            "max_age_ms": self.max_age_ms,
        }
