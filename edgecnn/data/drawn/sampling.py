"""Drawn scenes at random: which things in which sizes and colours, where, in what light, by which lens."""

import numpy as np

from edgecnn.data.drawn import surfaces
from edgecnn.data.drawn.bodies import LABELS, SIGN, SIGN_SHAPES, Body, Colour
from edgecnn.data.drawn.scene import Lens, Place, Scene, class_areas, coverage
from edgecnn.data.drawn.view import Array, Camera, Light

_ATTEMPTS = 12
_DOMINANCE = 1.5
"""The leading class covers this many times the pixels of any other, so that a person can say which leads."""


def still(random: np.random.Generator, size_wh: tuple[int, int], kind: int) -> Scene:
    """A scene in which class `kind` covers most pixels, by far enough to say so.

    A body of that class comes first; others come around it until one arrangement in twelve shows enough of
    it, or it stays alone.
    """
    camera, light, place, lens = _camera(random, size_wh), sun(random), where(random), _lens(random, size_wh)
    seed = int(random.integers(2**31))
    for attempt in range(_ATTEMPTS + 1):
        first = _leading(random, camera, kind)
        others = _others(random, camera, first) if attempt < _ATTEMPTS else ()
        scene = Scene(camera, light, place, lens, (first, *others), seed)
        found = coverage(scene)
        areas = class_areas(scene, found)
        rivals = np.delete(areas, kind).max()
        seen_enough = found.seen[0] >= max(0.45 * found.whole[0], 0.004 * size_wh[0] * size_wh[1])
        if seen_enough and areas[kind] >= _DOMINANCE * rivals:
            break
    return scene


def sun(random: np.random.Generator) -> Light:
    """Light from above: level ground gets 1 in all, of which 35 to 60 % come from everywhere."""
    elevation = np.deg2rad(random.uniform(28, 72))
    ambient = random.uniform(0.35, 0.6)
    direct = min((1 - ambient) / np.sin(elevation), 1.1)
    warmth = random.uniform(-0.12, 0.12)
    return Light(
        random.uniform(0, 2 * np.pi),
        float(elevation),
        (direct * (1 - warmth), direct, direct * (1 + warmth)),
        (ambient * (1 + warmth), ambient, ambient * (1 - warmth)),
    )


def where(random: np.random.Generator) -> Place:
    """Any ground in any surroundings."""
    return Place(
        ground=int(random.integers(surfaces.GROUNDS)),
        ground_side_m=random.uniform(1.0, 2.4),
        ground_turn_rad=random.uniform(0, 2 * np.pi),
        ground_xy=(random.random(), random.random()),
        around=int(random.integers(surfaces.SURROUNDINGS)),
        around_turn_rad=random.uniform(0, 2 * np.pi),
        wall_px=random.uniform(0.5, 6),
    )


def body(
    random: np.random.Generator, kind: int, x_m: float, y_m: float, facing_rad: float, number: int = 0
) -> Body:
    """A body of a kind in any size, colour and pattern; signs face within 50 degrees of `facing_rad`."""
    make = (_ball, _box, _cone, _sign)[kind]
    size, pattern, colours = make(random)
    half_turn = np.deg2rad(50) if kind == SIGN else np.pi
    yaw = facing_rad + random.uniform(-half_turn, half_turn)
    roll = random.uniform(0, 2 * np.pi, 3)
    return Body(kind, x_m, y_m, yaw, size, pattern, colours, (roll[0], roll[1], roll[2]), number)


def _camera(random: np.random.Generator, size_wh: tuple[int, int]) -> Camera:
    width, height = size_wh
    field_of_view = np.deg2rad(random.uniform(52, 78))
    return Camera(
        size_wh,
        focal_px=width / 2 / np.tan(field_of_view / 2),
        horizon_px=height * random.uniform(0.2, 0.48),
        height_m=random.uniform(0.15, 0.4),
    )


def _lens(random: np.random.Generator, size_wh: tuple[int, int]) -> Lens:
    unit = size_wh[1] / 120
    smear = unit * random.uniform(2, 7) if random.random() < 0.25 else 0.0
    return Lens(
        blur_px=unit * random.uniform(0.3, 1.1) if random.random() < 0.5 else 0.0,
        motion_px=(smear, smear * random.uniform(-0.35, 0.35)),
        noise=random.uniform(1, 7),
        exposure=random.uniform(0.7, 1.25),
        vignette=random.uniform(0, 0.3),
    )


def _leading(random: np.random.Generator, camera: Camera, kind: int) -> Body:
    """Somewhere in view, 19 to 70 % of the image high; signs, which are thin, at least 26 %."""
    width, height = camera.size_wh
    plan = body(random, kind, 0, 0, 0)
    apparent = height * np.exp(random.uniform(np.log(0.26 if kind == SIGN else 0.19), np.log(0.7)))
    nearest = camera.focal_px * camera.height_m / (random.uniform(0.85, 1.06) * height - camera.horizon_px)
    ahead = max(camera.focal_px * plan.size_m[2] / apparent, nearest, plan.reach_m + 0.15)
    right = (random.uniform(0.1, 0.9) - 0.5) * width * ahead / camera.focal_px
    return _moved(plan, right, ahead)


