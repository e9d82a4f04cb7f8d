"""A robot in simulated physics finds and follows a ball through edgecnn's eyes: how well, and does it stop?

MuJoCo moves a two-wheeled robot and a ball through a room in real time; the robot's camera is rendered 30
times a second; `edgecnn.watch` runs a detector on it that was trained on views of such rooms and nothing
else. Measured are the error of following against delay added to every frame, the same with frames in a queue
beside it, the time to find a ball that begins behind the robot, and the time to stop when the camera freezes,
vanishes, or the model hangs.

    python benchmarks/follow_ball.py --out runs/ball
    python benchmarks/follow_ball.py --out runs/ball --model runs/ball/run/int8.tflite --seconds 10 --json

Needs the extras `train`, `convert`, `pretrained` and `sim`. Without `--model` it renders 1,850 views, trains
for some minutes and writes data set and run into the folder of `--out`; the picture strip goes there, too.
Physics, camera, model and loop share the machine; physics and camera come first where the system allows it.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("MUJOCO_GL", "osmesa")

TRAIN, VAL, EPOCHS = 1600, 250, 7
DELAYS_MS = (0.0, 50.0, 100.0, 200.0, 400.0)
SLOW_MS = 60.0
"""What the model sleeps before each answer where queues are compared: about 15 frames a second of 30."""


def trained(out: Path) -> Path:
    """Render a data set, train a detector on it, make it int8; the file."""
    import follow_ball_scenes

    data, run = out / "scenes", out / "run"
    follow_ball_scenes.write(data, train=TRAIN, val=VAL, seed=1, progress=_say_progress)
    shape = ["--model", "efficientnet_lite0", "--pretrained", "--size", "224x160", "--epochs", str(EPOCHS)]
    _edgecnn("train", str(data), "--task", "detection", *shape, "--out", str(run))
    _edgecnn("convert", str(run), "--float32", "--int8", "--data", str(data))
    return run / "int8.tflite"


def _say_progress(done: int, all_of_them: int) -> None:
    print(f"rendered {done} of {all_of_them} views", file=sys.stderr)


def _edgecnn(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "edgecnn", *arguments], check=True, stdout=sys.stderr)


def measured(file: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """All experiments, one after the other."""
    import follow_ball_runs as runs
    from follow_ball_live import World
    from follow_ball_strip import strip

    found: dict[str, Any] = {"model": file.name, "seconds": arguments.seconds}

    def note(what: str, value: Any) -> None:
        found.setdefault(what, []).append(value)
        print(what, json.dumps(value), file=sys.stderr)

    with World(seed=arguments.seed) as world:
        world.wait()
        stage = runs.Stage(world, file)
        wanted: Mapping[str, Callable[[], Any]] = {
            "strip": lambda: strip(stage, arguments.out / "follow_ball.jpg"),
            "delay": lambda: [
                note("delay", runs.follow(stage, use, delay_ms=delay, seconds=arguments.seconds))
                for delay in DELAYS_MS
                for use in (runs.USES if delay else ("the truth", *runs.USES))
            ],
            "queue": lambda: _queues(runs, stage, arguments.seconds, note),
            "find": lambda: note("find", runs.find(stage, trials=arguments.trials)),
            "freeze": lambda: [
                note("freeze", runs.freeze(stage, how, trials=arguments.trials)) for how in runs.FREEZES
            ],
        }
        for name, experiment in wanted.items():
            if arguments.only is None or name in arguments.only:
                experiment()
        found["physics_behind_ms"] = world.shared.behind.value * 1e3
    return found


def _queues(runs: Any, stage: Any, seconds: float, note: Callable[[str, Any], None]) -> None:
    live = runs.follow(stage, "as seen", delay_ms=0.0, seconds=seconds, slow_ms=SLOW_MS)
    note("queue", {"loop": "edgecnn.watch", **live})
    for waiting, loop in ((4, "a queue of 4 frames"), (0, "a queue without end")):
        naive = runs.follow_naively(stage, seconds=seconds, slow_ms=SLOW_MS, waiting=waiting)
        note("queue", {"loop": loop, **naive})


def table(found: Mapping[str, Any]) -> str:
    """What was measured, for people; in Markdown."""
    errors = ["age when used p50 / p99", "bearing error RMS", "distance error RMS", "out of view"]
    parts = []
    if "delay" in found:
        rows = [[f"{one['added_ms']:.0f} ms", one["use"], *_errors(one)] for one in found["delay"]]
        parts.append(_table(["added delay", "box", *errors], rows))
    if "queue" in found:
        parts.append(_table(["loop", *errors], [[one["loop"], *_errors(one)] for one in found["queue"]]))
    if "find" in found:
        took = found["find"][0]
        parts.append(
            f"found from behind: median {median(took):.1f} s, slowest {max(took):.1f} s of {len(took)}"
        )
    if "freeze" in found:
        columns = ["sight ends", "times", "promise", "wheels told to stand", "standing", "speed before"]
        rows = [
            [
                *(one["how"], str(one["trials"]), f"{one['promise_ms']:.0f} ms"),
                *(_spread(one["wheels_told_ms"]), _spread(one["standstill_ms"])),
                f"{median(one['speed_m_s']):.2f} m/s",
            ]
            for one in found["freeze"]
        ]
        parts.append(_table(columns, rows))
    parts.append(f"physics behind the clock: {found['physics_behind_ms']:.0f} ms at most")
    return "\n\n".join(parts)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _errors(one: Mapping[str, Any]) -> list[str]:
    ages = f"{one['age_p50_ms']:.0f} / {one['age_p99_ms']:.0f} ms"
    off = f"{one['bearing_rms_deg']:.1f}°"
    return [ages, off, f"{one['distance_rms_m']:.2f} m", f"{one['out_of_view']:.1%}"]


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.0f} ms, worst {max(values):.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for data set, run and picture")
    parser.add_argument("--model", type=Path, help="a detector that is there already")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each run, after 4 s to settle (40)")
    parser.add_argument("--trials", type=int, default=10, help="of finding, and of each way to freeze (10)")
    parser.add_argument("--seed", type=int, default=3, help="of the room and the ball's way (3)")
    parser.add_argument("--only", nargs="+", choices=["strip", "delay", "queue", "find", "freeze"])
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = measured(arguments.model or trained(arguments.out), arguments)
    print(json.dumps(found) if arguments.json else table(found))


if __name__ == "__main__":
    main()
