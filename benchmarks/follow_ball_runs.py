"""The experiments: how well the ball is followed, how soon it is found, how soon a blind robot stops.

The loop is the one of edgecnn's own page: `watch`, `latest`, `Rate`. What the robot really did comes from the
log of the physics, which no camera and no model has a part in.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import cos, inf
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from follow_ball_control import KEPT_M, Ball, Motion, Pilot, Robot, ball_in
from follow_ball_live import SimulatedCamera, World
from follow_ball_world import FOCAL_PX, VIEW, ball_path

import edgecnn
from edgecnn.image import Image
from edgecnn.results import Boxes
from edgecnn.runtime.model import Model, load
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.watch.eyes import TICK_S, Eyes
from edgecnn.runtime.watch.patience import Patience

HZ: Final = 50
SETTLE_S: Final = 4.0
Use = Literal["as seen", "predicted", "own turning known", "the truth"]
USES: Final[tuple[Use, ...]] = ("as seen", "predicted", "own turning known")
"""Of a box: as it is; where the tracker says that it is now, if box and robot go on as they did; the same,
with what the robot has really turned since the capture. The truth shows what error is the controller's."""
FREEZES: Final = (
    "no frames", "same frame", "same picture, new times", "camera's process killed", "interpreter hangs"
)  # fmt: skip
_BEFORE_S: Final = 0.15
"""The robot's own turning is taken over so long: about what the tracker's speed is taken over."""
_STILL_M_S, _STILL_RAD_S = 0.02, 0.05
_FREEZE_S: Final = 0.3
"""After so long without a new picture, frames no longer count."""


@dataclass(frozen=True)
class Moment:
    """What the program knew at one turn of its loop: for a picture afterwards."""

    time_s: float
    image: Image | None
    boxes: Boxes | None
    age_ms: float | None
    motion: Motion


@dataclass
class Gate:
    """Slows a model down, or lets it hang, as a slow or broken board would: asleep, not at work."""

    pause_s: float = 0.0
    open: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.open.set()

    def before(self, model: Model) -> None:
        """Stand in the way of each of its answers from now on."""
        answer = model.answer

        def later(*arguments: Any) -> Any:
            time.sleep(self.pause_s)
            self.open.wait()
            return answer(*arguments)

        model.answer = later  # type: ignore[method-assign]


class Stage:
    """A world, a robot in it, and a model that sees."""

    def __init__(self, world: World, file: Path) -> None:
        self.world, self.file = world, file
        self.robot = Robot(world.shared.command, world.odometry)
        self.path = ball_path(world.seed)

    def place(self, ball_s: float, *, away_m: float = 0.9, facing: float = 0.0) -> None:
        """Put the robot so far from the ball, looking `facing` radians past it."""
        ball = self.path(ball_s)
        turn = float(np.arctan2(-ball[1], -ball[0]))  # from the ball towards the middle of the room
        spot = ball + away_m * np.array([np.cos(turn), np.sin(turn)])
        self.world.place(*spot.tolist(), turn + np.pi + facing, ball_s=ball_s)

    def turn(self, eyes: Eyes, pilot: Pilot, use: Use) -> Moment:
        """One turn of the control loop."""
        now = time.monotonic()
        seen = eyes.latest(predict=use == "predicted")
        if not seen:
            self.robot.stop()
            return Moment(now, None, None, None, Motion(0, 0))
        assert isinstance(seen.result, Boxes)
        ball = ball_in(seen.result)
        if use == "own turning known":
            ball = self._carried_on(seen, now)
        if use == "the truth":
            log = self.world.log(now - 0.1, now)
            ball = Ball(float(log["bearing"][-1]), float(log["distance"][-1]))
        motion = pilot.motion(ball)
        self.robot.drive(motion)
        return Moment(now, seen.frame.image, seen.result, seen.age_ms, motion)

    def _carried_on(self, seen: Seen, now_s: float) -> Ball | None:
        """Where the ball is now: it goes round the robot as it did, and the robot has turned meanwhile."""
        assert seen.tracks is not None
        ball = ball_in(seen.tracks.boxes)
        if ball is None:
            return None
        across_px_s = float(seen.tracks.velocity_px_s[int(seen.tracks.boxes.score.argmax()), 0])
        captured_s = seen.frame.time_s
        turned = self.robot.turned(captured_s - _BEFORE_S, captured_s)
        rate = -across_px_s / FOCAL_PX * cos(ball.bearing) ** 2 + turned / _BEFORE_S
        bearing = ball.bearing + rate * (now_s - captured_s) - self.robot.turned(captured_s, now_s)
        return replace(ball, bearing=bearing)

    @contextmanager
    def eyes(self, *, delay_ms: float = 0.0, max_age_ms: float, gate: Gate | None = None) -> Iterator[Eyes]:
        """The model, watching through the robot's camera."""
        with load(self.file) as model:
            if gate is not None:
                gate.before(model)
            with edgecnn.watch(
                model,
                source=lambda: SimulatedCamera(self.world, delay_ms=delay_ms),
                track=True,
                max_age_ms=max_age_ms,
                on_stale=self.robot.halt,
                on_fresh=self.robot.release,
                patience=Patience(freeze_s=_FREEZE_S),
            ) as eyes:
                yield eyes
        self.robot.release()
        self.robot.stop()


