"""Bodies as light, colour and pattern make them look: painted over a picture, far ones first."""

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgecnn.data.drawn.bodies import (
    BALL,
    BOX,
    CONE,
    CONE_TOP,
    CUBE,
    PLATE_THICKNESS,
    Body,
    Colour,
    ball_in_image,
    outlines,
    plate,
    pole,
    regular,
    sign_shape,
)
from edgecnn.data.drawn.view import Array, Camera, Light, upright

Pixels: TypeAlias = npt.NDArray[np.uint8]

_SUBPIXEL_BITS = 4
_WHITE, _BLACK, _STEEL = (235.0, 238.0, 240.0), (35.0, 32.0, 30.0), (150.0, 150.0, 148.0)


def paint(picture: Pixels, body: Body, camera: Camera, light: Light) -> None:
    """Paint a body over a picture, (h, w, 3) uint8 BGR, in place."""
    if body.kind == BALL:
        _ball(picture, body, camera, light)
    elif body.kind == BOX:
        _prism(picture, body, camera, light, body.size_m, _BOX_PATTERNS[body.pattern], body.colours_bgr)
    elif body.kind == CONE:
        _cone(picture, body, camera, light)
    else:
        _sign(picture, body, camera, light)


def fill(picture: Pixels, polygon: Array, colour: Array | Colour | float) -> None:
    """Fill a convex polygon, (k, 2) pixels, with smooth edges; in place."""
    points = np.rint((polygon - 0.5) * (1 << _SUBPIXEL_BITS)).clip(-(2**24), 2**24).astype(np.int32)
    value = colour if isinstance(colour, float) else np.clip(colour, 0, 255).tolist()
    cv2.fillConvexPoly(picture, points, value, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)


def _window(picture: Pixels, polygon: Array) -> tuple[Pixels, Array, Array] | None:
    """The part of a picture around a polygon; columns (1, w) and rows (h, 1) of its pixels' centres."""
    height, width = picture.shape[:2]
    left, top = np.floor(polygon.min(0)).astype(int).clip(0, (width, height)).tolist()
    right, bottom = np.ceil(polygon.max(0)).astype(int).clip(0, (width, height)).tolist()
    if left >= right or top >= bottom:
        return None
    columns = np.arange(left, right, dtype=np.float32)[None] + 0.5
    rows = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5
    return picture[top:bottom, left:right], columns, rows


def _blend(part: Pixels, colour: Array, cover: Array) -> None:
    part[:] = np.rint(part + (np.clip(colour, 0, 255) - part) * cover[..., None])


def _ball(picture: Pixels, body: Body, camera: Camera, light: Light) -> None:
    centre, radius = ball_in_image(body, camera)
    window = _window(picture, outlines(body, camera)[0])
    if window is None:
        return
    part, columns, rows = window
    right = np.broadcast_to((columns - centre[0]) / radius, part.shape[:2]).astype(np.float32)
    up = np.broadcast_to((centre[1] - rows) / radius, part.shape[:2]).astype(np.float32)
    away = np.sqrt(right**2 + up**2)
    normal = np.stack([right, -np.sqrt(np.maximum(1 - away**2, 0)), up], -1)
    towards = light.direction(camera.heading_rad).astype(np.float32)
    glance = towards - [0, 1, 0]
    gloss = np.maximum(normal @ (glance / np.linalg.norm(glance)).astype(np.float32), 0) ** 40
    shade = light.on(normal @ towards) * (
        0.82 + 0.18 * np.clip(up[..., None] + 1, 0, 1)
    )  # less light near the ground
    colour = _ball_pattern(body, normal @ _rotation(body.roll_rad).T) * shade + 120 * gloss[..., None]
    _blend(part, colour, np.clip((1 - away) * radius + 0.5, 0, 1))


def _ball_pattern(body: Body, normal: Array) -> Array:
    main, second, third = (np.array(colour, np.float32) for colour in body.colours_bgr)
    x, y, z = normal[..., 0], normal[..., 1], normal[..., 2]
    if body.pattern == 0:
        return np.broadcast_to(main, normal.shape)
    if body.pattern == 1:  # beach ball
        sector = np.floor((np.arctan2(y, x) / (2 * np.pi) + 0.5) * 6).astype(int) % 6
        colours = np.stack([main, _array(_WHITE), second, _array(_WHITE), third, _array(_WHITE)])
        return np.where((abs(z) > 0.95)[..., None], main, colours[sector])
    if body.pattern == 2:  # a belt
        return np.where((abs(z) < 0.28)[..., None], second, main)
    if body.pattern == 3:  # spots at the corners of an icosahedron
        return np.where(((normal @ _ICOSAHEDRON.T).max(-1) > 0.93)[..., None], second, main)
    seam = abs(z - 0.45 * np.sin(2 * np.arctan2(y, x))) < 0.1  # tennis ball
    return np.where(seam[..., None], _array(_WHITE), main)


