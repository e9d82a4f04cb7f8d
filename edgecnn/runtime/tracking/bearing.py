"""In which direction a box lies, and how fast that turns: what a robot steers by.

A pinhole camera that looks level: a point x pixels right of the image's middle is seen at atan(x / f) to the
right, with the focal length f = (width / 2) / tan(field of view / 2) in pixels (Hartley and Zisserman,
"Multiple View Geometry in Computer Vision", 2nd edition 2004, section 6.1). A camera that looks down by some
degrees is turned back first. Lens distortion is not known here; wide lenses want their image undistorted.
"""

from math import cos, radians, sin, tan
from typing import Literal, TypeAlias

import numpy as np

from edgecnn.errors import DataError
from edgecnn.results import Array, Boxes
from edgecnn.runtime.tracking.tracks import Tracks

Aim: TypeAlias = Literal["centre", "foot"]


def focal_px(width: int, fov_deg: float) -> float:
    """The focal length in pixels.

    Args:
        width: of the image, in pixels.
        fov_deg: horizontal field of view, from the left edge to the right, in degrees.

    Raises:
        DataError: no width, or a field of view that no pinhole has.
    """
    if width < 1 or not 0 < fov_deg < 180:
        raise DataError(f"an image {width} pixels wide with a field of view of {fov_deg} degrees (0..180)")
    return width / 2 / tan(radians(fov_deg) / 2)


def bearing_deg(
    boxes: Boxes | Tracks | Array,
    size_wh: tuple[int, int],
    *,
    fov_deg: float,
    aim: Aim = "centre",
    down_deg: float = 0.0,
) -> Array:
    """The angle of each box to the right of straight ahead, in degrees: negative is left.

    Args:
        boxes: n boxes; or (n, 4) or (4,) left, top, right, bottom in pixels.
        size_wh: of the image.
        fov_deg: the camera's horizontal field of view: 62.2 of the Raspberry Pi camera 2, 66 of camera 3, as
            their maker states.
        aim: its middle, or the middle of its lower edge. They differ only where `down_deg` is not 0: then
            "foot" is right for what stands on the floor.
        down_deg: how far down from level the camera looks.

    Returns:
        (n,) float64; of one box of shape (4,), a float64.
    """
    right, ahead = _ray(_xyxy(boxes), size_wh, fov_deg, aim, down_deg)
    bearing: Array = np.degrees(np.arctan2(right, ahead))
    return bearing


def bearing_rate_deg_s(tracks: Tracks, size_wh: tuple[int, int], *, fov_deg: float) -> Array:
    """How fast the bearing of each track's middle grows, in degrees a second; (n,) float64.

    The derivative of atan(x / f): f vx / (f² + x²). For a camera that looks level. What stands still before a
    camera that turns right has a negative rate.
    """
    focal = focal_px(size_wh[0], fov_deg)
    right, _ = _ray(tracks.boxes.xyxy, size_wh, fov_deg, "centre", 0.0)
    rate: Array = np.degrees(focal * tracks.velocity_px_s[:, 0].astype(np.float64) / (focal**2 + right**2))
    return rate


def largest(boxes: Boxes | Tracks, label: str | None = None) -> Array | None:
    """Left, top, right, bottom, (4,) float32, of the largest box, usually the nearest thing of its kind.

    Args:
        boxes: to choose from.
        label: of this label only.

    Returns:
        None when there is none.

    Raises:
        DataError: a label that these boxes never have.
    """
    found = boxes.boxes if isinstance(boxes, Tracks) else boxes
    if label is not None and label not in found.labels:
        raise DataError(f"no box is ever a {label!r}; the labels are {', '.join(found.labels)}")
    xyxy = found.xyxy if label is None else found.xyxy[found.label_id == found.labels.index(label)]
    if not len(xyxy):
        return None
    chosen: Array = xyxy[(xyxy[:, 2:] - xyxy[:, :2]).prod(1).argmax()]
    return chosen


def _xyxy(boxes: Boxes | Tracks | Array) -> Array:
    if isinstance(boxes, Tracks):
        return boxes.boxes.xyxy
    return boxes.xyxy if isinstance(boxes, Boxes) else np.asarray(boxes, np.float64)


def _ray(
    xyxy: Array, size_wh: tuple[int, int], fov_deg: float, aim: Aim, down_deg: float
) -> tuple[Array, Array]:
    """Where each box is seen: to the right and ahead, along the floor, in pixels at the image's distance."""
    focal = focal_px(size_wh[0], fov_deg)
    if not -90 < down_deg < 90:
        raise DataError(f"a camera that looks down by {down_deg} degrees; give -90..90")
    right = (xyxy[..., 0] + xyxy[..., 2]) / 2 - size_wh[0] / 2
    bottom = xyxy[..., 3] if aim == "foot" else (xyxy[..., 1] + xyxy[..., 3]) / 2
    below = bottom - size_wh[1] / 2
    return right, focal * cos(radians(down_deg)) - below * sin(radians(down_deg))
