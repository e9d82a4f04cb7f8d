"""How ranges grow with the images, and who sets them alone."""

import numpy as np
import pytest

from calibration import spread
from calibration.spread import ENOUGH, SETTLED, Spread


def watched(rows):
    """A spread that saw these values, one row for each image."""
    one = Spread()
    for row in rows:
        one.watch(np.asarray(row, np.float32))
    return one


def test_before_the_first_image_the_range_is_empty():
    assert Spread().range() == (np.inf, -np.inf)
    assert Spread().widened() == {}


def test_the_range_is_the_lowest_and_highest_value_and_keeps_a_nan():
    assert watched([[1, 2], [-3, 0], [5, 1]]).range() == (-3, 5)
    assert np.isnan(watched([[1, np.nan], [2, 3]]).range()).all()


def test_one_image_has_a_curve_of_one_point():
    found = spread.growth([watched([[0, 1]])])
    assert found.curve == ((1, 1.0),)
    assert found.needed > ENOUGH


def test_tensors_that_never_move_are_settled():
    assert spread.growth([watched([[2, 2]] * 20)]).last == 0


@pytest.mark.parametrize("count", [2, 3, 5, 8, 100])
def test_the_curve_rises_to_the_whole_set(count):
    random = np.random.default_rng(count)
    curve = spread.growth([watched(random.normal(size=(count, 50))) for _ in range(3)]).curve
    assert curve[-1] == (count, pytest.approx(1.0))
    widths = [width for _, width in curve]
    assert widths == sorted(widths)


def test_the_mean_over_halves_is_that_over_all_ways_to_take_four_of_eight_groups():
    from itertools import combinations

    values = np.random.default_rng(1).normal(size=(32, 9)).astype(np.float32)
    means = [
        np.ptp(values[[n for n in range(32) if n % 8 in groups]]) for groups in combinations(range(8), 4)
    ]
    assert watched(values).widths()[2] == pytest.approx(np.mean(means), rel=1e-6)


def test_ranges_settle_where_every_image_reaches_both_ends_and_do_not_where_each_reaches_farther():
    steady = watched([[-1, 0, 1]] * 64)
    growing = watched([[0, 2.0**number] for number in range(64)])
    assert spread.growth([steady]).last == 0
    assert spread.growth([steady]).needed == 64
    assert spread.growth([growing]).last > SETTLED
    assert spread.growth([growing]).needed > 64


def test_the_share_that_one_image_accounts_for_is_found_by_leaving_it_out():
    random = np.random.default_rng(3)
    values = random.normal(size=(40, 30)).astype(np.float32)
    values[17] *= 5
    one = watched(values)
    whole = np.ptp(values)
    for image, share in one.widened().items():
        assert share == pytest.approx(1 - np.ptp(np.delete(values, image, 0)) / whole, rel=1e-5)
    shares = spread.alone([one, watched(random.normal(size=(40, 30)))])
    assert [image for image, _ in spread.outliers(shares, 40)] == [17]


def test_two_images_with_the_same_extreme_do_not_set_it_alone():
    assert all(share == 0 for share in watched([[0, 9], [0, 9], [1, 2]]).widened().values())
