"""A scene as pixels: surroundings, ground, shadows, bodies, then what lens and sensor add."""

from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgecnn.data.drawn import surfaces
from edgecnn.data.drawn.bodies import shadows
from edgecnn.data.drawn.paint import fill, paint
from edgecnn.data.drawn.scene import Scene, far_first
from edgecnn.data.drawn.view import Array

Pixels: TypeAlias = npt.NDArray[np.uint8]


def picture(scene: Scene) -> Pixels:
    """The scene as the camera sees it, (h, w, 3) uint8 BGR. The same scene gives the same picture."""
    width, height = scene.camera.size_wh
    seen = np.empty((height, width, 3), np.uint8)
    start = _surroundings(seen, scene)
    _ground(seen, scene, start)
    _shadows(seen, scene, start)
    for index in far_first(scene):
        paint(seen, scene.bodies[index], scene.camera, scene.light)
    return _through_lens(seen, scene)


def _surroundings(seen: Pixels, scene: Scene) -> int:
    """Fill in all above the ground; returns the ground's first row."""
    camera, place = scene.camera, scene.place
    width, height = camera.size_wh
    start = int(np.clip(round(camera.horizon_px + place.wall_px * height / 120), 1, height))
    strip = surfaces.around(place.around)
    pixels_per_turn = 2 * np.pi * camera.focal_px
    step = strip.shape[1] / pixels_per_turn  # strip pixels for each image pixel
    middle = (camera.heading_rad + place.around_turn_rad) / (2 * np.pi) * strip.shape[1] % strip.shape[1]
    matrix = np.array([[step, 0, middle - step * width / 2], [0, step, strip.shape[0] - step * start]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    wide = _wide(place.around)
    matrix[0, 2] += strip.shape[1]
    seen[:start] = cv2.warpAffine(wide, matrix, (width, start), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    lit = np.array(scene.light.direct_bgr) * 0.6 + scene.light.ambient_bgr
    seen[:start] = _times(seen[:start], lit)
    return start


@lru_cache(maxsize=surfaces.SURROUNDINGS)
def _wide(number: int) -> Pixels:
    """Three turns of the surroundings, so that no view has a seam."""
    return np.hstack([surfaces.around(number)] * 3)


def _ground(seen: Pixels, scene: Scene, start: int) -> None:
    """The ground's picture in perspective; less sharp far away, or it would flicker (mip maps)."""
    camera, place = scene.camera, scene.place
    width, height = camera.size_wh
    levels = surfaces.ground(place.ground)
    sine, cosine = np.sin(place.ground_turn_rad), np.cos(place.ground_turn_rad)
    turn = np.array([[cosine, sine], [-sine, cosine]]) / place.ground_side_m
    onto = np.eye(3)
    onto[:2, :2] = turn
    onto[:2, 2] = place.ground_xy
    matrix = onto @ camera.ground()
    columns, rows = np.arange(width) + 0.5, np.arange(start, height)[:, None] + 0.5
    depth = rows - camera.horizon_px
    # in pictures, less whole ones: within 0..1, so that no look-up meets a border (five times as slow)
    x, y = (((row[0] * columns + row[1] * rows + row[2]) / depth).astype(np.float32) for row in matrix[:2])
    x -= np.floor(x)
    y -= np.floor(y)
    # texels under one pixel, across and along the view; their geometric mean decides, on the sharp side
    across = camera.height_m / depth[:, 0] / place.ground_side_m * surfaces.GROUND_SIDE
    along = across * camera.focal_px / depth[:, 0]
    level = np.clip(np.rint(np.log2(np.sqrt(across * along)) - 0.25), 0, len(levels) - 1).astype(int)
    for number in np.unique(level):
        inside = np.flatnonzero(level == number)
        top, end = int(inside[0]), int(inside[-1]) + 1
        side = len(levels[number]) - 1  # its last row and column repeat the first
        seen[start + top : start + end] = cv2.remap(
            levels[number], x[top:end] * side, y[top:end] * side, cv2.INTER_LINEAR
        )
    up = np.sin(scene.light.elevation_rad)
    seen[start:] = _times(seen[start:], scene.light.on(np.array(up)))


def _shadows(seen: Pixels, scene: Scene, start: int) -> None:
    width, height = scene.camera.size_wh
    dark = np.zeros((height, width), np.uint8)
    light = scene.light.direction(scene.camera.heading_rad)
    for body in scene.bodies:
        for polygon in shadows(body, scene.camera, light):
            fill(dark, polygon, 255.0)
    spread = max(0.4, 0.008 * height)
    depth = cv2.GaussianBlur(dark, (0, 0), spread)[start:, :, None].astype(np.float32) / 255
    lit = scene.light.on(np.array(light[2]))
    remains = np.asarray(scene.light.ambient_bgr, np.float32) / lit.astype(np.float32)
    part = seen[start:]
    part[:] = np.rint(part * (1 - depth * (1 - remains)))


def _times(part: Pixels, light: Array) -> Array:
    """Multiply each channel by its light, (3,)."""
    table = np.clip(np.rint(np.arange(256)[:, None] * light), 0, 255).astype(np.uint8)
    return cv2.LUT(part, table[None])


def _through_lens(seen: Pixels, scene: Scene) -> Pixels:
    lens = scene.lens
    height, width = seen.shape[:2]
    if np.hypot(*lens.motion_px) > 0.5:
        cv2.filter2D(seen, -1, _smear(*lens.motion_px), seen, borderType=cv2.BORDER_REPLICATE)
    if lens.blur_px > 0.2:
        cv2.GaussianBlur(seen, (0, 0), lens.blur_px, seen)
    out = seen.astype(np.float32)
    if lens.vignette > 0 or lens.exposure != 1:
        out *= lens.exposure * (1 - lens.vignette * _corners(height, width))[..., None]
    if lens.noise > 0:
        random = np.random.default_rng((13, scene.seed))
        top, left = random.integers(0, _NOISE_SIDE, 2)
        out += lens.noise * _noise(height, width)[top : top + height, left : left + width]
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _smear(right: float, down: float) -> Array:
    """A line through the middle of a kernel, its ends smooth, with sum 1."""
    reach = int(np.ceil(max(abs(right), abs(down)) / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    ends = [(reach - right / 2, reach - down / 2), (reach + right / 2, reach + down / 2)]
    one, two = ([round(value * 16) for value in end] for end in ends)
    cv2.line(kernel, one, two, 255, 1, cv2.LINE_AA, 4)
    return kernel / np.float32(kernel.sum())


_NOISE_SIDE = 97


@lru_cache(maxsize=4)
def _noise(height: int, width: int) -> Array:
    """Normal noise of standard deviation 1 with 97 x 97 places to start: new noise takes too long."""
    random = np.random.default_rng(14)
    return random.standard_normal((height + _NOISE_SIDE, width + _NOISE_SIDE, 3), np.float32)


@lru_cache(maxsize=4)
def _corners(height: int, width: int) -> Array:
    """0 in the middle, 1 in the corners, by the squared distance."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    away: Array = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2
    return away
