"""How fast edgecnn is beside MediaPipe Tasks with the same detector: per frame, at start-up, in memory.

Per frame: a photograph as a 640 x 480 frame in memory, from frame to boxes. Each side runs in a process of
its own; they take short turns, so that whatever else the machine does falls on both. Of every turn the
median; of two that follow each other the ratio, MediaPipe / edgecnn; of all ratios the median and the
middle half. MediaPipe gets its frames as RGB, and is not charged for turning a camera's BGR round.

    defaults     MediaPipe as it comes; edgecnn with threads="auto", as `edgecnn camera` runs. Beside it
                 edgecnn.load(path), which takes one thread.
    one thread   both on one processor core (their Python API sets no threads). Beside it processor time, all
                 threads of the process together: what else the machine does counts less there.

Start: from the start of a fresh process to its first result on a JPEG file, each with its own reader;
processes alternate. Memory is the peak of such a process (VmHWM).

    python -m venv peer && peer/bin/pip install 'mediapipe>=1.2'
    python benchmarks/mediapipe_speed.py ssd_mobilenet_v1.tflite photograph.jpg --peer-python peer/bin/python
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any

BARS = {"defaults": 1.8, "one thread": 1.10, "start": 3.0, "memory": 1 / 0.6}
"""Least ratio MediaPipe / edgecnn."""

FRAME_WH = (640, 480)

OURS_ONCE = """
import sys
import edgecnn
with edgecnn.load(sys.argv[1]) as model:
    for frame in edgecnn.frames(sys.argv[2]):
        print(len(model(frame.image)), flush=True)
"""

PEER_ONCE = """
import sys
import mediapipe
from mediapipe.tasks import python
from mediapipe.tasks.python import vision
base = python.BaseOptions(model_asset_path=sys.argv[1])
with vision.ObjectDetector.create_from_options(vision.ObjectDetectorOptions(base_options=base)) as detector:
    print(len(detector.detect(mediapipe.Image.create_from_file(sys.argv[2])).detections), flush=True)
"""

BARE_ONCE = """
import sys
import cv2
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
entrance = interpreter.get_input_details()[0]
image = cv2.resize(cv2.imread(sys.argv[2]), entrance["shape"][2:0:-1])
interpreter.set_tensor(entrance["index"], cv2.cvtColor(image, cv2.COLOR_BGR2RGB)[None])
interpreter.invoke()
print(len(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]), flush=True)
"""

PEAK = """
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def ours(model: str, image: str, threads: str) -> Callable[[], Any]:
    """What edgecnn does with a frame."""
    import cv2

    from edgecnn.runtime.model import load

    frame = cv2.resize(cv2.imread(image), FRAME_WH)
    loaded = load(model, threads="auto" if threads == "auto" else int(threads))
    while loaded.threads_choice is not None and not loaded.threads_choice.is_made:
        loaded(frame)
    return lambda: loaded(frame)


def peer(model: str, image: str) -> Callable[[], Any]:
    """What MediaPipe does with a frame."""
    import cv2
    import mediapipe
    from mediapipe.tasks import python
    from mediapipe.tasks.python import vision

    frame = cv2.cvtColor(cv2.resize(cv2.imread(image), FRAME_WH), cv2.COLOR_BGR2RGB)
    base = python.BaseOptions(model_asset_path=model)
    options = vision.ObjectDetectorOptions(base_options=base)
    detector = vision.ObjectDetector.create_from_options(options)
    srgb = mediapipe.ImageFormat.SRGB
    return lambda: detector.detect(mediapipe.Image(image_format=srgb, data=frame))


def work(side: str, model: str, image: str, threads: str, core: str) -> None:
    """A process of one side: for each number read, time as many frames and print the milliseconds."""
    if core:
        os.sched_setaffinity(0, {int(core)})
    once = peer(model, image) if side == "peer" else ours(model, image, threads)
    for _ in range(10):
        once()
    print("ready", flush=True)
    for line in sys.stdin:
        once()  # warms the caches that the other side has filled
        times = []
        for _ in range(int(line)):
            start, used = perf_counter(), process_time()
            once()
            times.append(((perf_counter() - start) * 1e3, (process_time() - used) * 1e3))
        print(json.dumps([median(part) for part in zip(*times, strict=True)]), flush=True)


class Side:
    """One process that times frames when it is its turn."""

    def __init__(self, python: Path, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [str(python), __file__, "--work", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(environment),
        )
        self._line()

    def turn(self, frames: int) -> tuple[float, float]:
        """The median of some frames, ms on the clock and of processor time."""
        print(frames, file=self.process.stdin, flush=True)
        wall, processor = json.loads(self._line())
        return wall, processor

    def close(self) -> None:
        """End it."""
        self.process.communicate(timeout=30)

    def _line(self) -> str:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args}: {self.process.stderr.read()[-2000:]}")
        return line


