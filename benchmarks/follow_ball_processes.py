"""What goes on in the room, in real time: physics in one process, the robot's camera in another.

Physics keeps to the wall clock and goes on whatever the camera or the program does. It writes down each of
its steps, so that what the robot did can be read afterwards. The camera renders the newest state of the room
and says when that was; it can be frozen and killed. All times are `time.monotonic()`, which all processes
share.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray, RawValue
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from follow_ball_world import SIZE_WH, STEP_S, TRACK, WHEEL

FPS: Final = 30.0
SLOTS: Final = 40
"""Frames that the camera keeps: the longest delay that can be added is this many frame periods."""
LOG: Final = (
    "time_s", "bearing", "distance", "x", "y", "turn", "ball_x", "ball_y", "speed", "turning",
    "left", "right", "odometry",
)  # fmt: skip
"""Of each step: when; where the ball really is (rad, m); where robot and ball are; m/s and rad/s; what the
wheels are asked for (rad/s); how far the robot has turned by what its wheels say (rad)."""
STEPS: Final = int(400 / STEP_S)
_POSE: Final = 9 + 7
"""Numbers of the room's state: the robot's free joint and two wheels, the ball's place and turn."""

Freeze = Literal["", "same frame", "same picture, new times"]
FREEZES: Final[tuple[Freeze, ...]] = ("", "same frame", "same picture, new times")


@dataclass(frozen=True)
class Shared:
    """What the processes share; plain memory that outlives any of them."""

    command: Any
    state: Any
    log: Any
    steps: Any
    place: Any
    places: Any
    frames: Any
    stamps: Any
    count: Any
    freeze: Any
    behind: Any
    stop: Any

    @staticmethod
    def new() -> "Shared":
        """Nothing has happened yet."""
        width, height = SIZE_WH
        return Shared(
            command=RawArray("d", 2),
            state=RawArray("d", 2 + _POSE),
            log=RawArray("d", STEPS * len(LOG)),
            steps=RawValue("q", 0),
            place=RawArray("d", 4),
            places=RawValue("q", 0),
            frames=RawArray("B", SLOTS * width * height * 3),
            stamps=RawArray("d", SLOTS * 2),
            count=RawValue("q", 0),
            freeze=RawValue("q", 0),
            behind=RawValue("d", 0.0),
            stop=RawValue("b", False),
        )


def array(memory: Any, *shape: int, dtype: Any = np.float64) -> npt.NDArray[Any]:
    """Shared memory as an array."""
    return np.frombuffer(memory, dtype).reshape(shape)


def room(seed: int) -> tuple[Any, Any]:
    """Model and data of a furnished room; the same for the same seed."""
    import mujoco
    from follow_ball_world import furnish, mjcf

    model = mujoco.MjModel.from_xml_string(mjcf())
    furnish(model, np.random.default_rng(seed), beyond=2.0, variety=0.5)
    return model, mujoco.MjData(model)


def _as_nature() -> None:
    """Run before everything else, as physics and a camera's chip do, where the system allows it.

    Where it does not, `Shared.behind` tells how far that put physics behind the clock.
    """
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def physics(shared: Shared, seed: int) -> None:
    """Let the room go on until told to stop; the body of a process."""
    _as_nature()
    import mujoco
    from follow_ball_world import ball_path, place, roll, truth

    model, data = room(seed)
    path, at_s = ball_path(seed), 0.0
    state, log = array(shared.state, 2 + _POSE), array(shared.log, STEPS, len(LOG))
    odometry, places = 0.0, -1
    parent, start_s, steps = os.getppid(), time.monotonic(), 0
    while not shared.stop.value and os.getppid() == parent:
        if places != shared.places.value:
            places = shared.places.value
            x, y, turn, at_s = shared.place
            place(data, x, y, turn)
            start_s, steps = time.monotonic(), 0
        behind = int((time.monotonic() - start_s) / STEP_S) - steps
        if steps:
            shared.behind.value = max(shared.behind.value, behind * STEP_S)
        for _ in range(behind):
            steps += 1
            data.ctrl[:] = shared.command[0], shared.command[1]
            roll(data, path(at_s + steps * STEP_S))
            mujoco.mj_step(model, data)
            left, right = data.qvel[6], data.qvel[7]
            odometry += (right - left) * WHEEL / TRACK * STEP_S
            turn = 2 * np.arctan2(data.qpos[6], data.qpos[3])
            speed = data.qvel[0] * np.cos(turn) + data.qvel[1] * np.sin(turn)
            log[shared.steps.value % STEPS] = (
                start_s + steps * STEP_S, *truth(data), *data.qpos[:2], turn, *data.mocap_pos[0, :2], speed,
                data.qvel[5], *data.ctrl, odometry,
            )  # fmt: skip
            shared.steps.value += 1
        if behind:
            state[0] += 1  # odd while it is written
            state[1] = start_s + steps * STEP_S
            state[2:] = (*data.qpos, *data.mocap_pos[0], *data.mocap_quat[0])
            state[0] += 1
        time.sleep(0.001)


def camera(shared: Shared, seed: int) -> None:
    """Render what the robot sees, again and again; the body of a process."""
    os.environ.setdefault("MUJOCO_GL", "osmesa")
    import mujoco
    from follow_ball_scenes import Grain

    model, data = room(seed)
    renderer = mujoco.Renderer(model, SIZE_WH[1], SIZE_WH[0])
    _as_nature()
    grain = Grain(SIZE_WH, deviation=2.0, seed=seed)
    state = array(shared.state, 2 + _POSE)
    frames = array(shared.frames, SLOTS, SIZE_WH[1], SIZE_WH[0], 3, dtype=np.uint8)
    stamps = array(shared.stamps, SLOTS, 2)
    parent, due_s = os.getppid(), time.monotonic()
    while not shared.stop.value and os.getppid() == parent:
        due_s = max(due_s + 1 / FPS, time.monotonic() - 1 / FPS)
        time.sleep(max(0.0, due_s - time.monotonic()))
        seen = state.copy()
        while seen[0] % 2 or state[0] != seen[0]:  # it was being written
            seen = state.copy()
        number = shared.count.value
        slot, last = number % SLOTS, (number - 1) % SLOTS
        freeze = FREEZES[shared.freeze.value]
        if freeze:
            frames[slot] = frames[last]
            stamps[slot] = (stamps[last, 0] if freeze == "same frame" else seen[1], time.monotonic())
        else:
            data.qpos[:], data.mocap_pos[0], data.mocap_quat[0] = seen[2:11], seen[11:14], seen[14:]
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, "eye")
            frames[slot] = grain.on(renderer.render()[:, :, ::-1])
            stamps[slot] = seen[1], time.monotonic()
        shared.count.value = number + 1
    renderer.close()