def _cone(picture: Pixels, body: Body, camera: Camera, light: Light) -> None:
    width, depth, height = body.size_m
    foot = PLATE_THICKNESS * height
    plate_colours = (body.colours_bgr[2], body.colours_bgr[2], body.colours_bgr[2])
    _prism(picture, body, camera, light, (width, depth, foot), (), plate_colours)
    outline = outlines(body, camera)[1]
    window = _window(picture, outline)
    if window is None:
        return
    part, columns, rows = window
    axis = camera.turned(np.array([body.x_m, body.y_m, 0.0]))
    scale = camera.focal_px / axis[1]
    radius_foot = width * 0.4
    lean = (1 - CONE_TOP) * radius_foot / (height - foot)
    up = camera.height_m - (rows - camera.horizon_px) / scale
    radius = np.clip(radius_foot - lean * (up - foot), radius_foot * CONE_TOP, radius_foot)
    side = np.clip((columns - camera.size_wh[0] / 2 - axis[0] * scale) / (radius * scale), -1, 1)
    front = np.sqrt(1 - side**2)
    # the surface is nearer than the axis, so it appears lower: this bends the stripes
    up = camera.height_m - (rows - camera.horizon_px) / camera.focal_px * (axis[1] - radius * front)
    normal = np.stack([side, -front, np.full_like(side, lean)], -1) / np.sqrt(1 + lean**2)
    share = (up - foot) / (height - foot)
    striped = np.zeros(share.shape, bool)
    for low, high in _CONE_STRIPES[body.pattern]:
        striped |= (share > low) & (share < high)
    main, second = (np.array(colour, np.float32) for colour in body.colours_bgr[:2])
    shade = (
        light.on(normal @ light.direction(camera.heading_rad))
        * (0.8 + 0.2 * np.clip(share * 3, 0, 1))[..., None]
    )
    cover = np.zeros(part.shape[:2], np.uint8)
    fill(cover, outline - [columns[0, 0] - 0.5, rows[0, 0] - 0.5], 255.0)
    _blend(part, np.where(striped[..., None], second, main) * shade, cover / np.float32(255))


def _prism(
    picture: Pixels,
    body: Body,
    camera: Camera,
    light: Light,
    size: tuple[float, float, float],
    pattern: tuple[tuple[int, tuple[float, float, float, float], int], ...],
    colours: tuple[Colour, Colour, Colour],
) -> None:
    """A box with rectangles on its faces.

    Each is (face, or -1 for every side; left, bottom, right, top in 0..1; index of its colour).
    """
    corners = camera.turned(body.placed(CUBE * size))
    spots = camera.pixels(corners)
    # rows of the matrix: right and ahead of the body, as right, ahead, up of the camera
    turn = upright(camera.heading_rad - body.yaw_rad)
    normals = _NORMALS @ turn
    facing = normals @ light.direction(camera.heading_rad)
    for face, around in enumerate(_FACES):
        if normals[face] @ (corners[around[0]] - [0, 0, camera.height_m]) >= 0:  # turned away
            continue
        shade = light.on(facing[face])
        fill(picture, spots[around], np.array(colours[0]) * shade)
        for where, (left, bottom, right, top), number in pattern:
            if where not in (face, -1 if face < 4 else face):
                continue
            one, two, _, four = corners[around]
            shares = np.array([[left, bottom], [right, bottom], [right, top], [left, top]])
            marked = one + shares @ np.stack([two - one, four - one])
            fill(picture, camera.pixels(marked), np.array(colours[number]) * shade)


