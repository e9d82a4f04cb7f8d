"""When frames are due, with a clock the test turns."""

import threading

import pytest

from edgecnn.runtime.sources import schedule as module
from edgecnn.runtime.sources.schedule import Schedule


class Clock:
    """Stands in for the module `time`, and for the event one waits on."""

    def __init__(self):
        self.now_s = 100.0

    def monotonic(self):
        return self.now_s

    def wait(self, seconds):
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def skipping(clock, cost_s, count=10**6):
    """A function that skips a frame for a while; its list tells how often."""
    done = []

    def skip():
        if len(done) == count:
            return False
        done.append(1)
        clock.now_s += cost_s
        return True

    return skip, done


def test_the_first_frame_is_due_when_it_is_ready(clock):
    plan = Schedule(10)
    skip, done = skipping(clock, 0)
    plan.newest(0, skip)
    clock.now_s += 3
    assert plan.wait(0, clock) == 103
    assert not done


def test_a_frame_made_in_time_waits_until_it_is_due(clock):
    plan = Schedule(10)
    plan.wait(0, clock)
    for index in range(1, 5):
        plan.newest(index, pytest.fail)
        clock.now_s += 0.03
        assert plan.wait(index, clock) == pytest.approx(100 + index / 10)
        assert clock.now_s == pytest.approx(100 + index / 10)


@pytest.mark.parametrize(("late_s", "skipped"), [(0.05, 0), (0.19, 0), (0.21, 1), (0.55, 4), (100, 998)])
def test_who_comes_late_gets_the_newest_that_is_due(clock, late_s, skipped):
    plan = Schedule(10)
    plan.wait(0, clock)
    clock.now_s += late_s
    skip, done = skipping(clock, 0.0002)
    plan.newest(1, skip)
    assert len(done) == pytest.approx(skipped, abs=3 if skipped > 100 else 0)
    due_s = plan.wait(1 + len(done), clock)
    assert clock.now_s - due_s < 0.11


def test_who_cannot_even_skip_in_time_goes_on_slower(clock):
    plan = Schedule(10)
    plan.wait(0, clock)
    clock.now_s += 5
    skip, done = skipping(clock, 0.2)  # twice as long as a frame lasts
    plan.newest(1, skip)
    assert len(done) == 3
    assert plan.wait(4, clock) == clock.now_s


def test_nothing_is_skipped_beyond_the_end(clock):
    plan = Schedule(10)
    plan.wait(0, clock)
    clock.now_s += 5
    skip, done = skipping(clock, 0, 7)
    plan.newest(1, skip)
    assert len(done) == 7


def test_a_wait_ends_when_the_source_is_closed():
    plan = Schedule(0.01)
    closing = threading.Event()
    plan.wait(0, closing)
    threading.Timer(0.1, closing.set).start()
    plan.wait(1, closing)
    assert closing.is_set()
