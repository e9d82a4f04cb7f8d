"""The range with the least squared error, against a search that quantizes every value."""

import numpy as np
import pytest

from calibration.histogram import Tally
from calibration.squared_error import expected_error, grid, least_squared_error


def histogram_of(values):
    tally = Tally()
    tally.watch(np.asarray(values, np.float32))
    return tally.histogram()


def quantized_error(values, low, high):
    """Mean squared error after int8, written as the specification says it, value by value."""
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scale = (high - low) / 255
    zero_point = np.clip(np.rint(-128 - low / scale), -128, 127)
    integers = np.clip(np.rint(values / scale) + zero_point, -128, 127)
    return float((((integers - zero_point) * scale - values) ** 2).mean())


def searched(values, steps=45):
    """The least error of all pairs of ends, by brute force."""
    lows = values.min() * np.geomspace(0.02, 1, steps) if values.min() < 0 else [values.min()]
    highs = values.max() * np.geomspace(0.02, 1, steps) if values.max() > 0 else [values.max()]
    return min(quantized_error(values, low, high) for low in lows for high in highs)


def shapes():
    random = np.random.default_rng(2)
    normal = random.normal(size=4000)
    return {
        "normal": normal,
        "relu": np.maximum(normal, 0),
        "relu6": np.clip(3 * normal, 0, 6),
        "laplace": random.laplace(size=4000),
        "heavy": random.standard_t(2.5, 4000),
        "lopsided": np.where(normal < 0, 0.05 * random.standard_t(3, 4000), 4 * normal),
        "mostly zero": np.where(random.random(4000) < 0.97, 0, random.gamma(1, 2, 4000)),
        "one far away": np.append(0.3 * normal, 25.0),
        "far from zero": 8 + normal,
        "below zero": -np.exp(normal),
        "steps": np.rint(normal * 3),
        "few": normal[:12],
    }


@pytest.mark.parametrize("shape", shapes())
def test_no_pair_of_a_brute_force_search_is_better(shape):
    values = shapes()[shape].astype(np.float32).astype(np.float64)
    low, high = least_squared_error(histogram_of(values))
    found, best = quantized_error(values, low, high), searched(values)
    # A bin knows how many values it holds, not where in it they lie.
    assert found <= 1.05 * best + 1e-12
    assert found <= quantized_error(values, values.min(), values.max()) * 1.05 + 1e-12


@pytest.mark.parametrize("shape", ["normal", "relu", "heavy", "lopsided", "far from zero"])
@pytest.mark.parametrize("shares", [(1, 1), (0.5, 0.5), (1, 0.3), (0.2, 1), (0.05, 0.07)])
def test_the_expected_error_is_that_of_quantizing_the_values(shape, shares):
    random = np.random.default_rng(3)
    values = shapes()[shape]
    values = np.concatenate([values * factor for factor in random.uniform(0.98, 1.02, 25)])  # smooth: no gaps
    values = values.astype(np.float32).astype(np.float64)
    low, high = values.min() * shares[0], values.max() * shares[1]
    expected = quantized_error(values, low, high)
    assert expected_error(histogram_of(values), low, high) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("value", [0.0, 2.5, -2.5])
def test_a_tensor_that_never_moves_keeps_its_value(value):
    assert least_squared_error(histogram_of([value] * 3)) == (value, value)


@pytest.mark.parametrize(
    "ends", [(0.0, 6.0), (-1.0, 1.0), (2.0, 5.0), (-5.0, -2.0), (-0.013, 7.7), (-1e-3, 1e-4)]
)
def test_the_numbers_of_a_range_are_256_and_zero_is_one_of_them(ends):
    numbers = grid(*ends)
    assert (numbers.highest - numbers.lowest) / numbers.scale == pytest.approx(255)
    assert numbers.lowest <= 0 <= numbers.highest
    assert numbers.lowest / numbers.scale == pytest.approx(round(numbers.lowest / numbers.scale))
    assert abs(numbers.lowest - min(ends[0], 0)) <= numbers.scale / 2 * 1.0001
