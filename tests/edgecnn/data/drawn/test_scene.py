from dataclasses import replace

import numpy as np
import pytest

from edgecnn.data.drawn.bodies import BALL, BOX, CONE, LABELS, SIGN, Body
from edgecnn.data.drawn.picture import picture
from edgecnn.data.drawn.scene import Lens, Place, Scene, bearing, boxes, classes, coverage, mask, visible
from edgecnn.data.drawn.view import Camera, Light

RED, WHITE, DARK = (30.0, 30.0, 220.0), (230.0, 230.0, 230.0), (40.0, 40.0, 40.0)


def body(kind: int, x: float, y: float, number: int = 0) -> Body:
    height = 0.2 if kind in (BALL, BOX) else 0.4
    return Body(kind, x, y, 0.3, (0.2, 0.2, height), 0, (RED, WHITE, DARK), number=number)


def scene(*bodies: Body) -> Scene:
    camera = Camera((160, 120), 130.0, 40.0, 0.25)
    light = Light(3.6, 0.9, (0.6, 0.6, 0.6), (0.5, 0.5, 0.5))
    return Scene(camera, light, Place(3, 1.5, 0.4, (0.1, 0.2), 1, 0.3, 3.0), Lens(), bodies, 5)


def test_an_empty_scene_shows_only_background():
    empty = scene()
    found = coverage(empty)
    assert (found.body == -1).all()
    assert len(boxes(empty, found)) == 0
    assert (mask(empty, found).label_id == 0).all()
    assert bearing(empty, found) is None
    assert picture(empty).shape == (120, 160, 3)


def test_a_ball_covers_the_circle_that_its_size_and_distance_say():
    one = scene(body(BALL, 0.0, 1.3))
    found = coverage(one)
    assert found.seen[0] == pytest.approx(np.pi * 10**2, rel=0.1)  # 130 px * 0.1 m / 1.3 m
    assert boxes(one, found).xyxy[0] == pytest.approx(
        [70, 45, 90, 65], abs=1.1
    )  # 40 + 130 * (0.25 - 0.1) / 1.3


@pytest.mark.parametrize("kind", range(4))
def test_the_picture_changes_where_the_body_is_and_little_elsewhere_but_for_its_shadow(kind):
    with_body, without = scene(body(kind, 0.1, 1.2)), scene()
    shown = coverage(with_body).body >= 0
    change = abs(picture(with_body).astype(int) - picture(without)).max(-1)
    assert (change[shown] > 12).mean() > 0.8
    assert (change[~shown] > 12).mean() < 0.12


def test_what_is_near_hides_what_is_far():
    both = scene(body(BOX, 0.0, 1.0), body(BALL, 0.0, 3.0), body(BALL, 0.5, 2.0))
    found = coverage(both)
    alone = coverage(scene(body(BALL, 0.0, 3.0)))
    assert found.whole[1] == alone.seen[0]
    assert found.seen[1] < found.whole[1]
    assert found.seen[0] == found.whole[0]
    assert visible(found).tolist() == [0, 2]
    assert classes(both, found).label == "box"


def test_the_order_of_the_bodies_does_not_matter():
    things = (body(BOX, 0.0, 1.0), body(CONE, 0.1, 2.0), body(BALL, 0.05, 1.5), body(SIGN, -0.2, 1.2))
    assert np.array_equal(picture(scene(*things)), picture(scene(*things[::-1])))


def test_the_mask_names_each_thing():
    four = scene(*(body(kind, (kind - 1.5) * 0.4, 1.5) for kind in range(4)))
    found = mask(four, coverage(four))
    assert found.labels == ("background", *LABELS)
    assert np.unique(found.label_id).tolist() == [0, 1, 2, 3, 4]


def test_the_bearing_is_that_of_the_nearest_ball_that_is_seen():
    near, far, hidden = body(BALL, 0.5, 1.0), body(BALL, -0.5, 2.0), body(BALL, 0.0, 0.9)
    wall = replace(body(BOX, 0.0, 0.7), size_m=(0.3, 0.1, 0.6), yaw_rad=0.0)
    found = scene(near, far)
    value = bearing(found, coverage(found))
    assert value is not None
    assert value.value[0] == pytest.approx(np.rad2deg(np.arctan2(0.5, 1.0)), abs=0.01)
    behind = scene(wall, hidden, far)
    value = bearing(behind, coverage(behind))
    assert value is not None
    assert value.value[0] < 0


def test_bodies_outside_the_image_are_not_seen():
    away = scene(body(BALL, 5.0, 1.0))
    assert coverage(away).whole.tolist() == [0]
    assert picture(away).any()


def test_exposure_noise_and_blur_do_what_they_say():
    plain = scene(body(BALL, 0.0, 1.0))
    base = picture(plain).astype(float)
    dark = picture(replace(plain, lens=Lens(exposure=0.5))).astype(float)
    noisy = picture(replace(plain, lens=Lens(noise=5.0))).astype(float)
    soft = picture(replace(plain, lens=Lens(blur_px=2.0))).astype(float)
    smeared = picture(replace(plain, lens=Lens(motion_px=(6.0, 0.0)))).astype(float)
    assert dark.mean() == pytest.approx(base.mean() / 2, rel=0.02)
    assert (noisy - base)[base < 230].std() == pytest.approx(5, rel=0.1)
    assert abs(np.diff(soft, axis=0)).mean() < 0.7 * abs(np.diff(base, axis=0)).mean()
    # a smear to the right keeps edges that run to the right
    assert abs(np.diff(smeared, axis=1)).mean() < 0.7 * abs(np.diff(base, axis=1)).mean()
    assert smeared.mean() == pytest.approx(base.mean(), rel=0.01)
