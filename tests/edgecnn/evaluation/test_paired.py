"""What matched pairs prove."""

from itertools import product
from math import comb, sqrt

import numpy as np
import pytest

from edgecnn.evaluation.paired import chance_among_alike, chance_of_loss, needed, upper_bound


def likeliest_gain(lost, gained, images, drop):
    """The share of gains with the highest likelihood, by looking at many."""
    shares = np.linspace(max(0, -drop) + 1e-9, (1 - drop) / 2 - 1e-9, 200_001)
    same = images - lost - gained
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = same * np.log(1 - 2 * shares - drop)
        likelihood += lost * np.log(shares + drop) if lost else 0
        likelihood += gained * np.log(shares) if gained else 0
    return shares[np.nanargmax(likelihood)]


@pytest.mark.parametrize(
    ("lost", "gained", "images"), [(5, 2, 200), (12, 10, 400), (3, 8, 150), (40, 5, 900)]
)
def test_at_the_bound_the_score_test_just_rejects(lost, gained, images):
    drop = upper_bound(lost, gained, images)
    share = likeliest_gain(lost, gained, images, drop)
    error = sqrt(images * (2 * share + drop - drop * drop))
    assert (lost - gained - images * drop) / error == pytest.approx(-1.644854, abs=2e-3)


def test_where_no_image_differs_the_bound_is_the_exact_one():
    for images in (1, 10, 300, 3000):
        assert upper_bound(0, 0, images) == pytest.approx(1 - 0.05 ** (1 / images))


@pytest.mark.parametrize("shares", [(0.003, 0.0), (0.01, 0.002), (0.02, 0.015), (0.05, 0.02), (0.0, 0.01)])
@pytest.mark.parametrize("images", [100, 400, 2000])
def test_the_bound_covers_the_true_drop_95_times_in_100(shares, images):
    random = np.random.default_rng(images)
    lost, gained = shares
    draws = random.multinomial(images, [lost, gained, 1 - lost - gained], 4000)[:, :2]
    counts, times = np.unique(draws, axis=0, return_counts=True)
    covers = np.array([upper_bound(*pair, images) >= lost - gained for pair in counts.tolist()])
    assert (times * covers).sum() / 4000 >= 0.94  # 0.95, less three standard errors of 4000 draws


def test_the_bound_rises_with_losses_and_falls_with_images_and_gains():
    bounds = [upper_bound(lost, 3, 500) for lost in range(30)]
    assert bounds == sorted(bounds)
    assert upper_bound(5, 2, 400) > upper_bound(10, 4, 800) > upper_bound(10, 8, 800)
    assert upper_bound(5, 2, 400) > 3 / 400


def test_more_confidence_is_a_larger_bound():
    assert upper_bound(5, 2, 400, 0.99) > upper_bound(5, 2, 400)


def test_all_lost_and_all_gained_stay_in_range():
    assert upper_bound(20, 0, 20) == pytest.approx(1.0)
    assert -1 <= upper_bound(0, 20, 20) < 0


def test_two_hundred_images_cannot_prove_a_tenth_of_a_point():
    assert upper_bound(0, 0, 200) > 0.001
    assert 2900 <= needed(0, 0, 200, 0.001) <= 3100


@pytest.mark.parametrize(("lost", "gained", "images", "limit"), [(3, 1, 300, 0.02), (10, 8, 500, 0.01)])
def test_as_many_images_as_are_needed_are_just_enough(lost, gained, images, limit):
    wanted = needed(lost, gained, images, limit)
    assert wanted > images
    times = wanted / images
    assert upper_bound(lost * times, gained * times, wanted) <= limit
    fewer = 0.85 * times
    assert upper_bound(lost * fewer, gained * fewer, images * fewer) > limit


@pytest.mark.parametrize(("lost", "limit"), [(3, 0.01), (4, 0.01), (0, 0.0)])
def test_no_number_of_images_proves_a_limit_that_the_drop_has_reached(lost, limit):
    assert needed(lost, 0, 300, limit) is None


def test_the_chance_of_a_loss_is_that_of_coins():
    assert chance_of_loss(0, 0) == 1
    assert chance_of_loss(5, 0) == pytest.approx(1 / 32)
    assert chance_of_loss(6, 2) == pytest.approx(sum(comb(8, k) for k in (6, 7, 8)) / 256)


def test_the_chance_among_alike_is_that_of_two_independent_counts():
    images, rate_lost, rate_gained = 12, 0.2, 0.1

    def chance(count, rate):
        return comb(images, count) * rate**count * (1 - rate) ** (images - count)

    for lost, gained in ((0, 0), (3, 1), (5, 0), (12, 0), (1, 4)):
        expected = sum(
            chance(losses, rate_lost) * chance(gains, rate_gained)
            for losses, gains in product(range(images + 1), repeat=2)
            if losses - gains >= max(0, lost - gained)
        )
        found = chance_among_alike(lost, gained, images, rate_lost, rate_gained)
        assert found == pytest.approx(expected)
