import numpy as np
import pytest

from edgecnn.results import Array
from edgecnn.runtime.tracking import kalman

BOXES = np.array([[100.0, 80, 40, 60], [20, 30, 200, 10]])


def test_no_boxes_have_no_state() -> None:
    state = kalman.correct(kalman.predict(kalman.begin(np.zeros((0, 4))), 0.1), np.zeros((0, 4)))
    assert state.shape == (5, 0, 4)


def textbook(times: list[float], places: Array, start: Array, drift: float, noise: float) -> Array:
    """One number's place, rate and covariance: x = F x, P = F P F' + Q, K = P H' / (H P H' + R)."""
    x, p = np.array([places[0], 0.0]), np.diag(start)
    for dt, place in zip(np.diff(times), places[1:], strict=True):
        f = np.array([[1, dt], [0, 1]])
        q = drift * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        x, p = f @ x, f @ p @ f.T + q
        gain = p[:, 0] / (p[0, 0] + noise)
        x = x + gain * (place - x[0])
        p = p - np.outer(gain, p[0])
    return np.array([*x, p[0, 0], p[0, 1], p[1, 1]])


def test_a_centre_is_filtered_as_in_the_textbook() -> None:
    random = np.random.default_rng(0)
    times = np.cumsum(random.uniform(0.01, 0.4, 12)).tolist()
    places = random.normal(100, 5, 12)
    size = 40.0  # stays, so that the noise does
    state = kalman.begin(np.array([[places[0], 0, size, size]]))
    expected = textbook(times, places, state[[2, 4], 0, 0], (3.0 * size) ** 2, (0.05 * size) ** 2)
    for dt, place in zip(np.diff(times), places[1:], strict=True):
        state = kalman.correct(kalman.predict(state, dt), np.array([[place, 0, size, size]]))
    assert state[:, 0, 0] == pytest.approx(expected, rel=1e-9)


def test_two_short_steps_are_as_uncertain_as_a_long_one() -> None:
    state = kalman.begin(BOXES)
    once = kalman.predict(state, 0.3)
    twice = kalman.predict(kalman.predict(state, 0.1), 0.2)
    # width and height are the same, as the rate is 0
    assert twice == pytest.approx(once)


def test_nothing_shrinks_below_a_pixel() -> None:
    state = kalman.begin(BOXES)
    state[kalman.RATE, :, 2:] = -1e4
    assert (kalman.predict(state, 1.0)[kalman.PLACE, :, 2:] == 1).all()


def test_centres_and_corners_turn_into_each_other() -> None:
    assert kalman.centred(kalman.cornered(BOXES)) == pytest.approx(BOXES)
