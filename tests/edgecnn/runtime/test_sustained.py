"""Sustained speed: the first minute against those at the end, and what held the processor back."""

import json
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.runtime import sustained as module
from edgecnn.runtime.delegates import Delegation
from edgecnn.runtime.environment import State
from edgecnn.runtime.interpreter import Backend
from edgecnn.runtime.model import Model
from edgecnn.runtime.sustained import sustained

QUIET = State(1500.0, 50.0, (), 0)


class Board(Model):
    """Takes as many milliseconds as `pace` says after so many minutes, on a clock of its own."""

    path = "board.tflite"
    backend = Backend("litert", "2")
    threads = 1

    def __init__(self, pace, monkeypatch, interrupt_after=None):
        self.now, self.pace, self.runs, self.interrupt_after = 0.0, pace, 0, interrupt_after
        self.random = np.random.default_rng(0)
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def __call__(self, image):
        self.runs += 1
        if self.interrupt_after is not None and self.now >= self.interrupt_after * 60:
            raise KeyboardInterrupt
        self.now += self.pace(self.now / 60) * self.random.uniform(0.98, 1.02) / 1e3

    def delegation(self):
        return Delegation("xnnpack", 3, 3, (), 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"minutes": 0}, "nothing to measure"),
        ({"minutes": float("inf")}, "nothing to measure"),
        ({"minutes": 1, "images": []}, "nothing to measure"),
    ],
)
def test_no_time_and_no_image_are_refused(words, said):
    with pytest.raises(DataError, match=said):
        sustained("m.tflite", **words)


@pytest.mark.parametrize(
    ("pace", "verdict", "change"),
    [
        (lambda minute: 100, "steady", 0.0),
        (lambda minute: 100 if minute < 2 else 125, "slower", 0.25),
        (lambda minute: 100 if minute < 2 else 80, "faster", -0.2),
        (lambda minute: 100 + minute / 5, "steady", 0.01),  # one per cent is notable to nobody
    ],
)
def test_the_first_minute_is_compared_with_the_last_half(monkeypatch, pace, verdict, change):
    found = sustained(Board(pace, monkeypatch), minutes=8, reading=lambda: QUIET)
    assert len(found.intervals) == 8
    assert [round(one.until_s / 60) for one in found.intervals] == list(range(1, 9))
    assert found.verdict == verdict
    assert found.change == pytest.approx(change, abs=0.012)
    assert found.change_low < found.change < found.change_high
    assert found.first_ms == pytest.approx(100, rel=0.02)
    assert sum(one.runs for one in found.intervals) == pytest.approx(480_000 / (100 + 75 * change), rel=0.05)
    assert not found.was_interrupted
    assert json.loads(json.dumps(found.as_dict()))["verdict"] == verdict


def test_a_percentile_is_a_run_that_took_place(monkeypatch):
    ticks = count()
    found = sustained(
        Board(lambda minute: 500 if next(ticks) % 20 == 0 else 100, monkeypatch),
        minutes=4,
        reading=lambda: QUIET,
    )
    for one in found.intervals:
        assert one.p50 == pytest.approx(100, rel=0.03)
        assert one.p99 == pytest.approx(500, rel=0.03)
        assert one.p50 <= one.p90 <= one.p99


def test_clock_temperature_and_what_held_the_processor_back_are_told(monkeypatch):
    states = iter(
        [QUIET] * 11 + [State(1500.0, 82.0, (), 0), State(600.0, 85.5, ("under-voltage",), 0)] * 100
    )
    found = sustained(Board(lambda minute: 100, monkeypatch), minutes=4, reading=lambda: next(states))
    first, second = found.intervals[:2]
    assert (first.clock_mhz, first.temperature_c, first.throttled) == (1500, 50, ())
    assert (second.clock_mhz, second.temperature_c, second.throttled) == (600, 85.5, ("under-voltage",))
    assert found.throttled == ("under-voltage",)
    assert "held back by the system: under-voltage" in str(found)


def test_a_processor_that_only_counts_its_throttling_is_believed(monkeypatch):
    events = count(5)
    found = sustained(
        Board(lambda minute: 100, monkeypatch), minutes=4, reading=lambda: State(None, None, (), next(events))
    )
    assert found.throttled == ("heat",)
    assert found.intervals[0].clock_mhz is None


def test_ctrl_c_keeps_what_was_measured(monkeypatch):
    told = []
    board = Board(lambda minute: 100, monkeypatch, interrupt_after=2.55)
    found = sustained(board, minutes=30, reading=lambda: QUIET, on_interval=told.append)
    assert found.was_interrupted
    assert [round(one.until_s) for one in found.intervals] == [60, 120, 153]
    assert told == list(found.intervals[:2])  # of the last, the caller has the report
    assert found.intervals[-1].runs == pytest.approx(330, abs=8)
    assert str(found).endswith("; interrupted")


def test_ctrl_c_while_somebody_is_told_loses_nothing(monkeypatch):
    def telling(interval):
        raise KeyboardInterrupt

    board = Board(lambda minute: 100, monkeypatch)
    found = sustained(board, minutes=30, reading=lambda: QUIET, on_interval=telling)
    assert found.was_interrupted
    assert [round(one.until_s) for one in found.intervals] == [60]


def test_ctrl_c_before_the_first_run_is_an_interruption(monkeypatch):
    board = Board(lambda minute: 100, monkeypatch, interrupt_after=0.0)
    with pytest.raises(KeyboardInterrupt):
        sustained(board, minutes=1, reading=lambda: QUIET)


def test_a_model_that_is_slower_than_an_interval_still_gives_its_figures(monkeypatch):
    found = sustained(Board(lambda minute: 9000, monkeypatch), minutes=0.05, reading=lambda: QUIET)
    assert len(found.intervals) == 4
    assert found.intervals[0].runs >= 1


def test_a_real_file_is_run_for_real_time(colours_model):
    found = sustained(colours_model, minutes=0.01)
    assert len(found.intervals) == 4
    assert found.intervals[-1].until_s == pytest.approx(0.6, abs=0.2)
    assert found.model == str(colours_model)
    assert found.environment["delegation"]["delegate"] in ("xnnpack", "none")
