from itertools import islice

import numpy as np
import pytest

from edgecnn.data.drawn.scene import visible
from edgecnn.data.drawn.video import drawn_video
from edgecnn.errors import DataError
from edgecnn.results import Boxes
from edgecnn.runtime.tracking.bearing import bearing_deg, bearing_rate_deg_s, focal_px, largest
from edgecnn.runtime.tracking.tracks import Tracks

SIZE = (640, 480)


def some(*rows: tuple[float, float, float, float]) -> Boxes:
    n = len(rows)
    label_id = np.arange(n) % 2
    return Boxes(np.array(rows, float).reshape(-1, 4), np.ones(n), label_id, ("ball", "cone"))


def test_no_boxes_have_no_bearing() -> None:
    assert bearing_deg(some(), SIZE, fov_deg=60).shape == (0,)
    assert largest(some()) is None


def test_the_edges_of_the_image_are_half_the_field_of_view_away() -> None:
    found = bearing_deg(some((-5, 0, 5, 9), (310, 0, 330, 9), (630, 0, 650, 9)), SIZE, fov_deg=66)
    assert found == pytest.approx([-33, 0, 33])
    assert bearing_deg(np.array([630, 0, 650, 9]), SIZE, fov_deg=66) == pytest.approx(33)
    assert focal_px(640, 90) == pytest.approx(320)


def test_a_camera_that_looks_down_is_turned_back() -> None:
    """Points on the floor are projected into the image and their direction is found again."""
    down, height, focal = np.radians(25), 0.3, focal_px(640, 66)
    for right, ahead in ((0.2, 0.5), (-0.4, 0.8), (0.0, 2.0)):
        deep = ahead * np.cos(down) + height * np.sin(down)
        below = height * np.cos(down) - ahead * np.sin(down)
        x, y = 320 + focal * right / deep, 240 + focal * below / deep
        box = np.array([x - 9, y - 30, x + 9, y])
        found = bearing_deg(box, SIZE, fov_deg=66, aim="foot", down_deg=25)
        assert found == pytest.approx(np.degrees(np.arctan2(right, ahead)), abs=1e-6)


def test_balls_of_a_drawn_drive_lie_where_they_really_are() -> None:
    """The mean error of whole boxes, whose middle is not quite the ball's, stays below half a degree."""
    errors = []
    for shot in islice(drawn_video(3), 0, 90, 3):
        width, height = shot.scene.camera.size_wh
        for row, index in zip(shot.boxes.xyxy, visible(shot.found), strict=True):
            body = shot.scene.bodies[index]
            whole = shot.found.seen[index] == shot.found.whole[index]
            if whole and row[0] > 2 and row[2] < width - 2:
                right, ahead, _ = shot.scene.camera.turned(np.array([body.x_m, body.y_m, 0.0]))
                found = bearing_deg(row, (width, height), fov_deg=66)
                errors.append(abs(found - np.degrees(np.arctan2(right, ahead))))
    assert len(errors) > 50
    assert np.mean(errors) < 0.5


def test_the_rate_is_the_difference_of_bearings() -> None:
    tracks = Tracks(some((500, 0, 540, 9)), np.array([1]), np.array([[40.0, 0]]), 0.0)
    rate = bearing_rate_deg_s(tracks, SIZE, fov_deg=66)
    before, after = (bearing_deg(tracks.at(t), SIZE, fov_deg=66) for t in (-0.01, 0.01))
    assert rate == pytest.approx((after - before) / 0.02, rel=1e-3)


def test_the_largest_is_chosen_of_all_or_of_one_label() -> None:
    found = some((0, 0, 10, 10), (0, 0, 30, 30), (5, 0, 25, 20))
    assert largest(found).tolist() == [0, 0, 30, 30]
    assert largest(found, "ball").tolist() == [5, 0, 25, 20]
    assert largest(Tracks(found, np.arange(3), np.zeros((3, 2)), 0.0), "cone").tolist() == [0, 0, 30, 30]
    with pytest.raises(DataError, match="'dog'"):
        largest(found, "dog")


@pytest.mark.parametrize("options", [{"fov_deg": 0}, {"fov_deg": 180}, {"fov_deg": 60, "down_deg": 90}])
def test_an_impossible_camera_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(DataError, match="degrees"):
        bearing_deg(some((0, 0, 1, 1)), SIZE, **options)  # type: ignore[arg-type]
