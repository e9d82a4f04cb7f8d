"""The pure parts of the ball-following robot: where a ball is, what wheels do, late frames."""

import sys
import time
from math import degrees
from pathlib import Path

import numpy as np
import pytest

from edgecnn.results import Boxes

pytest.importorskip("mujoco", reason="mujoco (the extra `sim`) is not installed")
_ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(_ROOT / "benchmarks"))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("follow_ball"):
            del sys.modules[name]


def boxes(*xyxy, score=None):
    return Boxes(
        np.array(xyxy, np.float32).reshape(-1, 4), score or [0.9] * len(xyxy), [0] * len(xyxy), ("ball",)
    )


def silhouette(bearing, distance, *, points=4000):
    """The box of a ball, by projecting points of its surface: no formula of the robot's."""
    from follow_ball_world import BALL, EYE, FOCAL_PX, SIZE_WH

    rng = np.random.default_rng(0)
    surface = rng.normal(size=(points, 3))
    surface *= BALL / np.linalg.norm(surface, axis=1, keepdims=True)
    ahead = distance * np.cos(bearing) + surface[:, 0]
    x = SIZE_WH[0] / 2 - FOCAL_PX * (distance * np.sin(bearing) + surface[:, 1]) / ahead
    y = SIZE_WH[1] / 2 - FOCAL_PX * (BALL - EYE[1] + surface[:, 2]) / ahead
    return x.min(), y.min(), x.max(), y.max()


def test_without_a_box_there_is_no_ball_and_the_robot_turns_to_where_it_was():
    from follow_ball_control import Ball, Pilot, ball_in

    pilot = Pilot()
    assert ball_in(boxes()) is None
    pilot.motion(Ball(-0.3, 1.0))
    lost = pilot.motion(None)
    assert lost.speed == 0
    assert lost.turning < 0


@pytest.mark.parametrize("bearing", [-0.4, -0.1, 0.0, 0.25, 0.4])
@pytest.mark.parametrize("distance", [0.7, 0.9, 1.5, 3.0])
def test_a_box_says_where_the_ball_is(bearing, distance):
    from follow_ball_control import ball_in

    found = ball_in(boxes(silhouette(bearing, distance)))
    assert degrees(abs(found.bearing - bearing)) < 1.0
    assert found.distance == pytest.approx(distance, rel=0.04)


def test_of_several_boxes_the_best_counts():
    from follow_ball_control import ball_in

    there, elsewhere = silhouette(0.2, 1.0), silhouette(-0.3, 2.0)
    assert ball_in(boxes(elsewhere, there, score=[0.4, 0.8])).bearing == pytest.approx(0.2, abs=0.02)


def test_a_ball_cut_off_at_the_edge_is_aside_of_what_is_left_of_it():
    from follow_ball_control import ball_in
    from follow_ball_world import SIZE_WH

    left, top, right, bottom = silhouette(0.55, 1.2)
    assert left < 0 < right < SIZE_WH[0]
    assert ball_in(boxes((0, top, right, bottom))).bearing == pytest.approx(0.55, abs=0.04)


def test_a_wheel_that_cannot_turn_so_fast_slows_the_other_in_proportion():
    from follow_ball_control import Motion, Robot
    from follow_ball_world import FASTEST, TRACK, WHEEL

    command = [0.0, 0.0]
    robot = Robot(command, lambda time_s: 0.0)
    robot.drive(Motion(0.3, 1.0))
    left, right = command
    assert (left + right) / 2 * WHEEL == pytest.approx(0.3)
    assert (right - left) * WHEEL / TRACK == pytest.approx(1.0)
    robot.drive(Motion(2.0, 1.0))
    assert max(command) == pytest.approx(FASTEST)
    assert (command[1] - command[0]) / (command[1] + command[0]) == pytest.approx(TRACK / 2 / 2.0)
    robot.stop()
    assert list(command) == [0, 0]


def test_the_ball_never_goes_faster_or_farther_than_said():
    from follow_ball_world import ball_path

    path = ball_path(5, fastest_m_s=0.5, reach=1.5)
    places = np.array([path(0.02 * step) for step in range(5000)])
    speed = np.linalg.norm(np.diff(places, axis=0), axis=1) / 0.02
    assert speed.max() <= 0.51
    assert np.abs(places).max() <= 1.5


class _StandingWorld:
    """What a camera needs of a world, without any process."""

    camera_lives = True

    def __init__(self):
        from follow_ball_processes import Shared

        self.shared = Shared.new()

    def write(self, value):
        from follow_ball_processes import SLOTS, array
        from follow_ball_world import SIZE_WH

        slot, now = self.shared.count.value % SLOTS, time.monotonic()
        array(self.shared.frames, SLOTS, SIZE_WH[1], SIZE_WH[0], 3, dtype=np.uint8)[slot] = value
        array(self.shared.stamps, SLOTS, 2)[slot] = now - 0.01, now
        self.shared.count.value += 1
        return now


def test_a_late_frame_keeps_the_time_of_its_capture_and_none_is_left_out():
    from follow_ball_live import SimulatedCamera

    world = _StandingWorld()
    with SimulatedCamera(world, delay_ms=60) as camera:
        written = [world.write(value) for value in (1, 2)]
        for index in (0, 1):
            frame = next(camera)
            assert time.monotonic() - written[index] >= 0.06
            assert frame.time_s == pytest.approx(written[index] - 0.01)
            assert (frame.index, frame.image.max()) == (index, index + 1)
        camera.close()
        assert list(camera) == []


def test_a_camera_whose_process_is_gone_is_an_error():
    from follow_ball_live import SimulatedCamera

    from edgecnn.errors import CameraError

    world = _StandingWorld()
    camera = SimulatedCamera(world)
    world.camera_lives = False
    with pytest.raises(CameraError, match="gone"):
        next(camera)


def test_a_halted_robot_stands_whatever_it_is_told_until_it_is_released():
    from follow_ball_control import Motion, Robot

    command = [0.0, 0.0]
    robot = Robot(command, lambda time_s: 0.0)
    robot.drive(Motion(0.3, 0.0))
    assert robot.told_to_stand_s == float("inf")
    robot.halt()
    since_s = robot.told_to_stand_s
    robot.drive(Motion(0.3, 0.0))
    robot.stop()
    assert list(command) == [0, 0]
    assert robot.told_to_stand_s == since_s <= time.monotonic()
    robot.release()
    robot.drive(Motion(0.3, 0.0))
    assert min(command) > 0
