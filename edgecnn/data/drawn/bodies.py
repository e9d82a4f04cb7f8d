"""The things that stand in a drawn scene: their shapes, and what follows from them: outlines and shadows."""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from edgecnn.data.drawn.view import Array, Camera, upright

LABELS = ("ball", "box", "cone", "sign")
BALL, BOX, CONE, SIGN = range(4)

Colour: TypeAlias = tuple[float, float, float]

PLATE_THICKNESS = 0.07
"""Of the plate that a cone stands on, as a share of the cone's height."""

CUBE = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
"""The corners of a box with sides of 1 that stands on the ground."""

CONE_TOP = 0.16
"""Radius at the top of a cone, as a share of the radius at its foot."""


@dataclass(frozen=True)
class Body:
    """One thing on the ground.

    Attributes:
        kind: index into LABELS.
        x_m: where it stands, east.
        y_m: where it stands, north.
        yaw_rad: which way it is turned, clockwise from north.
        size_m: width, depth, height; of a ball, its diameter thrice.
        pattern: which of the kind's patterns it wears.
        colours_bgr: main, second and third colour, 0..255.
        roll_rad: how a ball has rolled, about three axes.
        number: its own for as long as it exists.
    """

    kind: int
    x_m: float
    y_m: float
    yaw_rad: float
    size_m: tuple[float, float, float]
    pattern: int
    colours_bgr: tuple[Colour, Colour, Colour]
    roll_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)
    number: int = 0

    @property
    def reach_m(self) -> float:
        """How far it extends from where it stands."""
        return float(np.hypot(self.size_m[0], self.size_m[1]) / 2)

    def placed(self, points: Array) -> Array:
        """Points (…, 3) of the body itself (right, ahead, up of its foot when yaw is 0) in the world."""
        placed: Array = points @ upright(self.yaw_rad).T + [self.x_m, self.y_m, 0.0]
        return placed


def hulls(body: Body) -> list[Array]:
    """Points (k, 3) in the world, in one array for each convex part; a part is the hull of its points."""
    width, depth, height = body.size_m
    if body.kind == BALL:
        return [body.placed(_SPHERE * (width / 2) + [0, 0, width / 2])]
    if body.kind == BOX:
        return [body.placed(CUBE * body.size_m)]
    if body.kind == CONE:
        radius = width * 0.4
        body_points = np.concatenate(
            [
                _CIRCLE * radius + [0, 0, PLATE_THICKNESS * height],
                _CIRCLE * (radius * CONE_TOP) + [0, 0, height],
            ]
        )
        return [body.placed(CUBE * [width, depth, PLATE_THICKNESS * height]), body.placed(body_points)]
    return [body.placed(pole(body)), body.placed(plate(body, sign_shape(body)))]


def outlines(body: Body, camera: Camera) -> list[Array]:
    """The convex polygons (k, 2) in pixels that the body covers, before anything hides it."""
    if body.kind == BALL:  # seen from near, the hull of its points would have corners
        centre, radius = ball_in_image(body, camera)
        return [(_CIRCLE[:, :2] * radius + centre).astype(np.float32)]
    return [
        cv2.convexHull(camera.pixels(camera.turned(points)).astype(np.float32))[:, 0]
        for points in hulls(body)
    ]


def shadows(body: Body, camera: Camera, light: Array) -> list[Array]:
    """The convex polygons (k, 2) in pixels of the body's shadow on the ground.

    Args:
        body: which throws it.
        camera: which sees it.
        light: towards the light: `Light.direction` for the camera's heading.
    """
    polygons = []
    for points in hulls(body):
        foot = camera.turned(points)
        away = -light[:2] / light[2] * foot[:, 2:]
        # what would fall behind the camera is cut at its feet
        room = np.where(away[:, 1] < 0, (foot[:, 1] - _NEAREST) / np.maximum(-away[:, 1], 1e-9), 1)
        foot[:, :2] += away * room.clip(0, 1)[:, None]
        foot[:, 2] = 0
        polygons.append(cv2.convexHull(camera.pixels(foot).astype(np.float32))[:, 0])
    return polygons


def ball_in_image(body: Body, camera: Camera) -> tuple[Array, float]:
    """Centre (2,) and radius in pixels."""
    radius = body.size_m[0] / 2
    centre = camera.turned(np.array([body.x_m, body.y_m, radius]))
    return camera.pixels(centre), float(camera.focal_px * radius / centre[1])


def pole(body: Body) -> Array:
    """The corners (8, 3) of a sign's pole, in the body's own frame."""
    return CUBE * [0.05 * body.size_m[0], 0.05 * body.size_m[0], body.size_m[2] * 0.9]


def plate(body: Body, shape: Array) -> Array:
    """A shape on a sign's plate, (k, 2) in -1..1 (right, up), as points (k, 3) in the body's own frame."""
    half = body.size_m[0] / 2
    front = np.full(len(shape), -0.04 * body.size_m[0])
    return np.stack([shape[:, 0] * half, front, body.size_m[2] - half + shape[:, 1] * half], -1)


def sign_shape(body: Body) -> Array:
    """The plate's outline, (k, 2) in -1..1."""
    return SIGN_SHAPES[body.pattern]


def regular(corners: int, turn: float = 0.0) -> Array:
    """A regular polygon, (corners, 2) on the unit circle; a corner is at the top unless turned (radians)."""
    angle = turn + 2 * np.pi * np.arange(corners) / corners
    return np.stack([np.sin(angle), np.cos(angle)], -1)


_NEAREST = 0.08
_CIRCLE = np.concatenate([regular(28), np.zeros((28, 1))], 1)
_SPHERE = np.concatenate([_CIRCLE, _CIRCLE[:, [0, 2, 1]], _CIRCLE[:, [2, 0, 1]]])

SIGN_SHAPES: tuple[Array, ...] = (
    regular(28),
    regular(8, np.pi / 8),
    regular(3),
    regular(4),
    regular(4, np.pi / 4) * 1.25,
    regular(28),
)
"""Disc, octagon, triangle, diamond, square, disc: one for each pattern of a sign."""
