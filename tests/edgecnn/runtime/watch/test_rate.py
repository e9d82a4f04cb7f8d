import time

import pytest

from edgecnn.errors import DataError
from edgecnn.runtime.watch.rate import Rate


@pytest.mark.parametrize("hz", [0, -1, 1e6, float("nan")])
def test_an_impossible_rate_is_refused(hz: float) -> None:
    with pytest.raises(DataError, match="Hz"):
        Rate(hz)


def test_the_beat_is_kept_however_long_a_turn_takes_within_it() -> None:
    rate = Rate(100)
    times = []
    for tick in rate:
        times.append(tick.time_s)
        time.sleep(0.004)
        if tick.index == 30:
            break
    assert rate.turns == 31
    beats = (times[-1] - times[0]) * 100
    assert beats == pytest.approx(30 + rate.missed, abs=1)


def test_missed_beats_are_counted_and_not_made_up_for() -> None:
    rate = Rate(50)
    first = next(rate)
    time.sleep(0.09)  # beats at 20, 40, 60 ms have no turn; the one at 80 ms begins late
    second = next(rate)
    third = next(rate)
    assert (first.missed, rate.missed - third.missed) == (0, second.missed)
    assert second.missed >= 3
    assert second.late_ms >= 0
    assert third.time_s - first.time_s >= 0.1 - 1e-3
    assert rate.as_dict()["missed"] == rate.missed
