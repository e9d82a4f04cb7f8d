import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgecnn import heads, image
from edgecnn.card import InputSpec
from edgecnn.data.augment import Augment
from edgecnn.data.dataset import Dataset
from edgecnn.training import pixels
from edgecnn.training.feed import Feed, ahead, normalized, plain_batches

SPEC = InputSpec(16, 16)
LIVELY = Augment(flip=True, shift=0.2, scale=(0.8, 1.2), brightness=0.2, contrast=0.2, cutout=0.3)


@pytest.fixture
def feed(colours: Callable[..., Dataset]) -> Feed:
    images, head = pixels.read(colours(50), SPEC), heads.find("classification")
    return Feed(images, np.arange(50), head, LIVELY, batch=8, seed=3)


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(8, 12, color="rgb", mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4)),
        InputSpec(8, 12, color="bgr", mean=(127.5,), std=(127.5,)),
        InputSpec(8, 12, color="gray", mean=(10.0,), std=(3.0,)),
        InputSpec(8, 12, color="rgb", mean=(0.0,), std=(1.0, 2.0, 4.0)),
    ],
)
def test_the_network_learns_on_the_numbers_that_the_device_computes(
    colours: Callable[..., Dataset], spec: InputSpec
) -> None:
    data = colours(5)
    images = pixels.read(data, spec)
    table = image.lookup(spec, np.float32)
    expected = np.concatenate([image.prepare(sample.read(), table, spec)[0] for sample in data.samples])
    found = np.concatenate(list(plain_batches(images, 2)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_nothing_normalized_is_nothing() -> None:
    assert normalized(np.zeros((0, 16, 16, 3), np.uint8), SPEC).shape == (0, 16, 16, 3)


def test_an_epoch_shows_no_image_twice_and_leaves_less_than_a_batch(feed: Feed) -> None:
    seen = np.concatenate([targets for _, targets in feed.batches(0)])
    assert feed.steps == 6
    assert len(seen) == len(set(seen.tolist())) == 48


def test_epochs_differ_in_order_and_in_who_sits_out(feed: Feed) -> None:
    orders = [feed.order(epoch) for epoch in range(3)]
    assert not np.array_equal(orders[0], orders[1])
    assert {frozenset(range(50)) - set(order.tolist()) for order in orders} != {frozenset()}
    np.testing.assert_array_equal(feed.order(1), replace(feed).order(1))
    assert not np.array_equal(feed.order(1), replace(feed, seed=4).order(1))


@pytest.mark.parametrize("start", [0, 1, 5, 6])
def test_an_epoch_entered_late_shows_exactly_what_it_would_have_shown(feed: Feed, start: int) -> None:
    whole, late = list(feed.batches(2)), list(feed.batches(2, start=start))
    assert len(late) == len(whole) - start
    for (images, targets), (images_late, targets_late) in zip(whole[start:], late, strict=True):
        np.testing.assert_array_equal(images, images_late)
        np.testing.assert_array_equal(targets, targets_late)


def test_images_and_targets_belong_together(feed: Feed) -> None:
    still = replace(feed, augment=Augment())
    for images, targets in still.batches(0):
        np.testing.assert_array_equal(images, normalized(feed.images.take(targets), SPEC))


@pytest.mark.parametrize("parts", [2, 4])
def test_the_parts_of_a_batch_make_the_batch(feed: Feed, parts: int) -> None:
    still = replace(feed, augment=Augment())
    shares = [list(still.batches(1, part=part, parts=parts)) for part in range(parts)]
    for number, (images, targets) in enumerate(still.batches(1)):
        np.testing.assert_array_equal(images, np.concatenate([share[number][0] for share in shares]))
        np.testing.assert_array_equal(targets, np.concatenate([share[number][1] for share in shares]))


def test_parts_are_augmented_differently(feed: Feed, colours: Callable[..., Dataset]) -> None:
    same = np.full((8, 16, 16, 3), 0, np.uint8)
    same[:, 4:9, 3:11] = 200
    images = replace(feed.images, cache=same, dataset=colours(8))
    alike = replace(feed, images=images, targets=np.arange(8))
    one, other = (next(alike.batches(0, part=part, parts=2))[0] for part in (0, 1))
    assert not np.array_equal(one, other)


def test_few_images_are_shown_several_times_in_an_epoch(feed: Feed) -> None:
    often = replace(feed, repeats=3, augment=Augment())
    seen = np.concatenate([targets for _, targets in often.batches(0)])
    assert often.steps == 18
    assert set(np.bincount(seen, minlength=50)) == {2, 3}
    assert set(np.bincount(often.order(0)[:100])) == {2}


class Recorded:
    """A head that notes how it was asked to vary the images."""

    def __init__(self) -> None:
        self.asked: list[Augment] = []

    def vary(self, take, targets, chosen, how, random):
        self.asked.append(how)
        return take(chosen), targets[chosen]


@pytest.mark.parametrize(
    ("calm_from", "mosaics"), [(None, [1.0, 1.0, 1.0]), (2, [1.0, 1.0, 0.0]), (0, [0.0] * 3)]
)
def test_the_last_epochs_are_without_mosaics_and_otherwise_the_same(
    feed: Feed, calm_from: int | None, mosaics: list[float]
) -> None:
    found = []
    for epoch in range(3):
        head = Recorded()
        lively = replace(feed, head=head, augment=replace(LIVELY, mosaic=1.0), calm_from=calm_from)
        list(lively.batches(epoch))
        assert {replace(how, mosaic=0.0) for how in head.asked} == {LIVELY}
        found += {how.mosaic for how in head.asked}
    assert found == mosaics


@pytest.mark.parametrize("threads", [1, 4])
def test_ahead_keeps_the_order(threads: int) -> None:
    def late(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number

    assert list(ahead(late, range(20), threads=threads)) == list(range(20))
    assert list(ahead(late, (), threads=threads)) == []


def test_ahead_hands_errors_on_where_they_belong() -> None:
    def broken(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    stream = ahead(broken, range(10))
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(stream)


def test_ahead_does_not_run_away() -> None:
    made: list[int] = []
    stream = ahead(lambda number: made.append(number) or number, range(1000), threads=2)
    next(stream)
    time.sleep(0.05)
    stream.close()
    assert len(made) <= 5
