"""Closing from one thread while another reads: what is held is given back once, and never during a read."""

import threading
import time
from itertools import islice

import pytest

from edgecnn.errors import CameraError
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.sources.opened import Opened


class Slow(Opened):
    """Reads until told to go on; notes what was released, and whether that happened during a read."""

    def __init__(self, error=None):
        super().__init__()
        self.reading = threading.Event()
        self.go_on = threading.Event()
        self.released = []
        self.error = error

    def _read(self):
        self.reading.set()
        self.go_on.wait(5)
        self.reading.clear()
        if self.error:
            raise self.error
        return Frame(None, 0, time.monotonic(), "slow#0")

    def _release(self):
        self.released.append(self.reading.is_set())


def reading(source):
    """Ask for a frame in a thread; gives the thread and the list its answer goes into."""
    answers = []

    def ask():
        try:
            answers.append(next(source, "end"))
        except CameraError as error:
            answers.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert source.reading.wait(5)
    return thread, answers


def test_what_nobody_reads_is_given_back_at_once_and_once():
    source = Slow()
    source.close()
    source.close()
    assert source.released == [False]
    assert next(source, "end") == "end"
    assert source.released == [False]


def test_closing_while_another_reads_returns_at_once_and_the_reader_gives_back():
    source = Slow()
    thread, answers = reading(source)
    begin_s = time.monotonic()
    source.close()
    assert time.monotonic() - begin_s < 0.5
    assert source.released == []
    source.go_on.set()
    thread.join(5)
    assert answers == ["end"]
    assert source.released == [False]


@pytest.mark.parametrize(("closed", "answer"), [(False, "CameraError"), (True, "str")])
def test_an_error_of_what_was_closed_is_its_end(closed, answer):
    source = Slow(CameraError("gone"))
    thread, answers = reading(source)
    if closed:
        source.close()
    source.go_on.set()
    thread.join(5)
    assert [type(one).__name__ for one in answers] == [answer]
    assert source.released == ([False] if closed else [])
    source.close()
    assert source.released == [False]


def test_leaving_a_with_block_closes():
    with Slow() as source:
        assert iter(source) is source
    assert source.released == [False]


def test_many_closings_at_any_moment_release_once():
    for _ in range(200):
        source = Slow()
        source.go_on.set()
        threads = [threading.Thread(target=lambda one=source: list(islice(one, 5)))]
        threads += [threading.Thread(target=source.close) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert source.released == [False]
