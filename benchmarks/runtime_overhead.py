"""What edgecnn adds to the bare interpreter, per frame: `Model(image)` against `invoke()` of the same model.

Both run in turns in one process with the same threads, on a camera's image (640 x 480) and on one of
224 x 224.
The limits: 1.10 for a model of a few milliseconds (MobileNet V2 224), 1.5 for one of a few tenths.

    python benchmarks/runtime_overhead.py mobilenet_v2.tflite mobilenet_v1_0.25_128.tflite --seconds 10
"""

import argparse
from pathlib import Path

import numpy as np

from edgecnn.runtime.benchmark import benchmark_many
from edgecnn.runtime.environment import environment

SMALL_MS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each model and image")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()

    machine = environment()
    print(f"{machine['device']}, {machine['cores']} cores, load {machine['load_average'][0]}")
    failed = False
    for width, height in ((640, 480), (224, 224)):
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        found = benchmark_many(
            given.models, images=[image], seconds=given.seconds, threads=given.threads, with_memory=False
        )
        for one in found:
            total, bare = one.latency_ms["total"], one.latency_ms["bare_invoke"]
            prepare, decode = one.latency_ms["prepare"], one.latency_ms["decode"]
            limit = 1.5 if bare.minimum < SMALL_MS else 1.10
            ratio = total.p50 / bare.p50
            failed |= ratio > limit
            print(
                f"{Path(one.model).name:40s} {width}x{height}  bare {bare.p50:.3f} ms  "
                f"whole {total.p50:.3f} ms (prepare {prepare.p50:.3f}, decode {decode.p50:.3f})  "
                f"ratio {ratio:.3f} (least {total.minimum / bare.minimum:.3f}), limit {limit}"
            )
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
