from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgecnn import image
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.training import pixels

SPEC = InputSpec(8, 12, color="rgb", fit="letterbox")


def test_no_images_are_no_images(colours: Callable[..., Dataset]) -> None:
    images = pixels.read(colours(0), SPEC)
    assert images.take(np.zeros(0, np.int64)).shape == (0, 8, 12, 3)


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_images_are_fitted_as_on_the_device_whether_they_fit_in_memory_or_not(
    colours: Callable[..., Dataset], color: str, cache_bytes: int
) -> None:
    data, spec = colours(150), replace(SPEC, color=color)
    images = pixels.read(data, spec, cache_bytes=cache_bytes)
    assert (images.cache is None) == (cache_bytes == 0)
    chosen = np.array([149, 0, 0, 70])
    expected = [image.fit(data.samples[i].read(), spec)[0].reshape(8, 12, spec.channels) for i in chosen]
    np.testing.assert_array_equal(images.take(chosen), expected)


def test_what_is_taken_is_new_memory(colours: Callable[..., Dataset]) -> None:
    images = pixels.read(colours(3), SPEC)
    images.take(np.arange(3))[:] = 0
    assert images.take(np.arange(3)).any()


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_broken_images_are_refused_with_names_and_number(
    colours: Callable[..., Dataset], cache_bytes: int
) -> None:
    with pytest.raises(TrainingError, match=r"4 of 100 images.*0/3: .*0/5: .*0/70: .*and 1 more") as caught:
        pixels.read(colours(100, broken=(3, 5, 70, 99)), SPEC, cache_bytes=cache_bytes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_broken_images_can_be_left_out_and_are_reported(
    colours: Callable[..., Dataset], cache_bytes: int
) -> None:
    images = pixels.read(colours(100, broken=(0, 64)), SPEC, cache_bytes=cache_bytes, skip_unreadable=True)
    assert [line.split(":")[0] for line in images.unreadable] == ["0/0", "0/64"]
    assert len(images) == 98
    whole = pixels.read(colours(100), SPEC)
    np.testing.assert_array_equal(images.take(np.arange(98)), whole.take(np.delete(np.arange(100), (0, 64))))


def test_an_image_that_vanishes_later_is_named(colours: Callable[..., Dataset]) -> None:
    images = pixels.read(colours(4), SPEC, cache_bytes=0)
    gone = replace(images, dataset=colours(4, broken=(2,)))
    with pytest.raises(TrainingError, match=r"0/2.*restore it"):
        gone.take(np.array([2]))


def test_the_checksum_follows_pixels_and_order(colours: Callable[..., Dataset]) -> None:
    data = colours(70)
    same, other, turned = (
        pixels.read(d, SPEC).checksum
        for d in (colours(70), colours(70, seed=1), data.subset(range(69, -1, -1)))
    )
    checksum = pixels.read(data, SPEC, cache_bytes=0).checksum
    assert same == checksum
    assert len({checksum, other, turned}) == 3


def test_progress_ends_with_all(colours: Callable[..., Dataset]) -> None:
    seen: list[tuple[int, int]] = []
    pixels.read(colours(130), SPEC, progress=lambda done, count, speed: seen.append((done, count)))
    assert seen == [(64, 130), (128, 130), (130, 130)]
