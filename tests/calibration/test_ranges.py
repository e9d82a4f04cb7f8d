"""From values to the range int8 covers."""

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from calibration.histogram import Histograms, Tally
from calibration.ranges import (
    METHODS,
    MinMax,
    Ranges,
    between_percentiles,
    of_pixels,
    ranges_of,
    within,
)
from edgecnn.card import InputSpec
from edgecnn.errors import ConversionError


def extremes(*images):
    watcher = MinMax()
    for image in images:
        watcher.watch(np.asarray(image, np.float32))
    return watcher.range()


def histogram_of(values):
    tally = Tally()
    tally.watch(np.asarray(values, np.float32))
    return tally.histogram()


def test_before_the_first_image_the_range_is_empty():
    assert extremes() == (inf, -inf)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([[0.0]], (0, 0)),
        ([[1.0, 2.0]], (1, 2)),
        ([[-1.0], [5.0]], (-1, 5)),
        ([[5.0], [-1.0]], (-1, 5)),
        ([[0.0] * 999 + [1e6]], (0, 1e6)),
        ([[3.0], [2.0], [2.5]] * 50, (2, 3)),
    ],
)
def test_minmax_is_the_lowest_and_the_highest_of_all(images, expected):
    assert extremes(*images) == expected
    assert METHODS["minmax"](histogram_of(np.concatenate(images))) == expected


def test_minmax_equals_numpy_over_everything_at_once_in_any_order():
    random = np.random.default_rng(0)
    images = [random.normal(size=50) * scale for scale in (1, 30, 0.1, 7)]
    everything = np.concatenate(images).astype(np.float32)
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        assert extremes(*(images[i] for i in order)) == (everything.min(), everything.max())


def test_minmax_never_loses_a_value_that_is_no_number():
    for images in ([[np.nan], [1.0]], [[1.0], [np.nan]], [[1.0, np.nan], [2.0]]):
        assert all(isnan(value) for value in extremes(*images))


def uneven(name):
    random = np.random.default_rng(4)
    normal = random.normal(size=20_000)
    return {
        "normal": normal,
        "relu": np.maximum(normal, 0),
        "relu6": np.clip(3 * normal, 0, 6),
        "heavy": random.standard_t(2, 20_000),
        "lopsided": np.where(normal < 0, 0.1 * normal, 5 * normal),
        "far from zero": 40 + normal,
        "below zero": -np.abs(normal) - 2,
        "outlier": np.append(normal, [3000.0, -500.0]),
        "few": normal[:10],
    }[name].astype(np.float32)


SHAPES = ("normal", "relu", "relu6", "heavy", "lopsided", "far from zero", "below zero", "outlier", "few")


@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.99])
@pytest.mark.parametrize("shape", SHAPES)
def test_percentiles_are_those_of_numpy_over_the_raw_values(shape, percentile):
    values = np.sort(uneven(shape).astype(np.float64))
    expected = np.percentile(values, [100 - percentile, percentile])
    found = between_percentiles(histogram_of(values), percentile=percentile)
    # Between two values numpy goes straight from one to the other, the histogram lays them evenly in a bin.
    # So the same number of values is cut off, to within one; and where they lie close, the ends are the same.
    bin_width = 1e-3 * np.abs(values).max()
    for ours, theirs in zip(found, expected, strict=True):
        below, above = np.searchsorted(values, theirs, "left"), np.searchsorted(values, theirs, "right")
        around = values[max(0, below - 2)], values[min(len(values) - 1, above + 1)]
        assert around[0] - bin_width <= ours <= around[1] + bin_width
        if np.ptp(around) < np.ptp(values) / 1000:
            assert ours == pytest.approx(theirs, abs=np.ptp(values) / 500)


def test_the_hundredth_percentile_is_minmax():
    histogram = histogram_of(uneven("heavy"))
    assert between_percentiles(histogram, percentile=100) == METHODS["minmax"](histogram)


@pytest.mark.parametrize("percentile", [50, 0, -1, 100.1, np.nan])
def test_what_is_no_percentile_is_refused(percentile):
    with pytest.raises(ConversionError, match="give one above 50"):
        between_percentiles(histogram_of([1.0]), percentile=percentile)


values_of_a_tensor = arrays.arrays(
    np.float32, st.integers(1, 60), elements=st.floats(-(2.0**40), 2.0**40, width=32, allow_subnormal=True)
)


@pytest.mark.parametrize("method", METHODS)
@given(values=values_of_a_tensor)
@settings(max_examples=60, deadline=None)
def test_every_method_stays_inside_the_values_whatever_they_are(method, values):
    low, high = METHODS[method](histogram_of(values))
    assert values.min() <= low <= high <= values.max()


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_value_far_from_a_million_others_is_clipped_by_all_but_minmax(method, sign):
    values = np.append(np.random.default_rng(0).normal(size=1_000_000), sign * 60.0)
    low, high = METHODS[method](histogram_of(values))
    assert max(-low, high) < 30


@pytest.mark.parametrize("method", METHODS)
def test_a_mirrored_tensor_has_the_mirrored_range(method):
    # The divergence of a tensor on both sides of zero is flat and uneven: other ends are as good.
    for shape in SHAPES if method != "entropy" else ("relu", "relu6", "far from zero", "below zero"):
        low, high = METHODS[method](histogram_of(uneven(shape)))
        assert METHODS[method](histogram_of(-uneven(shape))) == pytest.approx(
            (-high, -low), rel=0.02, abs=0.01
        )


def test_ranges_of_applies_the_method_to_every_tensor_but_the_answer_and_the_input():
    values = uneven("heavy")
    histogram = histogram_of(values)
    whole = Histograms(
        {"a": histogram, "answer": histogram}, {"image": (-1.0, 1.0)}, frozenset({"answer"}), 3, "f"
    )
    for method, estimate in METHODS.items():
        ranges = ranges_of(whole, method)
        assert ranges.low_high == {
            "a": estimate(histogram),
            "answer": (values.min(), values.max()),
            "image": (-1.0, 1.0),
        }
        assert (ranges.method, ranges.samples, ranges.sha256) == (method, 3, "f")
    narrow = ranges_of(whole, "percentile", percentile=90).low_high["a"]
    assert narrow == pytest.approx(np.percentile(values, [10, 90]), rel=1e-2)


def test_an_unknown_method_is_refused_with_those_there_are():
    with pytest.raises(ConversionError, match=r"'kl' is no way to estimate ranges. Use minmax, percentile"):
        ranges_of(Histograms({}, {}, frozenset(), 0, ""), "kl")


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


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, (-15.0, 3.0)),
        ({"other": (0.0, 1.0)}, (-15.0, 3.0)),
        ({"scores": (-8.0, float("inf"))}, (-8.0, 3.0)),
        ({"scores": (-20.0, 20.0)}, (-15.0, 3.0)),
        ({"scores": (4.0, 9.0)}, (-15.0, 3.0)),  # nothing would be left
    ],
)
def test_a_range_ends_at_its_limits(limits, expected):
    assert within(Ranges({"scores": (-15.0, 3.0)}, "minmax", 1, ""), limits).low_high == {"scores": expected}
