"""What a detector of the ball learns from: rendered views of furnished rooms, with the exact box of the ball.

The box comes from MuJoCo's segmentation image: it holds what is to be seen of the ball, not what is behind
something. A COCO data set is written, as `edgecnn train` reads it. A fifth of the views have no ball.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from math import cos, sin
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "osmesa")

import cv2
import mujoco
import numpy as np
import numpy.typing as npt
from follow_ball_world import BALL, ROOM, SIZE_WH, VIEW, furnish, mjcf, place, roll

Image = npt.NDArray[np.uint8]

LEAST_PX = 24
"""Of the ball, at least so many pixels must be to be seen; with fewer, the view is not used."""


class Grain:
    """A sensor's noise, cheap enough for every frame: one field of normal numbers, shifted anew each time."""

    def __init__(self, size_wh: tuple[int, int], *, deviation: float, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        noise = self._rng.normal(0, deviation, (size_wh[1] + 64, size_wh[0] + 64, 3))
        self._noise = np.rint(noise).astype(np.int16)
        self._size_wh = size_wh

    def on(self, image: Image) -> Image:
        """A new image with noise on it."""
        down, right = self._rng.integers(0, 64, 2)
        part = self._noise[down : down + self._size_wh[1], right : right + self._size_wh[0]]
        return np.clip(image.astype(np.int16) + part, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class View:
    """What the robot's camera shows: (h, w, 3) BGR, and the ball's left, top, right, bottom; None without."""

    image: Image
    box_xyxy: tuple[int, int, int, int] | None


def box_of(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """The smallest box around what is true in (h, w), right and bottom outside; None if nothing is."""
    across, down = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(across):
        return None
    return int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1


class Studio:
    """Renders views of rooms, each furnished anew."""

    def __init__(self, seed: int) -> None:
        self._model = mujoco.MjModel.from_xml_string(mjcf())
        self._data = mujoco.MjData(self._model)
        self._colours = mujoco.Renderer(self._model, SIZE_WH[1], SIZE_WH[0])
        self._kinds = mujoco.Renderer(self._model, SIZE_WH[1], SIZE_WH[0])
        self._kinds.enable_segmentation_rendering()
        self._rng = np.random.default_rng(seed)
        self._grains = [Grain(SIZE_WH, deviation=value, seed=seed) for value in (1.0, 2.5, 5.0)]

    def close(self) -> None:
        """Let go of the renderers."""
        self._colours.close()
        self._kinds.close()

    def view(self) -> View:
        """The next one."""
        while True:
            self._arrange()
            mujoco.mj_forward(self._model, self._data)
            mask = self._mask()
            if 0 < int(mask.sum()) < LEAST_PX:
                continue
            self._colours.update_scene(self._data, "eye")
            return View(self._developed(self._colours.render()), box_of(mask))

    def _arrange(self) -> None:
        rng, limit = self._rng, ROOM - 0.25
        furnish(self._model, rng, beyond=float(rng.choice([0.6, 1.2, 1.8])))
        x, y, turn = *rng.uniform(-limit, limit, 2), rng.uniform(-np.pi, np.pi)
        place(self._data, x, y, turn, pitch=rng.normal(0, 0.02), lift=rng.normal(0, 0.005))
        spot = rng.uniform(-limit, limit, 2)
        if rng.random() < 0.8:  # in view, unless the room ends there or something stands before it
            away, aside = np.exp(rng.uniform(np.log(0.45), np.log(4.5))), rng.uniform(-0.55, 0.55) * VIEW
            spot = np.array([x + away * cos(turn + aside), y + away * sin(turn + aside)])
            spot = np.clip(spot, -limit, limit)
        roll(self._data, spot)
        self._data.mocap_pos[0, 2] = BALL

    def _mask(self) -> npt.NDArray[np.bool_]:
        self._kinds.update_scene(self._data, "eye")
        seen = self._kinds.render()
        ball = self._model.geom("ball").id
        return np.asarray((seen[..., 0] == ball) & (seen[..., 1] == int(mujoco.mjtObj.mjOBJ_GEOM)))

    def _developed(self, rgb: Any) -> Image:
        """As a camera gives it: exposed a bit more or less, not always sharp, with noise."""
        levels = np.arange(256) / 255
        curve = np.clip(255 * self._rng.uniform(0.75, 1.25) * levels ** self._rng.uniform(0.8, 1.25), 0, 255)
        image = cv2.LUT(rgb[:, :, ::-1], np.rint(curve).astype(np.uint8))
        if self._rng.random() < 0.3:
            image = cv2.GaussianBlur(image, (0, 0), self._rng.uniform(0.4, 1.0))
        if self._rng.random() < 0.15:  # the robot turns
            image = cv2.blur(image, (int(self._rng.integers(2, 8)), 1))
        return self._grains[int(self._rng.integers(len(self._grains)))].on(image)


def write(
    folder: Path, *, train: int, val: int, seed: int, progress: Callable[[int, int], object] | None = None
) -> None:
    """Render so many views of each split into a new folder, as COCO."""
    (folder / "annotations").mkdir(parents=True)
    done = 0
    for number, (split, count) in enumerate({"train": train, "val": val}.items()):
        studio = Studio(seed + number)
        images, boxes = [], []
        (folder / split).mkdir()
        for index in range(count):
            view = studio.view()
            name = f"{index:05d}.jpg"
            cv2.imwrite(str(folder / split / name), view.image, [cv2.IMWRITE_JPEG_QUALITY, 92])
            images.append({"id": index, "file_name": name, "width": SIZE_WH[0], "height": SIZE_WH[1]})
            if view.box_xyxy is not None:
                left, top, right, bottom = view.box_xyxy
                box = [left, top, right - left, bottom - top]
                boxes.append(
                    {"id": len(boxes), "image_id": index, "category_id": 1, "bbox": box, "iscrowd": 0}
                    | {"area": box[2] * box[3]}
                )
            done += 1
            if progress is not None and done % 100 == 0:
                progress(done, train + val)
        studio.close()
        told = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "ball"}]}
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(told))
