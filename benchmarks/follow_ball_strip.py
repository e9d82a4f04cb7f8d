"""A strip of pictures: the robot finds the ball, follows it, and stops when its camera freezes.

Above, the room from its ceiling with the ways of robot and ball; below, what the robot saw at that moment,
the detector's box, and how old that was.
"""

import time
from collections.abc import Sequence
from math import pi, radians, tan
from pathlib import Path
from typing import Any, Final

import cv2
import mujoco
import numpy as np
from follow_ball_control import Pilot
from follow_ball_processes import room
from follow_ball_runs import HZ, Moment, Stage, freeze_camera
from follow_ball_world import place, roll

import edgecnn
from edgecnn.image import Image

SIDE: Final = 300
_AT_S: Final = (0.5, 3.0, 6.0, 9.0, 12.0)
_FREEZE_S: Final = 12.5
_MAX_AGE_MS: Final = 150.0
_ABOVE_M, _ABOVE_VIEW = 7.2, radians(48)
_ROBOT, _BALL, _INK, _PAPER = (200, 110, 30), (20, 120, 250), (60, 50, 45), (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_DUPLEX


def strip(stage: Stage, file: Path) -> None:
    """Drive once, and write the strip."""
    moments, start_s, frozen_s = _drive(stage)
    chosen = [min(moments, key=lambda one: abs(one.time_s - start_s - at_s)) for at_s in _AT_S]
    last = moments[-1]
    blind = next(one for one in moments if one.time_s > frozen_s and one.boxes is None)
    log = stage.world.log(start_s + 0.05, last.time_s)
    columns = []
    for number, one in enumerate([*chosen, last]):
        words = [f"{one.time_s - start_s:.1f} s", _told(one)]
        seen = one
        if number == len(chosen):
            words = [f"{frozen_s - start_s:.1f} s: the camera freezes"]
            words.append(f"too old after {(blind.time_s - frozen_s) * 1e3:.0f} ms: stands")
            seen = max((m for m in moments if m.image is not None), key=lambda m: m.time_s)
        columns.append(_column(stage.world.seed, log, one.time_s, seen, words, is_stale=one.boxes is None))
    edge = np.full((columns[0].shape[0], 8, 3), _PAPER, np.uint8)
    picture = np.hstack([part for column in columns for part in (column, edge)][:-1])
    cv2.imwrite(str(file), picture, [cv2.IMWRITE_JPEG_QUALITY, 84])


def _drive(stage: Stage) -> tuple[list[Moment], float, float]:
    """What was known at each turn of one drive, when it began, and when the camera froze."""
    moments = []
    with stage.eyes(max_age_ms=_MAX_AGE_MS) as eyes:
        while not eyes.latest():
            time.sleep(0.01)
        stage.place(0.0, away_m=1.3, facing=pi)
        start_s, pilot, thaw, frozen_s = time.monotonic(), Pilot(), None, float("inf")
        for tick in edgecnn.Rate(HZ):
            since_s = tick.time_s - start_s
            if thaw is None and since_s > _FREEZE_S:
                frozen_s = time.monotonic()
                thaw = freeze_camera(stage, "same frame")
            if since_s > _FREEZE_S + 1.5:
                break
            moments.append(stage.turn(eyes, pilot, "as seen"))
        if thaw is not None:
            thaw()
    return moments, start_s, frozen_s


def _told(moment: Moment) -> str:
    if moment.boxes is None:
        return "nothing young enough"
    return f"age {moment.age_ms:.0f} ms" + ("" if len(moment.boxes) else ", searching")


def _column(
    seed: int, log: dict[str, Any], time_s: float, seen: Moment, words: Sequence[str], *, is_stale: bool
) -> Image:
    caption = np.full((52, SIDE, 3), _PAPER, np.uint8)
    for line, text in enumerate(words):
        cv2.putText(caption, text, (2, 20 + 22 * line), _FONT, 0.5, _INK, 1, cv2.LINE_AA)
    return np.vstack([caption, _from_above(seed, log, time_s), _through_the_eye(seen, is_stale=is_stale)])


def _from_above(seed: int, log: dict[str, Any], time_s: float) -> Image:
    model, data = room(seed)
    model.vis.quality.offsamples, model.vis.quality.shadowsize = 4, 2048
    row = int(np.searchsorted(log["time_s"], time_s)) - 1
    row = max(0, row)
    place(data, log["x"][row], log["y"][row], log["turn"][row])
    roll(data, np.array([log["ball_x"][row], log["ball_y"][row]]))
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, 2 * SIDE, 2 * SIDE)
    renderer.update_scene(data, "above")
    image = np.ascontiguousarray(renderer.render()[:, :, ::-1])
    renderer.close()
    metre = SIDE / (_ABOVE_M * tan(_ABOVE_VIEW / 2))
    since = max(0, row - 2500)
    for x, y, colour in (("x", "y", _ROBOT), ("ball_x", "ball_y", _BALL)):
        across = SIDE + log[x][since : row + 1 : 10] * metre
        down = SIDE - log[y][since : row + 1 : 10] * metre
        points = np.rint(np.stack([across, down], 1) * 16).astype(np.int32)
        cv2.polylines(image, [points], False, colour, 4, cv2.LINE_AA, shift=4)
    return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _through_the_eye(moment: Moment, *, is_stale: bool) -> Image:
    assert moment.image is not None
    factor = 2 * SIDE / moment.image.shape[1]
    image = cv2.resize(moment.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    if is_stale:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        image = cv2.cvtColor(grey // 2 + 70, cv2.COLOR_GRAY2BGR)
        cv2.putText(image, "STALE", (195, 240), _FONT, 2.2, _PAPER, 4, cv2.LINE_AA)
    elif moment.boxes is not None:
        for box, score in zip(moment.boxes.xyxy * factor, moment.boxes.score, strict=True):
            left, top, right, bottom = np.rint(box).astype(int).tolist()
            cv2.rectangle(image, (left, top), (right, bottom), (90, 230, 60), 4, cv2.LINE_AA)
            at = (max(2, left), max(24, top - 10))
            cv2.putText(image, f"ball {score:.2f}", at, _FONT, 0.9, (90, 230, 60), 2, cv2.LINE_AA)
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
