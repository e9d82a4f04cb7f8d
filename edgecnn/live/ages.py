"""How old results were in the last minute, in a fixed amount of memory."""

from array import array
from dataclasses import dataclass

import numpy as np

_KEPT = 8192
"""Results that are remembered: a minute of 136 each second."""

WINDOW_S = 60.0
STEP_S = 0.5

_WAIT_MS = 2000.0
_PATIENCE = 3
"""Where nobody said how old a result may be, it is stale when so many results should have come since."""


@dataclass(frozen=True, slots=True)
class Minute:
    """The last minute.

    Attributes:
        p50_ms: half of the results were no older when they were there; None where there were none.
        p99_ms: likewise 99 of 100.
        middle_ms: for each `STEP_S`, oldest first: the median age; None where no result came.
        oldest_ms: likewise the highest age.
    """

    p50_ms: float | None
    p99_ms: float | None
    middle_ms: tuple[float | None, ...]
    oldest_ms: tuple[float | None, ...]


class Ages:
    """When results came and how old they were. One thread adds, others may read meanwhile."""

    def __init__(self) -> None:
        self._done_s = array("d", bytes(8 * _KEPT))
        self._delay_ms = array("d", bytes(8 * _KEPT))
        self._count = 0

    def add(self, done_s: float, delay_ms: float) -> None:
        """One more result: when it was there, by `time.monotonic()`, and how old its frame was then."""
        place = self._count % _KEPT
        self._delay_ms[place] = delay_ms
        self._done_s[place] = done_s
        self._count += 1

    def minute(self, now_s: float) -> Minute:
        """What the last minute was like."""
        done_s, delay_ms = self._newest(_KEPT)
        steps = round(WINDOW_S / STEP_S)
        # steps lie at fixed times, so that a past one does not change from one look to the next
        first = int(now_s // STEP_S) - steps + 1
        place = (done_s // STEP_S).astype(np.int64) - first
        inside = (place >= 0) & (place < steps)
        place, delay_ms = place[inside], delay_ms[inside]
        middle: list[float | None] = [None] * steps
        oldest: list[float | None] = [None] * steps
        for step in np.unique(place).tolist():
            among = delay_ms[place == step]
            middle[step], oldest[step] = round(float(np.median(among)), 2), round(float(among.max()), 2)
        if not len(delay_ms):
            return Minute(None, None, tuple(middle), tuple(oldest))
        p50, p99 = np.percentile(delay_ms, (50, 99), method="higher").tolist()
        return Minute(round(p50, 2), round(p99, 2), tuple(middle), tuple(oldest))

    def stale_ms(self) -> float:
        """From which age on a result is stale where nobody said it: some should have come since."""
        done_s, delay_ms = self._newest(64)
        if len(done_s) < 2:
            return _WAIT_MS
        usual_ms = float(np.median(np.diff(done_s))) * 1e3
        return max(_WAIT_MS, _PATIENCE * usual_ms + float(delay_ms.max()))

    def _newest(self, most: int) -> tuple["np.ndarray[tuple[int], np.dtype[np.float64]]", ...]:
        """Times and ages of up to `most` results, oldest first; copies."""
        count = self._count
        places = np.arange(max(0, count - min(most, _KEPT)), count) % _KEPT
        return np.array(self._done_s)[places], np.array(self._delay_ms)[places]
