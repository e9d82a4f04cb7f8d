"""Camera and light of a drawn scene: where a point appears, and how bright a surface is.

World: metres, x to the east, y to the north, z up; the ground is z = 0. The camera stands upright and looks
along its heading, so verticals stay vertical; looking down is a horizon above the middle of the image.
"""

from dataclasses import dataclass
from math import cos, sin
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        size_wh: of the image in pixels.
        focal_px: focal length.
        horizon_px: row of the horizon, from the top.
        height_m: above the ground.
        x_m: where it stands, east.
        y_m: where it stands, north.
        heading_rad: clockwise from north.
    """

    size_wh: tuple[int, int]
    focal_px: float
    horizon_px: float
    height_m: float
    x_m: float = 0.0
    y_m: float = 0.0
    heading_rad: float = 0.0

    def turned(self, points: Array) -> Array:
        """World points (…, 3) as (right, ahead, up) of the camera's foot, in metres."""
        turn = upright(self.heading_rad)
        turned: Array = (points - [self.x_m, self.y_m, 0.0]) @ turn
        return turned

    def pixels(self, turned: Array) -> Array:
        """Points (…, 3) right, ahead (above 0), up of the camera's foot as (…, 2) pixels."""
        pixels: Array = np.empty((*turned.shape[:-1], 2))
        scale = self.focal_px / turned[..., 1]
        pixels[..., 0] = self.size_wh[0] / 2 + turned[..., 0] * scale
        pixels[..., 1] = self.horizon_px + (self.height_m - turned[..., 2]) * scale
        return pixels

    def ground(self) -> Array:
        """The 3x3 matrix from pixels (u, v, 1) below the horizon to the ground (x, y, 1), in metres."""
        width = self.size_wh[0]
        flat = np.array(  # right = h (u - w/2), ahead = h f, both over (v - horizon)
            [
                [self.height_m, 0, -self.height_m * width / 2],
                [0, 0, self.height_m * self.focal_px],
                [0, 1, -self.horizon_px],
            ]
        )
        sine, cosine = np.sin(self.heading_rad), np.cos(self.heading_rad)
        turn: Array = np.array([[cosine, sine, self.x_m], [-sine, cosine, self.y_m], [0, 0, 1]])
        onto: Array = turn @ flat
        return onto


@dataclass(frozen=True)
class Light:
    """The sun or a lamp far away, and the light from everywhere.

    Attributes:
        azimuth_rad: where it comes from, clockwise from north.
        elevation_rad: above the horizon.
        direct_bgr: what it adds to a surface that faces it, 1 for all of the surface's colour.
        ambient_bgr: what every surface gets.
    """

    azimuth_rad: float
    elevation_rad: float
    direct_bgr: tuple[float, float, float]
    ambient_bgr: tuple[float, float, float]

    def direction(self, heading_rad: float) -> Array:
        """Towards the light, (3,) unit vector: right, ahead, up for a camera with this heading."""
        turn = self.azimuth_rad - heading_rad
        flat = np.cos(self.elevation_rad)
        return np.array([np.sin(turn) * flat, np.cos(turn) * flat, np.sin(self.elevation_rad)])

    def on(self, facing: Array) -> Array:
        """Light on surfaces, (…, 3) BGR factors, by the cosines (…) of their normals to it (Lambert)."""
        direct = np.maximum(facing, 0)[..., None] * np.array(self.direct_bgr, facing.dtype)
        light: Array = direct + np.array(self.ambient_bgr, facing.dtype)
        return light


def upright(angle_rad: float) -> Array:
    """The 3x3 matrix that turns rows (x, y, z) into right, ahead, up of one who looks along an angle."""
    sine, cosine = sin(angle_rad), cos(angle_rad)
    return np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
