"""The lecture's worked examples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.errors import DataError
from edgecnn.graph.lecture import (
    conv_parameters,
    output_size,
    places,
    receptive_field,
    same_padding,
)


def convolve(image: np.ndarray, filters: np.ndarray, stride: int = 1) -> np.ndarray:
    """The textbook's loop: (N, N) under (K, F, F) filters gives (places, places, K)."""
    size = (len(image) - filters.shape[1]) // stride + 1
    made = np.zeros((size, size, len(filters)))
    for row in range(size):
        for column in range(size):
            for number, window in enumerate(filters):
                top, left = row * stride, column * stride
                patch = image[top : top + len(window), left : left + len(window)]
                made[row, column, number] = (patch * window).sum()
    return made


def test_a_5_by_5_image_under_two_3_by_3_kernels_gives_3_by_3_by_2() -> None:
    image = np.arange(25.0).reshape(5, 5)
    vertical = np.array([[1, 0, -1]] * 3)
    filters = np.stack([vertical, vertical.T])
    made = convolve(image, filters)
    assert made.shape == (output_size(5, 3), output_size(5, 3), 2) == (3, 3, 2)
    # the ramp rises by 1 to the right and by 5 downwards: two columns apart, three rows summed
    assert np.all(made[..., 0] == -2 * 3)
    assert np.all(made[..., 1] == -10 * 3)


@pytest.mark.parametrize(("stride", "size"), [(1, 5), (2, 3)])
def test_seven_positions_and_a_filter_of_three(stride: int, size: int) -> None:
    assert output_size(7, 3, s=stride) == size


def test_seven_positions_a_filter_of_three_and_stride_three_do_not_fit() -> None:
    with pytest.raises(DataError) as caught:
        output_size(7, 3, s=3)
    assert str(caught.value) == (
        "(7 + 2·0 - 3) / 3 + 1 = 2.33: a filter of 3 at stride 3 does not fit. Take a stride that divides 4"
        " (1, 2, 4), or pad 2 more in all."
    )
    assert output_size(7, 3, s=3, p=1) == 3  # the 2 more


def test_three_filters_of_three_over_four_channels_have_111_parameters() -> None:
    assert conv_parameters(3, 4, 3) == 111


@pytest.mark.parametrize(
    ("n", "f", "s", "p", "size"),
    [
        (1, 1, 1, 0, 1),
        (32, 5, 1, 2, 32),  # cs231n: ten 5 x 5 filters with stride 1, pad 2
        (227, 11, 4, 0, 55),  # AlexNet's first layer
        (224, 3, 1, 1, 224),  # VGG keeps the size
        (224, 2, 2, 0, 112),
        (224, 3, 2, (0, 1), 112),  # MobileNet's first layer in TensorFlow
    ],
)
def test_sizes_of_known_layers(n: int, f: int, s: int, p: int | tuple[int, int], size: int) -> None:
    assert output_size(n, f, s=s, p=p) == size


@pytest.mark.parametrize(
    ("n", "f", "s", "p", "reason"),
    [
        (0, 1, 1, 0, "sizes start at 1"),
        (7, 0, 1, 0, "sizes start at 1"),
        (7, 3, 0, 0, "sizes start at 1"),
        (7, 3, 1, -1, "padding at 0"),
        (7, 3, 1, (0, -1), "padding at 0"),
        (2, 5, 1, 1, "a filter of 5 is larger than the 4 positions. Pad 1 more in all"),
        (7, 3, 4, (0, 1), r"\(7 \+ 0 \+ 1 - 3\) / 4 \+ 1 = 2.25"),
    ],
)
def test_what_is_no_layer_is_explained(n: int, f: int, s: int, p: int | tuple[int, int], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        output_size(n, f, s=s, p=p)


@settings(deadline=None)
@given(n=st.integers(1, 60), f=st.integers(1, 9), s=st.integers(1, 5), p=st.integers(0, 4))
def test_the_formula_counts_the_places_a_window_has(n: int, f: int, s: int, p: int) -> None:
    counted = len(range(0, n + 2 * p - f + 1, s))
    assert places(n, f, s=s, p=p) == counted
    if n + 2 * p >= f and (n + 2 * p - f) % s == 0:
        assert output_size(n, f, s=s, p=p) == counted


@settings(deadline=None)
@given(n=st.integers(1, 60), f=st.integers(1, 9), s=st.integers(1, 5))
def test_same_padding_gives_the_size_divided_by_the_stride(n: int, f: int, s: int) -> None:
    before, after = same_padding(n, f, s=s)
    assert 0 <= after - before <= 1
    assert places(n, f, s=s, p=(before, after)) == -(-n // s)


@pytest.mark.parametrize(
    ("layers", "size"),
    [
        ([], 1),
        ([(3, 1)], 3),
        ([(3, 1), (3, 1)], 5),  # two 3 x 3 see what one 5 x 5 sees
        ([(3, 1), (3, 1), (3, 1)], 7),
        ([(3, 1), (3, 1), (2, 2), (3, 1), (3, 1), (2, 2)], 16),
        ([(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)], 195),  # AlexNet, Araujo 2019
    ],
)
def test_receptive_fields_of_known_chains(layers: list[tuple[int, int]], size: int) -> None:
    assert receptive_field(layers) == size
