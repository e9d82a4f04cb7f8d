"""A loop that keeps its beat, and says when it did not.

for tick in edgecnn.Rate(50):            # 50 turns a second
    steer(eyes.latest(max_age_ms=120))
    if tick.missed: ...                  # this many beats before it were lost: the turns took too long
"""

import time
from dataclasses import dataclass
from typing import Any, Self

from edgecnn.errors import DataError
from edgecnn.runtime.watch.statistics import Spread


@dataclass(frozen=True, slots=True)
class Tick:
    """One turn of the loop.

    Attributes:
        index: counts the turns from 0.
        time_s: `time.monotonic()` now.
        late_ms: how long after its beat the turn began.
        missed: beats before this one that had no turn, because the turn before took too long.
    """

    index: int
    time_s: float
    late_ms: float
    missed: int


class Rate:
    """An iterator that waits for the next beat. It never catches up by turns in quick succession.

    Attributes:
        hz: beats a second.
        turns: beats that had a turn.
        missed: beats that had none.
    """

    def __init__(self, hz: float) -> None:
        """A loop of `hz` turns a second.

        Raises:
            DataError: not above 0, or more than 10,000.
        """
        if not 0 < hz <= 10_000:
            raise DataError(f"a rate of {hz} Hz cannot be kept; give one above 0 and up to 10000")
        self.hz = hz
        self.turns = 0
        self.missed = 0
        self._late = Spread()
        self._beat = 0
        self._start_s: float | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Tick:
        now = time.monotonic()
        if self._start_s is None:
            self._start_s = now
        passed = int((now - self._start_s) * self.hz)
        # a turn that ends a moment after its next beat begins that one late; only whole periods are lost
        missed = max(0, passed - self._beat)
        self._beat += missed
        due = self._start_s + self._beat / self.hz
        while (wait := due - time.monotonic()) > 0:
            time.sleep(wait)
        now = time.monotonic()
        late_ms = (now - due) * 1e3
        self._late.add(late_ms)
        tick = Tick(self.turns, now, late_ms, missed)
        self._beat += 1
        self.turns += 1
        self.missed += missed
        return tick

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: hz, turns, missed, late_ms (p50, p90, p99, max)."""
        return {"hz": self.hz, "turns": self.turns, "missed": self.missed, "late_ms": self._late.as_dict()}
