"""One image, whole process: `edgecnn run` against ten lines that call LiteRT directly.

The processes take turns, so that whatever else the machine does falls on all of them. Wall time and peak
memory of each, and their ratio to the ten lines; the limit is 1.5.

    python benchmarks/one_image.py MODEL.tflite IMAGE.jpg --rounds 20
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEN_LINES = """
import sys
import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
entrance, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
image = cv2.resize(cv2.imread(sys.argv[2]), entrance["shape"][2:0:-1])
pixels = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)[None]
tensor = pixels if entrance["dtype"] == np.uint8 else np.float32(pixels) / 127.5 - 1
interpreter.set_tensor(entrance["index"], tensor)
interpreter.invoke()
scores = interpreter.get_tensor(exit_["index"])[0]
print([(int(i), float(scores[i])) for i in np.argsort(scores)[::-1][:5]])
"""

LIBRARY = """
import sys
import edgecnn
with edgecnn.load(sys.argv[1]) as model:
    for frame in edgecnn.frames(sys.argv[2]): print(model(frame.image).top(5))
"""

LIMIT = 1.5


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak memory in MiB of a process."""
    start = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment, **quiet)  # type: ignore[call-overload]
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{' '.join(command)[:200]} ended with {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def as_installed(bytecode: str) -> dict[str, str]:
    """An environment in which every module's bytecode is on the disk, as pip leaves an installed package."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    root = str(Path(__file__).resolve().parents[1])
    return {**environment, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONPATH": root}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()

    arguments = [str(given.model), str(given.image)]
    # what a user types is installed; from a checkout, the same entry point is called as a module
    ways = {
        "ten lines": [sys.executable, "-c", TEN_LINES, *arguments],
        "edgecnn.load": [sys.executable, "-c", LIBRARY, *arguments],
        "edgecnn run": [sys.executable, "-m", "edgecnn", "run", *arguments],
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as bytecode:
        environment = as_installed(bytecode)
        for way in ways.values():  # files into the cache, bytecode onto the disk
            measured(way, environment)
        for _ in range(given.rounds):
            for name, way in ways.items():
                found[name].append(measured(way, environment))

    print(f"{given.model.name}, {given.image.name}, {given.rounds} rounds, medians; least in brackets")
    base = [statistics.median(values) for values in zip(*found["ten lines"], strict=True)]
    worst = 0.0
    for name, rounds in found.items():
        wall, processor, memory = (statistics.median(values) for values in zip(*rounds, strict=True))
        least = min(round_[0] for round_ in rounds)
        ratios = wall / base[0], processor / base[1], memory / base[2]
        print(
            f"{name:13s} wall {wall:.3f} s [{least:.3f}] ({ratios[0]:.2f}x)   processor {processor:.3f} s "
            f"({ratios[1]:.2f}x)   memory {memory:.1f} MiB ({ratios[2]:.2f}x)"
        )
        worst = max(worst, ratios[0], ratios[2])
    print(f"worst ratio {worst:.2f}, limit {LIMIT}")
    raise SystemExit(worst > LIMIT)


if __name__ == "__main__":
    main()
