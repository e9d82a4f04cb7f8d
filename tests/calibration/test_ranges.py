"""From values to the range int8 covers."""

from math import inf, isnan

import numpy as np
import pytest

from calibration.ranges import METHODS, of_pixels
from edgecnn.card import InputSpec


def range_of(method, *arrays):
    estimator = METHODS[method]()
    for array in arrays:
        estimator.watch(np.asarray(array, np.float32))
    return estimator.range()


@pytest.mark.parametrize("method", METHODS)
def test_before_the_first_image_the_range_is_empty(method):
    assert range_of(method) == (inf, -inf)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ([[0.0]], (0, 0)),
        ([[1.0, 2.0]], (1, 2)),
        ([[-1.0], [5.0]], (-1, 5)),
        ([[5.0], [-1.0]], (-1, 5)),
        ([[0.0] * 999 + [1e6]], (0, 1e6)),
        ([[3.0], [2.0], [2.5]] * 50, (2, 3)),
    ],
)
def test_minmax_is_the_lowest_and_the_highest_of_all(arrays, expected):
    assert range_of("minmax", *arrays) == expected


def test_minmax_equals_numpy_over_everything_at_once_in_any_order():
    random = np.random.default_rng(0)
    arrays = [random.normal(size=50) * scale for scale in (1, 30, 0.1, 7)]
    everything = np.concatenate(arrays).astype(np.float32)
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        found = range_of("minmax", *(arrays[i] for i in order))
        assert found == (everything.min(), everything.max())


def test_minmax_never_loses_a_value_that_is_no_number():
    for arrays in ([[np.nan], [1.0]], [[1.0], [np.nan]], [[1.0, np.nan], [2.0]]):
        assert all(isnan(value) for value in range_of("minmax", *arrays))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (InputSpec(4, 4), (0, 1)),
        (InputSpec(4, 4, mean=(127.5,), std=(127.5,)), (-1, 1)),
        (InputSpec(4, 4, color="gray", mean=(0.0,), std=(1.0,)), (0, 255)),
        (InputSpec(4, 4, mean=(0.0, 0.0, 51.0), std=(255.0, 255.0, 51.0)), (-1, 4)),
        (InputSpec(4, 4, mean=(0.0,), std=(-255.0,)), (-1, 0)),
    ],
)
def test_the_range_of_pixels_is_that_of_all_256_values_in_all_channels(spec, expected):
    assert of_pixels(spec) == pytest.approx(expected)
