"""What a program holds of the simulated room: the world, which goes on by itself, and a source."""

import multiprocessing
import os
import signal
import time
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from follow_ball_processes import FPS, FREEZES, LOG, SLOTS, STEPS, Freeze, Shared, array, camera, physics
from follow_ball_world import SIZE_WH, STEP_S

from edgecnn.errors import CameraError
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.sources.source import Clock


class World:
    """The two processes. A context manager."""

    def __init__(self, seed: int = 0) -> None:
        self.shared = Shared.new()
        self.seed = seed
        self._context = multiprocessing.get_context("spawn")
        self._physics = self._context.Process(target=physics, args=(self.shared, seed), daemon=True)
        self._physics.start()
        self._camera = self._new_camera()

    def _new_camera(self) -> Any:
        process = self._context.Process(target=camera, args=(self.shared, self.seed), daemon=True)
        process.start()
        return process

    @property
    def camera_lives(self) -> bool:
        """Whether the camera's process is there."""
        return bool(self._camera.is_alive())

    def wait(self, timeout_s: float = 60) -> None:
        """Wait until frames come."""
        end_s, count = time.monotonic() + timeout_s, self.shared.count.value
        while self.shared.count.value < count + 3:
            if time.monotonic() > end_s or not self.camera_lives:
                raise CameraError("the simulated camera gives no frames")
            time.sleep(0.01)

    def place(self, x: float, y: float, turn: float, *, ball_s: float) -> None:
        """Put the robot there, looking along `turn`, and the ball where it is at this time of its path."""
        self.shared.command[:] = 0, 0
        self.shared.place[:] = x, y, turn, ball_s
        self.shared.places.value += 1

    def freeze(self, how: Freeze) -> None:
        """Let the camera give its last frame, or its last picture, for ever; "" ends that."""
        self.shared.freeze.value = FREEZES.index(how)

    def pause_camera(self) -> None:
        """Stop the camera's process where it is: no frames, and no error either."""
        os.kill(self._camera.pid, signal.SIGSTOP)

    def resume_camera(self) -> None:
        """Let it go on."""
        os.kill(self._camera.pid, signal.SIGCONT)

    def kill_camera(self) -> None:
        """End the camera's process as a cable that is pulled."""
        self._camera.kill()

    def plug_in_camera(self) -> None:
        """Start another one."""
        self._camera.join()
        self._camera = self._new_camera()

    def log(self, since_s: float, until_s: float) -> dict[str, npt.NDArray[np.float64]]:
        """What happened between two times: an array for each name of `LOG`, a row for each step."""
        steps = self.shared.steps.value
        rows = array(self.shared.log, STEPS, len(LOG))
        rows = rows[np.arange(max(0, steps - STEPS + 1000), steps) % STEPS]
        rows = rows[(rows[:, 0] >= since_s) & (rows[:, 0] < until_s)]
        return {name: rows[:, column] for column, name in enumerate(LOG)}

    def odometry(self, time_s: float) -> float:
        """How far the robot has turned until then by what its wheels say, in radians."""
        newest = self.shared.steps.value - 1
        rows = array(self.shared.log, STEPS, len(LOG))
        back = max(0, round((rows[newest % STEPS, 0] - time_s) / STEP_S))
        return float(rows[max(0, newest - back) % STEPS, LOG.index("odometry")])

    def close(self) -> None:
        """End both processes."""
        self.shared.stop.value = True
        for process in (self._physics, self._camera):
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class SimulatedCamera:
    """The robot's camera as a source of frames: an `edgecnn.runtime.sources.source.Source`.

    What it gives arrives `delay_ms` later, as over a slow link. A frame's time stays that of its capture.
    """

    name = "simulated camera"
    live = True
    clock: Clock = "sensor"
    fps: float | None = FPS

    def __init__(self, world: World, *, delay_ms: float = 0.0) -> None:
        if not world.camera_lives:
            raise CameraError(f"{self.name}: its process is gone. Start it again.")
        self._world, self._delay_s = world, delay_ms / 1e3
        self._next = world.shared.count.value
        self._closed = False
        self._frames = array(world.shared.frames, SLOTS, SIZE_WH[1], SIZE_WH[0], 3, dtype=np.uint8)
        self._stamps = array(world.shared.stamps, SLOTS, 2)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        while not self._closed:
            if self._world.shared.count.value > self._next:
                slot = self._next % SLOTS
                captured_s, written_s = self._stamps[slot].tolist()
                if written_s + self._delay_s <= time.monotonic():
                    index, self._next = self._next, self._next + 1
                    return Frame(self._frames[slot].copy(), index, captured_s, f"{self.name}#{index}")
            elif not self._world.camera_lives:
                raise CameraError(f"{self.name}: its process is gone.")
            time.sleep(0.001)
        raise StopIteration

    def close(self) -> None:
        """No further frame."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