def follow(stage: Stage, use: Use, *, delay_ms: float, seconds: float, slow_ms: float = 0) -> dict[str, Any]:
    """How well the ball is followed when all that is seen comes `delay_ms` later."""
    pilot, ages = Pilot(), []
    gate = Gate(slow_ms / 1e3) if slow_ms else None
    with stage.eyes(delay_ms=delay_ms, max_age_ms=delay_ms + 2 * slow_ms + 250, gate=gate) as eyes:
        stage.place(0.0)
        begin_s = time.monotonic() + SETTLE_S
        rate = edgecnn.Rate(HZ)
        for tick in rate:
            if tick.time_s > begin_s + seconds:
                break
            moment = stage.turn(eyes, pilot, use)
            if tick.time_s > begin_s:
                ages.append(moment.age_ms)
        invoke = eyes.statistics().stages_ms["invoke"]
    found = _errors(stage.world.log(begin_s, begin_s + seconds))
    return {"added_ms": delay_ms, "use": use, **found, **_ages(ages), "invoke_p50_ms": invoke["p50"],
            "ticks_missed": rate.missed}  # fmt: skip


def follow_naively(stage: Stage, *, seconds: float, slow_ms: float, waiting: int) -> dict[str, Any]:
    """The same with the loop that everybody writes first: frames in a queue, each looked at in its turn.

    The queue holds `waiting` frames, and a frame that finds no place is lost; with 0, it holds any number.
    """
    frames: queue.Queue[Any] = queue.Queue(waiting)
    pilot, ages = Pilot(), []
    camera = SimulatedCamera(stage.world)

    def read() -> None:
        for frame in camera:
            try:
                frames.put_nowait(frame)
            except queue.Full:
                continue

    with load(stage.file) as model, camera:
        Gate(slow_ms / 1e3).before(model)
        stage.place(0.0)
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        begin_s = time.monotonic() + SETTLE_S
        while (now := time.monotonic()) < begin_s + seconds:
            frame = frames.get(timeout=5)
            result = model.answer(*model.prepare(frame.image))[0]
            assert isinstance(result, Boxes)
            stage.robot.drive(pilot.motion(ball_in(result)))
            if now > begin_s:
                ages.append((time.monotonic() - frame.time_s) * 1e3)
    reader.join()
    stage.robot.stop()
    return {"waiting": waiting, **_errors(stage.world.log(begin_s, begin_s + seconds)), **_ages(ages)}


def find(stage: Stage, *, trials: int) -> list[float]:
    """Seconds until the camera points at the ball (within 5 degrees), which begins right behind the robot."""
    took = []
    with stage.eyes(max_age_ms=250) as eyes:
        for trial in range(trials):
            stage.place(7.0 * trial, away_m=1.2, facing=np.pi)
            start_s, pilot = time.monotonic(), Pilot()
            for tick in edgecnn.Rate(HZ):
                stage.turn(eyes, pilot, "as seen")
                log = stage.world.log(start_s + 0.05, tick.time_s)
                there = np.flatnonzero(np.abs(log["bearing"]) < np.radians(5))
                if len(there) or tick.time_s > start_s + 20:
                    took.append(float(log["time_s"][there[0]] - start_s) if len(there) else float("inf"))
                    break
    return took


