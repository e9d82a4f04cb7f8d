"""How much of the slowest stage's rate is left, when the source is faster than the model.

python benchmarks/throughput.py MODEL.tflite [MODEL.tflite ...]

The slowest stage is the bare `invoke()`. It runs in turns with `edgecnn.watch` on frames of 640x480 from
memory, which come faster than the model answers: once as a camera's (the newest counts), once as a file's
(every frame counts).
The bar: results come at 0.95 of the rate of the bare `invoke()`.
"""

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import edgecnn
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.sources.opened import Opened

BAR = 0.95


class Frames(Opened):
    """Frames from memory, at a rate, or as fast as they are asked for."""

    def __init__(self, fps: float | None) -> None:
        super().__init__()
        self.name, self.live, self.clock, self.fps = "memory", fps is not None, "sensor", fps
        random = np.random.default_rng(0)
        self._images = random.integers(0, 256, (16, 480, 640, 3), np.uint8)
        self._numbers = itertools.count()
        self._due_s = time.monotonic()

    def _read(self) -> Frame:
        number = next(self._numbers)
        if self.fps is not None:
            self._due_s = max(self._due_s + 1 / self.fps, time.monotonic() - 1 / self.fps)
            self._closing.wait(max(0.0, self._due_s - time.monotonic()))
        return Frame(self._images[number % 16], number, time.monotonic(), f"memory#{number}")

    def _release(self) -> None:
        pass


def bare(model: edgecnn.Model, seconds: float) -> float:
    """Runs a second of the interpreter alone."""
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        model.invoke()
        runs += 1
    return runs / (time.perf_counter() - start)


def watched(model: edgecnn.Model, seconds: float, fps: float | None) -> float:
    """Results a second through the runtime; what comes in the first tenth is not counted."""
    with edgecnn.watch(model, lambda: Frames(fps), every_frame=fps is None) as eyes:
        end = time.perf_counter() + seconds * 0.1
        while time.perf_counter() < end:
            eyes.next(1)
        start, results = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            results += eyes.next(1) is not None
        return results / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=3, help="of each turn")
    parser.add_argument("--turns", type=int, default=5)
    wanted = parser.parse_args()
    for path in wanted.models:
        with edgecnn.load(path) as model:
            model(np.zeros((480, 640, 3), np.uint8))
            kinds: dict[str, list[float]] = {"newest": [], "every frame": []}
            rates = []
            for _ in range(wanted.turns):
                alone = bare(model, wanted.seconds)
                rates.append(alone)
                kinds["newest"].append(watched(model, wanted.seconds, 2 * alone) / alone)
                kinds["every frame"].append(watched(model, wanted.seconds, None) / alone)
        for kind, shares in kinds.items():
            share = statistics.median(shares)
            sys.stdout.write(
                f"{path.name}, {kind}: {share:.3f} ({min(shares):.3f}-{max(shares):.3f}) of the bare "
                f"{statistics.median(rates):.1f} a second: {'met' if share >= BAR else 'MISSED'}\n"
            )


if __name__ == "__main__":
    main()
