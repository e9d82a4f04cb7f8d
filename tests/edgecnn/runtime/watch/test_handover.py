import threading
import time

from edgecnn.runtime.watch.handover import Handover


def test_nothing_waits_at_first_and_taking_gives_up_in_time() -> None:
    start = time.monotonic()
    assert Handover[int](every=False).take(0.02) is None
    assert 0.015 < time.monotonic() - start < 1


def test_the_newest_thing_takes_the_place_of_the_older() -> None:
    things = Handover[int](every=False)
    assert [things.give(number) for number in range(3)] == [False, True, True]
    assert (things.take(0), things.take(0)) == (2, None)


def test_where_each_counts_the_giver_waits_and_the_order_stays() -> None:
    things = Handover[int](every=True)
    given: list[int] = []

    def give() -> None:
        for number in range(20):
            assert not things.give(number)
            given.append(number)
        things.finish()

    thread = threading.Thread(target=give)
    thread.start()
    time.sleep(0.05)
    assert len(given) == 2
    assert things.is_full
    taken = []
    while (thing := things.take(1)) is not None:
        taken.append(thing)
    thread.join()
    assert taken == list(range(20))


def test_the_finish_frees_giver_and_taker() -> None:
    things = Handover[int](every=True)
    things.give(1)
    things.give(2)
    giver = threading.Thread(target=things.give, args=(3,))
    giver.start()
    things.finish(forget=True)
    giver.join(1)
    assert not giver.is_alive()
    start = time.monotonic()
    assert things.take(5) is None
    assert time.monotonic() - start < 1


def test_what_waits_at_the_finish_can_still_be_taken() -> None:
    things = Handover[int](every=False)
    things.give(7)
    things.finish()
    assert (things.take(0), things.take(0), things.finished) == (7, None, True)


def test_what_is_dropped_may_leave_something_to_the_newer_thing() -> None:
    things = Handover[tuple[int, ...]](every=False, joined=lambda older, newer: older + newer)
    for number in range(3):
        things.give((number,))
    assert things.take(0) == (0, 1, 2)


def test_a_newer_thing_can_be_waited_for_and_what_waits_stays() -> None:
    things = Handover[int](every=False)
    things.give(1)
    start = time.monotonic()
    things.wait_for_newer(0.03)
    assert time.monotonic() - start >= 0.025
    assert things.take(0) == 1
    giver = threading.Timer(0.05, things.give, args=(2,))
    giver.start()
    start = time.monotonic()
    things.wait_for_newer(5)
    assert time.monotonic() - start < 1
    assert things.take(0) == 2
    giver.join()
