import numpy as np
import pytest

from edgecnn.runtime import turns
from edgecnn.runtime.turns import median, percentile, ratio_interval, time_in_turns


@pytest.fixture
def clock(monkeypatch):
    """A clock that only models move: what is timed does not depend on what else the machine does."""

    class Clock:
        now = 0.0

    monkeypatch.setattr(turns, "perf_counter", lambda: Clock.now)
    return Clock


class Busy:
    """Takes so many milliseconds a run, and writes down that it ran."""

    def __init__(self, clock, ms, log=None):
        self.clock, self.ms, self.log = clock, ms, [] if log is None else log

    def invoke(self):
        self.log.append(self)
        self.clock.now += self.ms / 1e3


def test_one_model_has_its_turns_alone(clock):
    (times,) = time_in_turns([Busy(clock, 0.5)], 0.001, fewest=3)
    assert times.shape == (3, 4)
    np.testing.assert_allclose(times, 0.5)


def test_a_slow_model_has_turns_of_one_run(clock):
    (times,) = time_in_turns([Busy(clock, 3.0)], 0.001, fewest=2)
    assert times.shape == (2, 1)


def test_models_take_turns_and_the_first_run_of_each_is_not_counted(clock):
    log = []
    one, other = Busy(clock, 3.0, log), Busy(clock, 1.0, log)
    times = time_in_turns([one, other], 0.001, fewest=2)
    assert [each.shape for each in times] == [(2, 1), (2, 2)]
    assert log[-10:] == [one, one, other, other, other] * 2


def test_seconds_are_for_each_model(clock):
    times = time_in_turns([Busy(clock, 1.0), Busy(clock, 1.0)], 0.15, fewest=1)
    assert len(times[0]) == len(times[1]) == 50  # of 2 x 3 ms each, the first runs included


def test_a_percentile_is_a_run_that_took_place():
    times = np.array([[1.0, 2.0], [3.0, 10.0]])
    assert median(times) == 2.0
    assert percentile(times, 99) == 10.0


def noise(seed, *, scale, count=200, drift=0.0):
    random = np.random.default_rng(seed)
    wave = 1 + drift * np.sin(np.linspace(0, 30, count))[:, None]
    return scale * wave * random.lognormal(0, 0.2, (count, 3))


def test_of_the_same_model_the_interval_holds_one_about_as_often_as_it_says():
    held = 0
    for seed in range(100):
        low, high = ratio_interval(
            noise(seed, scale=1, drift=0.5), noise(1000 + seed, scale=1, drift=0.5), resamples=200
        )
        held += low <= 1 <= high
    assert 88 <= held <= 100


def test_what_hits_both_alike_cancels_out():
    low, high = ratio_interval(noise(1, scale=0.6, drift=0.5), noise(2, scale=1, drift=0.5))
    assert 0.55 < low < 0.6 < high < 0.65


def test_few_turns_of_a_busy_machine_prove_little():
    few = [noise(seed, scale=1, count=6)[:, :1] for seed in (1, 2)]
    many = [noise(seed, scale=1, count=600)[:, :1] for seed in (1, 2)]
    widths = [high - low for low, high in (ratio_interval(*few), ratio_interval(*many))]
    assert widths[0] > 3 * widths[1]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_hardly_any_turns_are_no_error(count):
    low, high = ratio_interval(np.full((count, 1), 2.0), np.full((count, 2), 1.0))
    assert (low, high) == (2.0, 2.0)