def _others(random: np.random.Generator, camera: Camera, first: Body) -> tuple[Body, ...]:
    placed = [first]
    width, height = camera.size_wh
    nearest = camera.focal_px * camera.height_m / (1.15 * height - camera.horizon_px)
    for _ in range(int(random.choice(6, p=(0.1, 0.2, 0.25, 0.2, 0.15, 0.1)))):
        plan = body(random, int(random.integers(len(LABELS))), 0, 0, 0)
        ahead = max(float(np.exp(random.uniform(np.log(nearest), np.log(7)))), plan.reach_m + 0.15)
        right = (random.uniform(-0.1, 1.1) - 0.5) * width * ahead / camera.focal_px
        if all(
            np.hypot(right - other.x_m, ahead - other.y_m) > plan.reach_m + other.reach_m for other in placed
        ):
            placed.append(_moved(plan, right, ahead))
    return tuple(placed[1:])


def _moved(plan: Body, right: float, ahead: float) -> Body:
    """To a place seen from the origin; turned along, so that a sign still faces the camera."""
    yaw = plan.yaw_rad + float(np.arctan2(right, ahead))
    return Body(
        plan.kind, right, ahead, yaw, plan.size_m, plan.pattern, plan.colours_bgr, plan.roll_rad, plan.number
    )


_RED, _ORANGE, _YELLOW = (38, 36, 200), (25, 105, 240), (35, 205, 245)
_GREEN, _BLUE, _SKY, _PURPLE = (70, 160, 55), (185, 85, 35), (225, 170, 70), (150, 60, 120)
_WHITE, _GREY, _DARK = (232, 235, 238), (150, 150, 150), (48, 45, 44)
_CARDBOARD, _WOOD, _TENNIS = (112, 152, 188), (85, 130, 178), (80, 230, 205)
_BRIGHT = (_RED, _ORANGE, _YELLOW, _GREEN, _BLUE, _SKY, _PURPLE, _WHITE)


def _varied(random: np.random.Generator, colour: tuple[int, int, int]) -> Colour:
    varied: Array = np.clip(np.array(colour) * random.uniform(0.85, 1.1) + random.uniform(-10, 10, 3), 0, 255)
    return float(varied[0]), float(varied[1]), float(varied[2])


def _bright(random: np.random.Generator) -> Colour:
    return _varied(random, _BRIGHT[int(random.integers(len(_BRIGHT)))])


_Shape = tuple[tuple[float, float, float], int, tuple[Colour, Colour, Colour]]


def _ball(random: np.random.Generator) -> _Shape:
    diameter = random.uniform(0.07, 0.24)
    pattern = int(random.integers(5))
    main, second = _bright(random), _bright(random)
    if pattern == 3 and random.random() < 0.6:
        main, second = _varied(random, _WHITE), _varied(random, _DARK)
    if pattern == 4:
        main = _varied(random, _TENNIS if random.random() < 0.7 else _ORANGE)
    return (diameter, diameter, diameter), pattern, (main, second, _bright(random))


def _box(random: np.random.Generator) -> _Shape:
    width, depth, height = random.uniform(0.12, 0.38, 3) * (1, 1, 0.9)
    pattern = int(random.integers(5))
    main, second, third = _bright(random), _bright(random), _bright(random)
    if pattern == 1 or random.random() < 0.2:  # cardboard, a label, tape
        main, second, third = _varied(random, _CARDBOARD), _varied(random, _WHITE), _varied(random, _WOOD)
    elif pattern == 4 or random.random() < 0.2:  # a crate
        main, second, third = (
            _varied(random, _WOOD),
            _varied(random, (70, 108, 150)),
            _varied(random, (45, 70, 100)),
        )
    elif pattern == 0:  # a darker frame
        second = (main[0] * 1.12 + 8, main[1] * 1.12 + 8, main[2] * 1.12 + 8)
    return (width, depth, height), pattern, (main, second, third)


def _cone(random: np.random.Generator) -> _Shape:
    width = random.uniform(0.14, 0.28)
    pattern = int(random.integers(4))
    main = _varied(random, _ORANGE) if random.random() < 0.55 else _bright(random)
    second = _varied(random, _WHITE) if random.random() < 0.75 else _bright(random)
    foot = _varied(random, _DARK) if random.random() < 0.5 else main
    return (width, width, width * random.uniform(1.15, 2.0)), pattern, (main, second, foot)


def _sign(random: np.random.Generator) -> _Shape:
    width = random.uniform(0.12, 0.24)
    pattern = int(random.integers(len(SIGN_SHAPES)))
    main = _varied(random, _RED) if random.random() < 0.8 else _bright(random)
    second = _varied(random, _YELLOW if pattern == 3 else _BLUE if random.random() < 0.7 else _GREEN)
    return (width, width, width * random.uniform(1.5, 2.6)), pattern, (main, second, _varied(random, _GREY))
