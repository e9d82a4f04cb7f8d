import sys

import numpy as np
import pytest

from edgecnn.runtime.watch.statistics import Pace, Spread


def test_nothing_counted_is_zero() -> None:
    assert Spread().as_dict() == {"p50": 0.0, "p90": 0.0, "p99": 0.0, "max": 0.0, "n": 0}


@pytest.mark.parametrize("percent", [1, 50, 90, 99, 100])
def test_a_percentile_is_at_most_half_a_percent_above_the_true_one_and_never_below(percent: int) -> None:
    times = np.random.default_rng(0).lognormal(2, 1, 5000)
    spread = Spread()
    for time in times:
        spread.add(float(time))
    true = float(np.percentile(times, percent, method="inverted_cdf"))
    assert true <= spread.percentile(percent) * (1 + 1e-9)
    assert spread.percentile(percent) <= true * 1.0051


def test_times_outside_the_bins_are_counted_and_the_maximum_is_exact() -> None:
    spread = Spread()
    for ms in (0.0, 1e-9, 5e9):
        spread.add(ms)
    assert spread.count == 3
    assert spread.maximum == 5e9
    assert spread.percentile(50) <= 1e-3


def test_memory_does_not_grow_with_what_is_counted() -> None:
    spread = Spread()
    before = sys.getsizeof(spread._bins)
    for ms in range(10_000):
        spread.add(ms)
    assert sys.getsizeof(spread._bins) == before


def test_a_pace_is_what_comes_each_second_and_falls_when_nothing_comes() -> None:
    pace = Pace()
    assert pace.per_second(0.0) == 0
    for number in range(100):
        pace.add(number / 10)
    assert pace.per_second(9.95) == pytest.approx(10, rel=0.01)
    assert pace.per_second(20.0) < 5
