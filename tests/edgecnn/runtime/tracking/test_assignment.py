from itertools import permutations

import numpy as np
import pytest

from edgecnn.results import Array
from edgecnn.runtime.tracking.assignment import assign


def best_sum(gain: Array) -> float:
    """By trying every way there is."""
    wide = np.maximum(gain if gain.shape[0] <= gain.shape[1] else gain.T, 0)
    return max(
        (
            sum(wide[row, column] for row, column in enumerate(columns))
            for columns in permutations(range(wide.shape[1]), wide.shape[0])
        ),
        default=0.0,
    )


def check(gain: Array) -> float:
    pairs = assign(gain)
    assert pairs == sorted(pairs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(gain[pair] > 0 for pair in pairs)
    return float(sum(gain[pair] for pair in pairs))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nobody_goes_with_nobody(shape: tuple[int, int]) -> None:
    assert assign(np.zeros(shape)) == []


def test_two_that_gain_nothing_stay_alone() -> None:
    assert assign(np.array([[0.0, -1.0], [-0.5, 0.0]])) == []


def test_one_gives_way_where_both_gain_by_it() -> None:
    greedy_would_take_the_9 = np.array([[9.0, 8.0], [8.0, 0.0]])
    assert assign(greedy_would_take_the_9) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("seed", range(150))
def test_the_sum_is_the_largest_of_all_ways(seed: int) -> None:
    random = np.random.default_rng(seed)
    gain = random.random(random.integers(0, 6, 2)) - random.random()
    if seed % 3 == 0:  # many equal ones
        gain = np.round(gain * 3) / 3
    assert check(gain) == pytest.approx(best_sum(gain))


@pytest.mark.parametrize("shape", [(30, 30), (25, 40), (40, 25)])
def test_a_crowd_is_solved_as_scipy_does(shape: tuple[int, int]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    gain = np.random.default_rng(0).random(shape) - 0.3
    rows, columns = optimize.linear_sum_assignment(np.maximum(gain, 0), maximize=True)
    assert check(gain) == pytest.approx(np.maximum(gain, 0)[rows, columns].sum())
