import cv2
import numpy as np
import pytest

from edgecnn.data.alike import Gist, gist, nearly_same, same


def photo(seed: int, side: int = 96):
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), side / 10), None, 0, 255, cv2.NORM_MINMAX)


def recompressed(image, quality: int):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def test_nothing_resembles_nothing():
    assert same([]) == []
    assert same([None, None]) == []
    assert nearly_same([], []) == ([], 0)


def test_equal_digests_form_groups_in_order():
    assert same([b"a", b"b", None, b"a", b"c", b"b", b"a"]) == [[0, 3, 6], [1, 5]]


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (8, 9), (100, 100)])
def test_images_of_any_size_have_a_gist(size):
    found = gist(np.zeros((*size, 3), np.uint8))
    assert found.bits.shape == (8,)
    assert found.tiny.shape == (256,)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: recompressed(image, 40),
        lambda image: cv2.resize(image, (50, 60)),
        lambda image: cv2.convertScaleAbs(image, alpha=1.0, beta=6),
        lambda image: image[2:-2, 2:-2],
    ],
)
def test_a_copy_that_was_changed_a_little_is_found(change):
    images = [photo(0), photo(1), photo(2), change(photo(1))]
    assert nearly_same([gist(image) for image in images], [0, 0, 0, 1]) == ([(1, 3)], 0)


def test_different_images_are_not_alike():
    gists = [gist(photo(seed)) for seed in range(60)]
    assert nearly_same(gists, [0] * 30 + [1] * 30) == ([], 0)


def test_only_different_parts_are_compared():
    gists = [gist(photo(7))] * 3
    assert nearly_same(gists, [0, 0, 0]) == ([], 0)
    assert nearly_same(gists, [0, 1, 2]) == ([(0, 1), (0, 2), (1, 2)], 0)


def test_plain_images_of_another_brightness_or_slope_are_not_alike():
    ramp = np.linspace(100, 104, 64).astype(np.uint8)
    across = np.dstack([np.tile(ramp, (64, 1))] * 3)
    down = across.transpose(1, 0, 2)
    assert nearly_same([gist(across), gist(down)], [0, 1]) == ([], 0)


def test_images_that_resemble_thousands_are_counted_and_left_out():
    plain = Gist(np.zeros(8, np.uint8), np.zeros(256, np.uint8))
    assert nearly_same([plain] * 1005, [0] * 1002 + [1] * 3) == ([], 3)
