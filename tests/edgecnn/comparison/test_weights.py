import numpy as np
import pytest

from edgecnn.comparison.weights import distinct_of, zeros_of


def test_without_kernels_nothing_is_zero_and_nothing_differs():
    assert zeros_of([]) == 0.0
    assert distinct_of([]) == 0


def test_zeros_count_by_the_values_of_all_kernels():
    assert zeros_of([np.zeros((3, 1)), np.ones((1, 9))]) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("large", "small", "found"),
    [
        (
            np.arange(900) % 16,
            np.arange(100),
            16,
        ),  # a tenth may have more, as a first layer that was left out
        (np.arange(890) % 16, np.arange(110), 110),
        (np.arange(900), np.arange(100) % 2, 900),
    ],
)
def test_different_values_are_those_that_nine_tenths_do_with(large, small, found):
    assert distinct_of([large.reshape(-1, 1), small.reshape(-1, 1)]) == found
