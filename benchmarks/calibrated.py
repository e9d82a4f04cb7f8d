"""How far estimates are off on the machine that a profile was fitted to by `edgecnn calibrate-target`.

`python benchmarks/calibrated.py mine.toml MODEL.tflite …` times each model on one thread, the median of half
a second, and prints measured, estimated, their ratio; then how many are within 30 %.
"""

import argparse
from pathlib import Path
from statistics import median
from time import perf_counter

from edgecnn.runtime.interpreter import open_interpreter
from edgecnn.targeting.answer import answer, content_of


def measured(path: Path) -> float:
    """Milliseconds of a run."""
    interpreter = open_interpreter(content_of(path), path.name)
    for _ in range(5):
        interpreter.invoke()
    times: list[float] = []
    begin = perf_counter()
    while perf_counter() - begin < 0.5 or len(times) < 5:
        start = perf_counter()
        interpreter.invoke()
        times.append((perf_counter() - start) * 1e3)
    interpreter.close()
    return median(times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile")
    parser.add_argument("models", type=Path, nargs="+")
    given = parser.parse_args()
    ratios = []
    for path in given.models:
        real = measured(path)
        said = answer(path, given.profile, threads=1).latency_ms or float("nan")
        ratios.append(said / real)
        print(f"{path.stem:56} {real:9.3f} ms measured {said:9.3f} ms estimated {ratios[-1]:6.2f}")
    near = sum(1 / 1.3 <= ratio <= 1.3 for ratio in ratios)
    print(f"{near} of {len(ratios)} within 30 %, median ratio {median(ratios):.2f}")
