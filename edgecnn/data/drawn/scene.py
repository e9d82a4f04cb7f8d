"""A drawn scene: what stands where, seen by whom, in what light; and which pixels each thing covers."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edgecnn.data.drawn.bodies import BALL, LABELS, Body, outlines
from edgecnn.data.drawn.view import Array, Camera, Light
from edgecnn.results import Boxes, Classes, Mask, Values

BEARING = ("bearing_deg",)


@dataclass(frozen=True)
class Lens:
    """What happens to light on its way into numbers.

    Attributes:
        blur_px: standard deviation of the defocus.
        motion_px: length and direction (right, down) of the smear.
        noise: standard deviation in mid-grey, of 255.
        exposure: factor on all light.
        vignette: how much darker the corners are, 0..1.
    """

    blur_px: float = 0.0
    motion_px: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    exposure: float = 1.0
    vignette: float = 0.0


@dataclass(frozen=True)
class Place:
    """Ground and surroundings.

    Attributes:
        ground: number of the ground's picture.
        ground_side_m: how many metres one picture of it covers.
        ground_turn_rad: how it lies.
        ground_xy: where on it the origin is, in pictures.
        around: number of the surroundings.
        around_turn_rad: which part of them lies north.
        wall_px: how far below the horizon the surroundings reach down, for images 120 pixels high.
    """

    ground: int
    ground_side_m: float
    ground_turn_rad: float
    ground_xy: tuple[float, float]
    around: int
    around_turn_rad: float
    wall_px: float


@dataclass(frozen=True)
class Scene:
    """Everything that a picture follows from; `seed` decides the noise."""

    camera: Camera
    light: Light
    place: Place
    lens: Lens
    bodies: tuple[Body, ...]
    seed: int


@dataclass(frozen=True, eq=False)
class Coverage:
    """Which body each pixel shows.

    Attributes:
        body: (h, w) int16: index into the scene's bodies, or -1.
        whole: (n,) pixels that each body would show were there no other.
        seen: (n,) pixels that it does show.
    """

    body: Array
    whole: Array
    seen: Array


def far_first(scene: Scene) -> list[int]:
    """The bodies by distance, farthest first: the order of painting."""
    ahead = [scene.camera.turned(np.array([body.x_m, body.y_m, 0.0]))[1] for body in scene.bodies]
    return sorted(range(len(ahead)), key=lambda index: -ahead[index])


def coverage(scene: Scene) -> Coverage:
    """Find out which body each pixel shows."""
    width, height = scene.camera.size_wh
    shown = np.full((height, width), -1, np.int16)
    whole = np.zeros(len(scene.bodies), np.int64)
    for index in far_first(scene):
        polygons = outlines(scene.bodies[index], scene.camera)
        corners = np.concatenate(polygons)
        left, top = np.floor(corners.min(0)).astype(int).clip(0, (width, height)).tolist()
        right, bottom = np.ceil(corners.max(0)).astype(int).clip(0, (width, height)).tolist()
        if left >= right or top >= bottom:
            continue
        own = np.zeros((bottom - top, right - left), np.uint8)
        for polygon in polygons:
            points = np.rint((polygon - [left + 0.5, top + 0.5]) * 16).clip(-(2**24), 2**24).astype(np.int32)
            cv2.fillConvexPoly(own, points, 1, shift=4)
        whole[index] = cv2.countNonZero(own)
        shown[top:bottom, left:right][own > 0] = index
    seen = np.bincount(shown.ravel() + 1, minlength=len(scene.bodies) + 1)[1:]
    return Coverage(shown, whole, seen)


def visible(found: Coverage, *, share: float = 0.25, pixels: int = 24) -> Array:
    """Indices of the bodies of which enough is seen to tell what they are: a share and a number of pixels."""
    return np.flatnonzero((found.seen >= pixels) & (found.seen >= share * found.whole))


def class_areas(scene: Scene, found: Coverage) -> Array:
    """Pixels that show each class, (4,) int64."""
    areas = np.zeros(len(LABELS), np.int64)
    np.add.at(areas, [body.kind for body in scene.bodies], found.seen)
    return areas


def classes(scene: Scene, found: Coverage) -> Classes:
    """The class that covers most pixels."""
    return Classes.truth(int(class_areas(scene, found).argmax()), LABELS)


def boxes(scene: Scene, found: Coverage, indices: Sequence[int] | None = None) -> Boxes:
    """Boxes around what is seen of every visible body, in their order, or of the bodies at `indices`."""
    chosen = visible(found) if indices is None else indices
    corners = np.zeros((len(chosen), 4), np.float32)
    for row, index in enumerate(chosen):
        shown = found.body == index
        columns, rows = np.flatnonzero(shown.any(0)), np.flatnonzero(shown.any(1))
        corners[row] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    kinds = np.array([scene.bodies[index].kind for index in chosen], np.int64)
    return Boxes(corners, np.ones(len(chosen)), kinds, LABELS)


def mask(scene: Scene, found: Coverage) -> Mask:
    """Background (0), or the class of what each pixel shows."""
    label_ids = np.array([0] + [body.kind + 1 for body in scene.bodies], np.int32)
    return Mask(label_ids[found.body + 1], ("background", *LABELS))


def bearing(scene: Scene, found: Coverage) -> Values | None:
    """The direction of the nearest visible ball, if there is one, in degrees to the right of ahead."""
    nearest = None
    for index in visible(found):
        body = scene.bodies[index]
        right, ahead, _ = scene.camera.turned(np.array([body.x_m, body.y_m, 0.0]))
        distance = float(np.hypot(right, ahead))
        if body.kind == BALL and (nearest is None or distance < nearest[0]):
            nearest = distance, float(np.rad2deg(np.arctan2(right, ahead)))
    return None if nearest is None else Values(np.array([nearest[1]]), BEARING)
