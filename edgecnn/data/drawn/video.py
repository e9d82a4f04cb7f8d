"""A drive through a drawn world that has no end: smooth motion, and things that keep their number.

The world is a chessboard of cells; what stands in a cell follows from the seed and the cell, so a thing is
the same whenever it comes into view. The camera wanders, turns away from what stands ahead, and some
balls roll to and fro.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import ceil, cos, sin

import numpy as np

from edgecnn.data.dataset import Image
from edgecnn.data.drawn import scene as truths
from edgecnn.data.drawn.bodies import BALL, LABELS, Body
from edgecnn.data.drawn.picture import picture
from edgecnn.data.drawn.sampling import body, sun, where
from edgecnn.data.drawn.scene import Coverage, Lens, Scene, coverage, visible
from edgecnn.data.drawn.view import Array, Camera
from edgecnn.errors import DataError
from edgecnn.results import Boxes, Mask, Values

CELL_M = 0.9
SIGHT_M = 6.0
SPEED_M_S = 0.5

_DENSITY = 0.36
"""The share of cells in which something stands."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One image of the drive and what is true of it. Nothing is painted before it is asked for.

    Attributes:
        index: counts from 0.
        time_s: of the drive, at this image.
        scene: what there is.
    """

    index: int
    time_s: float
    scene: Scene

    @cached_property
    def image(self) -> Image:
        """(h, w, 3) uint8 BGR."""
        return picture(self.scene)

    @cached_property
    def found(self) -> Coverage:
        """Which body each pixel shows."""
        return coverage(self.scene)

    @property
    def boxes(self) -> Boxes:
        """Around what is seen of each visible thing."""
        return truths.boxes(self.scene, self.found)

    @property
    def numbers(self) -> Array:
        """(n,) int64: for each of `boxes`, which thing it is; the same as long as the drive lasts."""
        return np.array([self.scene.bodies[index].number for index in visible(self.found)], np.int64)

    @property
    def mask(self) -> Mask:
        """Background or class of each pixel."""
        return truths.mask(self.scene, self.found)

    @property
    def bearing(self) -> Values | None:
        """`bearing_deg` of the nearest visible ball; None when there is none."""
        return truths.bearing(self.scene, self.found)


def drawn_video(seed: int = 0, *, size_wh: tuple[int, int] = (320, 240), fps: float = 30.0) -> Iterator[Shot]:
    """Drive on for ever.

    Args:
        seed: decides the world, the light and the way.
        size_wh: of the images, in pixels.
        fps: images for each second of the drive; they are made as fast as they are asked for.

    Raises:
        DataError: an impossible seed, size or rate.
    """
    if not 0 <= seed < 2**32 or min(size_wh) < 32 or max(size_wh) > 2048 or not 1 <= fps <= 1000:
        raise DataError(
            f"drawn video: seed {seed}, size {size_wh}, {fps} images/s: one of them is out of range"
        )
    return _drive(seed, size_wh, fps)


def _drive(seed: int, size_wh: tuple[int, int], fps: float) -> Iterator[Shot]:
    random = np.random.default_rng((seed, 0, 0, 3))
    light, place = sun(random), where(random)
    phases = random.uniform(0, 2 * np.pi, 4)
    width, height = size_wh
    focal = width / 2 / np.tan(np.deg2rad(66) / 2)
    camera = Camera(size_wh, focal, height * 0.33, 0.22)
    turning = 0.0
    index = 0
    while True:
        time_s = index / fps
        # never above its shutter time of 1/60 s: what moves in it smears
        lens = Lens(
            blur_px=0.3 * height / 240, motion_px=(focal * turning / 60, 0.0), noise=2.5, vignette=0.2
        )
        around = _bodies(seed, camera, time_s)
        scene = Scene(camera, light, place, lens, around, seed + index)
        yield Shot(index, time_s, scene)
        wanted = _wandering(time_s, phases) + _avoiding(camera, around)
        turning += (float(np.clip(wanted, -0.9, 0.9)) - turning) * min(1.0, 3.0 / fps)
        heading = camera.heading_rad + turning / fps
        camera = replace(
            camera,
            heading_rad=heading,
            x_m=camera.x_m + np.sin(heading) * SPEED_M_S / fps,
            y_m=camera.y_m + np.cos(heading) * SPEED_M_S / fps,
        )
        index += 1


def _wandering(time_s: float, phases: Array) -> float:
    """The turning rate of a drive without aim, in rad/s: sines whose periods do not fit together."""
    return float(
        (
            np.array([0.16, 0.12, 0.08, 0.05]) * np.sin(time_s * np.array([0.23, 0.41, 0.73, 1.1]) + phases)
        ).sum()
    )


def _avoiding(camera: Camera, bodies: tuple[Body, ...]) -> float:
    """The turning rate away from what stands ahead within 1.1 m, the stronger the nearer, in rad/s."""
    rate = 0.0
    for thing in bodies:
        right, ahead, _ = camera.turned(np.array([thing.x_m, thing.y_m, 0.0]))
        free = abs(right) - thing.reach_m - 0.25
        if 0 < ahead < 1.1 and free < 0:
            rate += (-1 if right > 0 else 1) * 2.5 * -free * (1.1 - ahead) / max(ahead, 0.3)
    return rate


def _bodies(seed: int, camera: Camera, time_s: float) -> tuple[Body, ...]:
    """What stands before the camera."""
    reach = ceil(SIGHT_M / CELL_M)
    sine, cosine = sin(camera.heading_rad), cos(camera.heading_rad)
    column, row = round(camera.x_m / CELL_M), round(camera.y_m / CELL_M)
    found = []
    for x in range(column - reach, column + reach + 1):
        for y in range(row - reach, row + reach + 1):
            thing = _cell(seed, x, y)
            if thing is None:
                continue
            thing = _rolling(thing, time_s)
            east, north = thing.x_m - camera.x_m, thing.y_m - camera.y_m
            right, ahead = east * cosine - north * sine, east * sine + north * cosine
            if thing.reach_m + 0.1 < ahead < SIGHT_M and abs(right) < ahead + 0.5:
                found.append(thing)
    return tuple(found)


@lru_cache(maxsize=512)  # what is in sight, twice over: a drive that never ends forgets the rest
def _cell(seed: int, column: int, row: int) -> Body | None:
    """What stands in a cell, its number made of the cell's place; nothing where the drive begins."""
    random = np.random.default_rng((seed, column % 2**31, row % 2**31, 4))
    if random.random() > _DENSITY or abs(column) + abs(row) < 2:
        return None
    x_m, y_m = (np.array([column, row]) + random.uniform(-0.25, 0.25, 2)) * CELL_M
    number = (column % 2**15) * 2**15 + row % 2**15
    return body(
        random, int(random.integers(len(LABELS))), float(x_m), float(y_m), random.uniform(0, 6.28), number
    )


def _rolling(thing: Body, time_s: float) -> Body:
    """Every other ball rolls to and fro over 0.3 m."""
    if thing.kind != BALL or thing.number % 2:
        return thing
    way = 0.15 * float(np.sin(0.9 * time_s + thing.roll_rad[0]))
    turn = thing.roll_rad[0] + way / (thing.size_m[0] / 2)
    return replace(thing, x_m=thing.x_m + way, roll_rad=(thing.roll_rad[0], turn, thing.roll_rad[2]))
