import numpy as np
import pytest

from edgecnn.data.drawn.view import Camera, Light

CAMERA = Camera((160, 120), 130.0, 40.0, 0.25, x_m=1.5, y_m=-2.0, heading_rad=0.7)


def test_no_points_give_no_pixels():
    assert CAMERA.pixels(CAMERA.turned(np.zeros((0, 3)))).shape == (0, 2)


def test_a_point_straight_ahead_lies_in_the_middle_and_far_ones_at_the_horizon():
    ahead = np.array([CAMERA.x_m + 3 * np.sin(0.7), CAMERA.y_m + 3 * np.cos(0.7), 0.25])
    assert CAMERA.pixels(CAMERA.turned(ahead)) == pytest.approx([80, 40])
    assert CAMERA.turned(ahead) == pytest.approx([0, 3, 0.25])


def test_a_point_on_the_right_is_right_and_a_low_one_below_the_horizon():
    right = np.array(
        [CAMERA.x_m + np.cos(0.7) + 3 * np.sin(0.7), CAMERA.y_m - np.sin(0.7) + 3 * np.cos(0.7), 0.0]
    )
    u, v = CAMERA.pixels(CAMERA.turned(right))
    assert (u, v) == pytest.approx((80 + 130 / 3, 40 + 0.25 * 130 / 3))


def test_the_ground_matrix_undoes_the_projection_of_places_on_the_ground():
    places = np.array([[2.0, 1.0, 0.0], [3.0, 4.0, 0.0], [2.5, 0.1, 0.0]])
    pixels = CAMERA.pixels(CAMERA.turned(places))
    back = CAMERA.ground() @ np.column_stack([pixels, np.ones(3)]).T
    assert pytest.approx(places[:, :2]) == (back[:2] / back[2]).T


def test_light_from_behind_falls_on_what_faces_the_camera():
    light = Light(np.pi, 0.5, (0.5, 0.6, 0.7), (0.3, 0.3, 0.2))
    towards = light.direction(0.0)
    assert np.linalg.norm(towards) == pytest.approx(1)
    assert towards[1] < 0
    lit, dark = light.on(np.array([1.0, -0.4]))
    assert lit == pytest.approx([0.8, 0.9, 0.9])
    assert dark == pytest.approx([0.3, 0.3, 0.2])