def in_turns(sides: Mapping[str, Side], turns: int, frames: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of every turn, see `Side.turn`."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for number in range(turns):
        # who comes first changes: a processor that slows down slows both
        for name in list(sides) if number % 2 else reversed(list(sides)):
            times[name].append(sides[name].turn(frames))
    return times


def started(
    python: Path, code: str, words: Sequence[str], environment: Mapping[str, str]
) -> tuple[float, float]:
    """Seconds from the start of a process to its first line; its peak of memory, MiB."""
    start = perf_counter()
    with subprocess.Popen(
        [str(python), "-c", code + PEAK, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=dict(environment),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = perf_counter() - start
        peak = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{python} ended with {process.returncode} in:\n{code}")
    return seconds, int(peak) / 1024


def row(
    what: str, theirs: Sequence[float], mine: Sequence[float], unit: str, bar: float | None
) -> dict[str, Any]:
    ratios = [a / b for a, b in zip(theirs, mine, strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    return {
        "what": what,
        "mediapipe": median(theirs),
        "edgecnn": median(mine),
        "unit": unit,
        "ratio": middle,
        "quarter": low,
        "three_quarters": high,
        "bar": bar,
        "met": None if bar is None else middle >= bar,
    }


def per_frame(given: argparse.Namespace, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    files = [str(given.model), str(given.image)]
    core = str(min(os.sched_getaffinity(0)))
    rows = []
    for pinned in ("", core):
        mine = ("1",) if pinned else ("auto", "1")
        sides = {"peer": Side(given.peer_python, ["peer", *files, "", pinned], peers(environment))}
        sides |= {one: Side(Path(sys.executable), ["ours", *files, one, pinned], environment) for one in mine}
        times = in_turns(sides, given.turns, given.frames)
        for side in sides.values():
            side.close()
        for one in mine:
            what = "one thread" if pinned else "defaults" if one == "auto" else "defaults, edgecnn.load(path)"
            (theirs, of_them), (mine_, of_mine) = (zip(*times[name], strict=True) for name in ("peer", one))
            rows.append(row(what, theirs, mine_, "ms", BARS.get(what)))
            rows.append(row(f"{what}, processor time", of_them, of_mine, "ms", None))
    return rows


def at_start(given: argparse.Namespace, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    words = [str(given.model), str(given.image)]
    ways = {
        "peer": (given.peer_python, PEER_ONCE, peers(environment)),
        "ours": (Path(sys.executable), OURS_ONCE, environment),
        "bare": (Path(sys.executable), BARE_ONCE, environment),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(given.starts + 1):
        for name, (python, code, place) in ways.items():
            once = started(python, code, words, place)
            if number:  # the first puts files into the cache and bytecode onto the disk
                found[name].append(once)
    seconds, memory = (
        {name: [one[part] for one in values] for name, values in found.items()} for part in (0, 1)
    )
    return [
        row("start", seconds["peer"], seconds["ours"], "s", BARS["start"]),
        row("memory", memory["peer"], memory["ours"], "MiB", BARS["memory"]),
        row("start, bare LiteRT script", seconds["peer"], seconds["bare"], "s", None),
        row("memory, bare LiteRT script", memory["peer"], memory["bare"], "MiB", None),
    ]


def peers(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the way to this checkout."""
    return {name: value for name, value in environment.items() if name != "PYTHONPATH"}


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument(
        "--peer-python", type=Path, default=Path(sys.executable), help="a Python with MediaPipe"
    )
    parser.add_argument("--turns", type=int, default=40, help="of each side (default 40)")
    parser.add_argument("--frames", type=int, default=10, help="of each turn (default 10)")
    parser.add_argument("--starts", type=int, default=10, help="processes of each side (default 10)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()

    from one_image import as_installed

    from edgecnn.runtime.environment import environment as of_machine

    asked = [str(given.peer_python), "-c", "import mediapipe; print(mediapipe.__version__)"]
    version = subprocess.run(asked, check=False, capture_output=True, text=True)
    if version.returncode:
        print(
            f"skipped: {given.peer_python} has no MediaPipe. pip install 'edgecnn[bench]', or --peer-python"
        )
        return
    with tempfile.TemporaryDirectory() as bytecode:
        environment = as_installed(bytecode)
        rows = per_frame(given, environment) + at_start(given, environment)
    machine = of_machine()
    if given.json:
        print(json.dumps({"mediapipe": version.stdout.strip(), "rows": rows, "environment": machine}))
        return
    print(
        f"{given.model.name}, {given.image.name}, MediaPipe {version.stdout.strip()}; {machine['device']}, "
        f"{machine['cores']} cores, load {machine['load_average'][0]}"
    )
    print("| | MediaPipe | edgecnn | ratio (middle half) | bar |\n|---|---|---|---|---|")
    for one in rows:
        bar = "" if one["bar"] is None else f"{one['bar']:.2f}: {'met' if one['met'] else 'NOT MET'}"
        print(
            f"| {one['what']} | {one['mediapipe']:.3f} {one['unit']} | {one['edgecnn']:.3f} {one['unit']} | "
            f"{one['ratio']:.2f} ({one['quarter']:.2f}-{one['three_quarters']:.2f}) | {bar} |"
        )


if __name__ == "__main__":
    main()
