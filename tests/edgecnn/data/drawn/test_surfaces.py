import numpy as np
import pytest

from edgecnn.data.drawn import surfaces


@pytest.mark.parametrize("number", range(surfaces.GROUNDS))
def test_grounds_tile_without_a_seam(number):
    whole = surfaces.ground(number)[0][:-1, :-1].astype(int)
    for axis in (0, 1):
        steps = abs(np.diff(whole, axis=axis)).mean((1 - axis, 2))
        seam = abs(np.take(whole, 0, axis) - np.take(whole, -1, axis)).mean()
        assert seam <= 1.2 * steps.max() + 2


def test_grounds_get_less_sharp_and_keep_their_colour():
    levels = surfaces.ground(2)
    assert [len(level) for level in levels] == [257, 129, 65, 33, 17, 9]
    means = [level[:-1, :-1].mean((0, 1)) for level in levels]
    assert np.ptp(means, axis=0).max() < 3


@pytest.mark.parametrize("number", range(0, surfaces.SURROUNDINGS, 4))
def test_surroundings_are_the_same_every_time(number):
    first = surfaces.around(number).copy()
    surfaces.around.cache_clear()
    assert np.array_equal(surfaces.around(number), first)
    assert first.shape == (surfaces.AROUND_HEIGHT, surfaces.AROUND_WIDTH, 3)
