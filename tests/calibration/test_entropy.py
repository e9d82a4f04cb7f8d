"""The range with the least divergence, against a textbook's loops."""

from math import floor, log

import numpy as np
import pytest

from calibration.entropy import cells_of, divergence, least_divergence
from calibration.histogram import Tally


def histogram_of(values):
    tally = Tally()
    tally.watch(np.asarray(values, np.float32))
    return tally.histogram()


def textbook(values, width, low, high):
    """KL divergence of `values` from their int8 selves, for a range of whole cells: loops over raw values.

    Follows S. Migacz, "8-bit inference with TensorRT" (2017), pages 33-37, except that a level is the nearest
    multiple of the step (zero is one), and values that round to zero in every range are not looked at.
    """
    first, last = round(low / width), round(high / width) - 1  # cells of the range
    scale = (max(high, 0) - min(low, 0)) / 255
    inside, reference = {}, {}
    for value in values:
        if abs(value) <= width / 2:
            continue
        cell = floor(value / width)
        kept = min(max(cell, first), last)
        reference[kept] = reference.get(kept, 0) + 1
        if kept == cell:
            inside[cell] = inside.get(cell, 0) + 1
    levels = {}
    for cell in inside:
        levels.setdefault(round((cell + 0.5) * width / scale), []).append(cell)
    quantized = {}
    for cells in levels.values():
        for cell in cells:
            quantized[cell] = sum(inside[c] for c in cells) / len(cells)
    total_p, total_q = sum(reference.values()), sum(quantized.values())
    assert reference.keys() == quantized.keys()
    return sum(
        count / total_p * log((count / total_p) / (quantized[cell] / total_q))
        for cell, count in reference.items()
    )


def shapes():
    random = np.random.default_rng(6)
    normal = random.normal(size=3000)
    return {
        "relu": np.maximum(normal, 0),
        "relu6": np.clip(3 * normal, 0, 6),
        "exponential": random.exponential(size=3000),
        "heavy and positive": np.abs(random.standard_t(2.5, 3000)),
        "mostly zero": np.where(random.random(3000) < 0.9, 0, random.gamma(1, 2, 3000)),
        "far from zero": 8 + normal,
        "normal": normal,
        "lopsided": np.where(normal < 0, 0.2 * normal, random.gamma(1.0, 2.0, 3000)),
        "heavy": random.standard_t(2.5, 3000),
        "below zero": -np.exp(normal),
    }


def exhausted(cells, fixed_start=None, every=1):
    """The least divergence over all ranges that can be compared; on both sides where no start is fixed."""
    filled = np.flatnonzero(cells.counts)
    starts = [fixed_start] if fixed_start is not None else filled[filled + cells.first < 0][::every]
    return min(
        divergence(cells, int(start), int(end) + 1)
        for start in starts
        for end in filled[:: -every if fixed_start is None else -1]
        if end + cells.first >= 0 and max(end + 1 + cells.first, 0) - min(start + cells.first, 0) >= 255
    )


def positions(cells, low, high):
    """From a range to the cells that it ends in."""
    filled = np.flatnonzero(cells.counts)
    start = max(floor(low / cells.width + 1e-9) - cells.first, int(filled[0]))
    end = min(int(np.ceil(high / cells.width - 1e-9)) - cells.first, len(cells.counts))
    return start, end


@pytest.mark.parametrize("shape", shapes())
@pytest.mark.parametrize("shares", [(1, 1), (1, 0.6), (0.7, 0.45)])
def test_the_divergence_is_that_of_the_textbook(shape, shares):
    values = shapes()[shape].astype(np.float32)
    cells = cells_of(histogram_of(values))
    filled = np.flatnonzero(cells.counts)
    begins, ends = filled[filled + cells.first < 0], filled[filled + cells.first >= 0]
    start = int(begins[round((len(begins) - 1) * (1 - shares[0]))]) if len(begins) else 0
    end = int(ends[round((len(ends) - 1) * shares[1])]) + 1 if len(ends) else len(cells.counts)
    low, high = (cells.first + start) * cells.width, (cells.first + end) * cells.width
    found = divergence(cells, start, end)
    assert found == pytest.approx(textbook(values.tolist(), cells.width, low, high), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "shape", ["relu", "relu6", "exponential", "heavy and positive", "mostly zero", "far from zero"]
)
def test_on_one_side_no_range_is_better_than_the_chosen_one(shape):
    values = shapes()[shape].astype(np.float32)
    histogram = histogram_of(values)
    low, high = least_divergence(histogram)
    assert low == values.min()
    cells = cells_of(histogram)
    found = divergence(cells, *positions(cells, 0 if low < cells.width else low, high))
    whole = divergence(cells, 0, len(cells.counts))
    best = exhausted(cells, fixed_start=0)
    # 1 of 64 ends is tried, then those around the best: the last hundredth of the way is left.
    assert found <= best + 0.02 * (whole - best) + 0.02 * best


@pytest.mark.parametrize("shape", ["normal", "lopsided", "heavy"])
def test_on_two_sides_it_is_as_good_as_a_search_over_all_pairs(shape):
    values = shapes()[shape].astype(np.float32)
    histogram = histogram_of(values)
    cells = cells_of(histogram)
    found = divergence(cells, *positions(cells, *least_divergence(histogram)))
    best = exhausted(cells, every=25)
    assert found <= 1.1 * best


def test_zeros_after_a_relu_have_no_say():
    random = np.random.default_rng(0)
    positive = random.gamma(2, 1, 5000)
    alone = least_divergence(histogram_of(np.append(positive, 0)))
    among_zeros = least_divergence(histogram_of(np.append(positive, np.zeros(500_000))))
    assert among_zeros == pytest.approx(alone)


@pytest.mark.parametrize("values", [[0.0], [0.0] * 9, [3.7], [-2.0, -2.0]])
def test_a_tensor_that_never_moves_keeps_its_value(values):
    assert least_divergence(histogram_of(values)) == pytest.approx((values[0], values[0]))
