"""What varying an image and its boxes costs, on one core: milliseconds an image, part by part.

`alone` is the same with nothing else switched on, `copied` what fetching the images takes by itself. Every
figure is the best of several turns. The last lines say what the default for detection costs, and its share of
a training step where you say how long that takes.

    python benchmarks/augment.py --size 320x256 --batch 16 --step-ms 640
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from edgecnn.data.augment import Augment
from edgecnn.data.augment_boxes import vary


def best_ms(work: Callable[[], object], turns: int) -> float:
    """Milliseconds of processor of the fastest turn, after one to warm up."""
    work()
    taken = []
    for _ in range(turns):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return 1000 * min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="320x256", help="width x height")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--boxes", type=int, default=30, help="of every image")
    parser.add_argument("--images", type=int, default=200, help="in memory, that mosaics choose from")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--step-ms", type=float, help="what one training step of a batch takes")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    cv2.setNumThreads(1)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (options.images, height, width, 3), np.uint8)
    corners = random.random((options.images, options.boxes, 2, 2)) * [width, height]
    boxes = np.concatenate([corners.min(2), corners.max(2)], 2)
    labels = random.integers(0, 3, (options.images, options.boxes, 1))
    truths = np.concatenate([labels, boxes], 2).astype(np.float32)
    chosen = random.integers(0, options.images, options.batch)
    default = Augment.for_boxes(height, width)
    moved = Augment(flip=True, shift=default.shift, scale=default.scale)
    cases = {
        "nothing": Augment(),
        "flip": Augment(flip=True),
        "flip, shift, scale": moved,
        "flip, shift, scale, turn by 10 degrees": replace(moved, rotate_deg=10),
        "colours": Augment(brightness=0.15, contrast=0.25, saturation=0.4, hue=0.05),
        "mosaic of all": Augment(mosaic=1.0),
        "mosaic of all, flip, shift, scale": replace(moved, mosaic=1.0),
        "default for detection": default,
        "default, all of them mosaics": replace(default, mosaic=1.0),
    }
    print(f"{width}x{height}x3, batches of {options.batch}, {options.boxes} boxes an image; ms an image")
    copied = best_ms(lambda: images[chosen], options.turns) / options.batch
    print(f"{'copied':40} {copied:6.3f}")
    for name, how in cases.items():

        def one_batch(how: Augment = how) -> object:
            return vary(lambda indices: images[indices], truths, chosen, how, np.random.default_rng(1))

        each = best_ms(one_batch, options.turns) / options.batch
        share = (
            f"   {each * options.batch / options.step_ms:6.2%} of a step's wall time"
            if options.step_ms
            else ""
        )
        print(f"{name:40} {each:6.3f}{share}")


if __name__ == "__main__":
    main()