def _sign(picture: Pixels, body: Body, camera: Camera, light: Light) -> None:
    towards = light.direction(camera.heading_rad)
    post = cv2.convexHull(camera.pixels(camera.turned(body.placed(pole(body)))).astype(np.float32))[:, 0]
    fill(picture, post, np.array(_STEEL) * light.on(np.array(0.4)))
    shape = sign_shape(body)
    points = camera.turned(body.placed(plate(body, shape)))
    turn = body.yaw_rad - camera.heading_rad
    normal = np.array([-np.sin(turn), -np.cos(turn), 0])  # of the front; the back is painted alike
    facing = 1.0 if normal @ (points[0] - [0, 0, camera.height_m]) < 0 else -1.0
    shade = light.on(facing * normal @ towards)
    named = {"main": body.colours_bgr[0], "second": body.colours_bgr[1], "white": _WHITE, "black": _BLACK}
    fill(picture, camera.pixels(points), np.array(named[_SIGN_RIM[body.pattern]]) * shade)
    for layer, colour in _SIGN_LAYERS[body.pattern]:
        drawn = camera.pixels(camera.turned(body.placed(plate(body, layer))))
        fill(picture, drawn, np.array(named[colour]) * shade)


def _rotation(angles: tuple[float, float, float]) -> Array:
    turn = np.eye(3, dtype=np.float32)
    for axis, angle in enumerate(angles):
        one, two = [other for other in range(3) if other != axis]
        step = np.eye(3, dtype=np.float32)
        step[one, one] = step[two, two] = np.cos(angle)
        step[one, two], step[two, one] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    return turn


def _array(colour: Colour) -> Array:
    return np.array(colour, np.float32)


def _bar(left: float, bottom: float, right: float, top: float) -> Array:
    return np.array([[left, bottom], [right, bottom], [right, top], [left, top]])


_GOLDEN = (1 + 5**0.5) / 2
_ICOSAHEDRON = np.array(
    [np.roll([0, one, two], shift) for shift in range(3) for one in (-1, 1) for two in (-_GOLDEN, _GOLDEN)],
    np.float32,
) / np.float32(np.hypot(1, _GOLDEN))

# corners of CUBE, from the lower left, as seen from outside: front, right, back, left, top
_FACES = ([0, 4, 5, 1], [4, 6, 7, 5], [6, 2, 3, 7], [2, 0, 1, 3], [1, 5, 7, 3])
_NORMALS = np.array([[0, -1, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, 1]])

_BOX_PATTERNS: tuple[tuple[tuple[int, tuple[float, float, float, float], int], ...], ...] = (
    ((-1, (0.06, 0.08, 0.94, 0.92), 1),),
    ((4, (0.44, 0.0, 0.56, 1.0), 2), (0, (0.44, 0.75, 0.56, 1.0), 2), (2, (0.44, 0.75, 0.56, 1.0), 2),
     (1, (0.55, 0.15, 0.85, 0.45), 1), (3, (0.55, 0.15, 0.85, 0.45), 1)),
    ((-1, (0.0, 0.2, 1.0, 0.32), 1), (-1, (0.0, 0.68, 1.0, 0.8), 1)),
    ((-1, (0.42, 0.0, 0.58, 1.0), 2), (4, (0.42, 0.0, 0.58, 1.0), 2), (4, (0.0, 0.42, 1.0, 0.58), 2)),
    ((-1, (0.0, 0.31, 1.0, 0.35), 2), (-1, (0.0, 0.65, 1.0, 0.69), 2), (-1, (0.0, 0.0, 0.1, 1.0), 1),
     (-1, (0.9, 0.0, 1.0, 1.0), 1)),
)  # fmt: skip

_CONE_STRIPES = ((), ((0.4, 0.65),), ((0.25, 0.45), (0.62, 0.8)), ((0.55, 0.9),))

_SIGN_RIM = ("main", "main", "main", "black", "white", "white")
_SIGN_LAYERS: tuple[tuple[tuple[Array, str], ...], ...] = (
    ((regular(28) * 0.74, "white"), (_bar(-0.16, -0.4, 0.0, 0.4), "black"),
     (_bar(0.1, -0.4, 0.26, 0.4), "black")),
    ((_bar(-0.6, -0.16, 0.6, 0.16), "white"),),
    ((regular(3) * 0.62, "white"), (_bar(-0.07, -0.08, 0.07, 0.36), "black"),
     (_bar(-0.07, -0.24, 0.07, -0.13), "black")),
    ((regular(4) * 0.86, "second"), (_bar(-0.1, -0.5, 0.1, 0.2), "black"),
     (np.array([[-0.3, 0.1], [0.3, 0.1], [0.0, 0.5]]), "black")),
    ((regular(4, np.pi / 4) * 1.12, "second"), (regular(28) * 0.45, "white"), (regular(28) * 0.22, "second")),
    ((regular(28) * 0.9, "second"), (_bar(-0.5, -0.12, 0.1, 0.12), "white"),
     (np.array([[0.05, -0.36], [0.55, 0.0], [0.05, 0.36]]), "white")),
)  # fmt: skip