def freeze(stage: Stage, how: str, *, trials: int, max_age_ms: float = 150.0) -> dict[str, Any]:
    """How soon the wheels are told to stand, and stand, when nothing new is seen from a moment on."""
    promise_ms = max_age_ms + TICK_S * 1e3 + (_FREEZE_S + TICK_S) * 1e3 * (how == FREEZES[2])
    told_ms, still_ms, speeds = [], [], []
    gate = Gate()
    with stage.eyes(max_age_ms=max_age_ms, gate=gate) as eyes:
        stage.place(0.0)
        pilot = Pilot()
        for _ in range(trials):
            _follow_until(stage, eyes, pilot, _moves)
            frozen_s = time.monotonic()
            thaw = freeze_camera(stage, how, gate)
            _follow_for(stage, eyes, pilot, promise_ms / 1e3 + 1.0)
            told_s, log = stage.robot.told_to_stand_s, stage.world.log(frozen_s, time.monotonic())
            thaw()
            speeds.append(abs(float(log["speed"][0])))
            told_ms.append((told_s - frozen_s) * 1e3)
            moving = (np.abs(log["speed"]) > _STILL_M_S) | (np.abs(log["turning"]) > _STILL_RAD_S)
            still_ms.append(_since(frozen_s, log["time_s"], moving))
    return {"how": how, "trials": trials, "promise_ms": promise_ms, "wheels_told_ms": told_ms,
            "standstill_ms": still_ms, "speed_m_s": speeds}  # fmt: skip


def freeze_camera(stage: Stage, how: str, gate: Gate | None = None) -> Callable[[], None]:
    """Take the sight away; what comes back gives it back."""
    world = stage.world
    if how == "no frames":
        world.pause_camera()
        return world.resume_camera
    if how == "camera's process killed":
        world.kill_camera()
        return world.plug_in_camera
    if how == "interpreter hangs" and gate is not None:
        gate.open.clear()
        return gate.open.set
    world.freeze("same frame" if how == "same frame" else "same picture, new times")
    return lambda: world.freeze("")


def _moves(log: dict[str, Any]) -> bool:
    """Whether the robot follows the ball and is on its way: for stopping to mean something."""
    return bool(np.abs(log["bearing"]).max() < 0.3 and np.abs(log["speed"]).min() > 0.15)


def _follow_until(stage: Stage, eyes: Eyes, pilot: Pilot, done: Callable[[dict[str, Any]], bool]) -> None:
    start_s = time.monotonic()
    for tick in edgecnn.Rate(HZ):
        stage.turn(eyes, pilot, "as seen")
        log = stage.world.log(tick.time_s - 0.3, tick.time_s)
        drives = len(log["time_s"]) and stage.robot.told_to_stand_s == inf
        if tick.time_s > start_s + 2 and drives and done(log):
            return
        if tick.time_s > start_s + 60:
            raise RuntimeError("the robot does not follow the ball")


def _follow_for(stage: Stage, eyes: Eyes, pilot: Pilot, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    for tick in edgecnn.Rate(HZ):
        if tick.time_s > end_s:
            return
        stage.turn(eyes, pilot, "as seen")


def _since(start_s: float, time_s: Any, still_true: Any) -> float:
    """Milliseconds until the last row that is true: infinite where the last one is."""
    rows = np.flatnonzero(still_true)
    if not len(rows):
        return 0.0
    return float("inf") if rows[-1] == len(time_s) - 1 else float(time_s[rows[-1] + 1] - start_s) * 1e3


def _errors(log: dict[str, Any]) -> dict[str, float]:
    off = log["bearing"]
    return {
        "bearing_rms_deg": float(np.degrees(np.sqrt((off**2).mean()))),
        "distance_rms_m": float(np.sqrt(((log["distance"] - KEPT_M) ** 2).mean())),
        "out_of_view": float((np.abs(off) > VIEW / 2).mean()),
    }


def _ages(ages: list[float | None]) -> dict[str, float]:
    known = [age for age in ages if age is not None]
    p50, p99 = np.percentile(known, [50, 99]).tolist() if known else (float("nan"),) * 2
    return {"age_p50_ms": p50, "age_p99_ms": p99, "stale": 1 - len(known) / max(1, len(ages))}
