"""What edgecnn adds to the bare interpreter, per frame: `Model(image)` against `invoke()` of the same model.

Both run in one process, on the same interpreter with the same threads, in short turns, so that whatever else
the machine does falls on both. Of every turn the median; of two that follow each other the ratio; of all
ratios the median and the middle half. On a camera's image (640 x 480) and on one of 224 x 224.

The limits: 1.05 for a detector, 1.10 for a classifier, 1.5 for one that takes less than a millisecond.

    python benchmarks/runtime_overhead.py coco_ssd_mobilenet_v1.tflite mobilenet_v2.tflite --turns 100
    python benchmarks/runtime_overhead.py coco_ssd_mobilenet_v1.tflite --threads auto
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import numpy as np

from edgecnn.image import Image
from edgecnn.runtime.environment import environment
from edgecnn.runtime.model import Model, load

LIMITS = {"detection": 1.05, "classification": 1.10}
SMALL_MS, SMALL_LIMIT = 1.0, 1.5


def turn(run: Callable[[], object], runs: int) -> float:
    """The median of some runs after one that only warms what the turn before has cooled, ms."""
    run()
    times = []
    for _ in range(runs):
        start = perf_counter()
        run()
        times.append((perf_counter() - start) * 1e3)
    return median(times)


def measured(model: Model, image: Image, turns: int, runs: int) -> bool:
    """Print one line about a model; whether it keeps its limit."""
    for _ in range(10):
        model(image)
    while model.threads_choice is not None and not model.threads_choice.is_made:
        model(image)
    pairs = [(turn(lambda: model(image), runs), turn(model.invoke, runs)) for _ in range(turns)]
    low, middle, high = quantiles([whole / bare for whole, bare in pairs], n=4)
    whole, bare = (median(side) for side in zip(*pairs, strict=True))
    stages = [model.timed(image)[1] for _ in range(turns)]
    prepare, decode = (
        median(one) for one in zip(*((s.prepare_ms, s.decode_ms) for s in stages), strict=True)
    )
    limit = SMALL_LIMIT if bare < SMALL_MS else LIMITS.get(model.card.task, 1.10)
    print(
        f"{model.path.name[:40]:40s} {image.shape[1]}x{image.shape[0]}  {model.threads} thread(s)  bare "
        f"{bare:.3f} ms  whole {whole:.3f} ms (prepare {prepare:.3f}, decode {decode:.3f})  ratio "
        f"{middle:.3f} ({low:.3f}-{high:.3f}), limit {limit}: {'kept' if middle <= limit else 'NOT KEPT'}"
    )
    return middle <= limit


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument(
        "--turns", type=int, default=60, help="of each, for each model and image (default 60)"
    )
    parser.add_argument("--runs", type=int, default=10, help="of each turn (default 10)")
    parser.add_argument("--threads", default="1", help="a number, or auto (default 1)")
    given = parser.parse_args()

    machine = environment()
    print(f"{machine['device']}, {machine['cores']} cores, load {machine['load_average'][0]}")
    kept = True
    for path in given.models:
        with load(path, threads="auto" if given.threads == "auto" else int(given.threads)) as model:
            for width, height in ((640, 480), (224, 224)):
                image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
                kept &= measured(model, image, given.turns, given.runs)
    raise SystemExit(not kept)


if __name__ == "__main__":
    main()
