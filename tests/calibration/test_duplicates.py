"""Copies and near copies, within a set and between two."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from calibration import duplicates
from calibration.duplicates import Signatures
from edgecnn.data import open_dataset
from edgecnn.data.dataset import Sample


@dataclass(frozen=True)
class Picture:
    name: str
    pixels: np.ndarray

    def read(self):
        return self.pixels.copy()


@pytest.fixture(scope="module")
def scenes():
    return [sample.read() for sample in open_dataset("drawn:1?size=48x48", split="train").samples[:40]]


def signed(pictures):
    signatures = Signatures()
    for picture in pictures:
        signatures.add(picture)
    return signatures, [Sample(Picture(str(n), picture), None) for n, picture in enumerate(pictures)]


def test_no_images_have_no_copies():
    nothing, samples = signed([])
    assert duplicates.within(nothing, samples) == duplicates.Pairs((), ())
    assert duplicates.between(nothing, samples, nothing, samples) == duplicates.Pairs((), ())


def test_different_scenes_are_not_alike(scenes):
    assert duplicates.within(*signed(scenes)) == duplicates.Pairs((), ())


def test_copies_are_the_same_and_told_with_the_first(scenes):
    found = duplicates.within(*signed([*scenes[:5], scenes[2], scenes[2]]))
    assert found.same == ((2, 5), (2, 6))
    assert found.near == ()


def test_the_same_pixels_in_another_shape_are_not_the_same():
    plain = [np.full((4, 6, 3), 9, np.uint8), np.full((6, 4, 3), 9, np.uint8)]
    assert duplicates.within(*signed(plain)) == duplicates.Pairs((), ())


@pytest.mark.parametrize(
    "change",
    [
        lambda image: np.clip(image.astype(int) + 6, 0, 255).astype(np.uint8),
        lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1),
        lambda image: cv2.resize(image, (64, 64)),
    ],
    ids=["brighter", "compressed", "resized"],
)
def test_nearly_the_same_is_found_in_another_set(scenes, change):
    one, ones = signed(scenes[:20])
    other, others = signed([*scenes[20:], change(scenes[7])])
    found = duplicates.between(one, ones, other, others)
    assert found.same == ()
    assert found.near == ((7, 20),)


def test_the_same_in_both_sets_is_not_told_as_near_too(scenes):
    one, ones = signed(scenes[:20])
    other, others = signed([scenes[9], *scenes[20:]])
    assert duplicates.between(one, ones, other, others) == duplicates.Pairs(((9, 0),), ())


def test_plain_images_are_not_mistaken_for_each_other():
    plain = [np.full((32, 32, 3), value, np.uint8) for value in (0, 100, 101, 255)]
    assert duplicates.within(*signed(plain)) == duplicates.Pairs((), ())


def test_sixteen_bytes_are_kept_of_an_image(scenes):
    signatures, _ = signed(scenes)
    kept = signatures.digests.nbytes + len(signatures) * signatures._hashes.itemsize
    assert kept == 16 * len(scenes)
