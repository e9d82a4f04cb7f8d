"""How the robot follows a ball that it sees as a box: where the ball is, and how the wheels must turn.

Bearing is positive to the left, as turning is. Which box, and how old it is, is the caller's business.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import atan, inf, sin
from threading import Lock
from typing import Any

import numpy as np
from follow_ball_world import BALL, EYE, FASTEST, FOCAL_PX, SIZE_WH, TRACK, WHEEL

from edgecnn.results import Boxes

KEPT_M = 0.9
"""How far from the ball the robot wants to stay."""
_TURN_GAIN = 5.0
"""Per second: rad/s for each rad of bearing."""
_DRIVE_GAIN = 2.0
"""Per second: m/s for each m of distance."""
_MOST_TURN, _MOST_SPEED = 2.5, 0.8
SEARCH_TURN = 1.2
"""rad/s while no ball is to be seen."""


@dataclass(frozen=True)
class Ball:
    """Where the ball is: radians to the left of the camera's axis, metres from the camera along the floor."""

    bearing: float
    distance: float


def ball_in(boxes: Boxes) -> Ball | None:
    """Where the best box says that the ball is; None without one."""
    if not len(boxes):
        return None
    left, top, right, bottom = (float(value) for value in boxes.xyxy[int(boxes.score.argmax())])
    x = (left + right) / 2
    wide, high = right - left, bottom - top
    if left <= 1:  # cut off: its radius is half of its height, and its right edge is in the image
        x = right - high / 2
    elif right >= SIZE_WH[0] - 1:
        x = left + high / 2
    across = (x - SIZE_WH[0] / 2) / FOCAL_PX
    # the sphere's silhouette stretches away from the middle of the image; its height does so least
    size = max(wide, high) if bottom >= SIZE_WH[1] - 1 else high
    half = atan(max(size, 2.0) / 2 / FOCAL_PX / (1 + across**2) ** 0.5)
    away = BALL / sin(half)
    return Ball(-atan(across), max(0.0, away**2 - (EYE[1] - BALL) ** 2) ** 0.5)


@dataclass(frozen=True)
class Motion:
    """What the robot is to do: m/s forward, rad/s to the left."""

    speed: float
    turning: float


def following(ball: Ball) -> Motion:
    """Turn to the ball, and keep the distance; drive less the more the ball is aside."""
    turning = float(np.clip(_TURN_GAIN * ball.bearing, -_MOST_TURN, _MOST_TURN))
    ahead = max(0.0, np.cos(2 * ball.bearing))
    speed = float(np.clip(_DRIVE_GAIN * (ball.distance - KEPT_M), -_MOST_SPEED, _MOST_SPEED) * ahead)
    return Motion(speed, turning)


class Pilot:
    """Follows the ball; turns to where it was last seen when it is lost."""

    def __init__(self) -> None:
        self._side = 1.0

    def motion(self, ball: Ball | None) -> Motion:
        """What to do now."""
        if ball is None:
            return Motion(0.0, self._side * SEARCH_TURN)
        self._side = 1.0 if ball.bearing >= 0 else -1.0
        return following(ball)


class Robot:
    """Two wheels, and what they have turned. Any thread may drive or stop it.

    Attributes:
        told_to_stand_s: since when the wheels are told to stand, `time.monotonic()`; infinite: they are not.
    """

    def __init__(self, command: Any, turned_at: Callable[[float], float]) -> None:
        self._command, self._turned_at = command, turned_at
        self._lock = Lock()
        self._halted = False
        self.told_to_stand_s = inf

    def drive(self, motion: Motion) -> None:
        """Set the speeds of the wheels, slower in proportion where one cannot turn so fast."""
        aside = motion.turning * TRACK / 2
        wheels = np.array([motion.speed - aside, motion.speed + aside]) / WHEEL
        wheels /= max(1.0, float(np.abs(wheels).max()) / FASTEST)
        with self._lock:
            if self._halted:
                return
            self._command[:] = wheels.tolist()
            if wheels.any():
                self.told_to_stand_s = inf

    def stop(self) -> None:
        """Let both wheels stand."""
        with self._lock:
            self._command[:] = 0.0, 0.0
            self.told_to_stand_s = min(self.told_to_stand_s, time.monotonic())

    def halt(self) -> None:
        """Stand, and drive no more until released.

        A loop may have looked at a result that was still young, and drive by it a moment after the watchdog
        has found it too old: a mere stop would be undone.
        """
        with self._lock:
            self._halted = True
        self.stop()

    def release(self) -> None:
        """Drive again when told to."""
        with self._lock:
            self._halted = False

    def turned(self, since_s: float, until_s: float) -> float:
        """How far it has turned to the left in that time, by what its wheels say; radians."""
        return self._turned_at(until_s) - self._turned_at(since_s)
