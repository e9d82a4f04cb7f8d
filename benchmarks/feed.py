"""Is the training loop fed? Its images/s against the same network stepping on one constant batch.

Both run alternately in one process, so that whatever else the machine does falls on both. `fed` is the loop
of `edgecnn.training.fit` over a real data set: read, fitted, shuffled, augmented, normalized, watched.
`constant` is nothing but the compiled step, again and again on a batch that already is a tensor.

    python benchmarks/feed.py cifar10.zip --model resnet8
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgecnn.data import training_splits
from edgecnn.runs import Run
from edgecnn.training.checkpoint import Position
from edgecnn.training.distribute import cluster
from edgecnn.training.fit import _Study
from edgecnn.training.lesson import read_lesson
from edgecnn.training.recipe import default
from edgecnn.training.start import own_network
from edgecnn.zoo.keras import tf


def measured(work: Callable[[], None]) -> tuple[float, float]:
    """Wall seconds and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--task", default="classification")
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, default=60, help="in each turn")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--cache-bytes", type=int, default=2**31, help="0: decode every image every time")
    options = parser.parse_args()
    train, val = training_splits(options.data, task=options.task)
    recipe = default(
        options.model,
        train,
        width=options.width,
        batch=options.batch,
        precision=options.precision,
        epochs=2 * options.turns + 1,
        rate=0.01,
    )
    few = np.linspace(0, len(train) - 1, min(len(train), recipe.batch * options.steps)).astype(int)
    data = train.subset(few), val.subset(range(min(100, len(val))))
    with tempfile.TemporaryDirectory() as folder:
        tf.random.set_seed(0)
        lesson = read_lesson(data, recipe, cache_bytes=options.cache_bytes)
        subject = own_network(recipe, len(train.labels))
        study = _Study(Run(Path(folder)), recipe, cluster(), lesson, subject, 1e9, lambda progress: None)
    never, steps = threading.Event(), lesson.feed.steps
    images, targets = (tf.constant(array) for array in next(lesson.feed.batches(0)))

    def fed() -> None:
        study._epoch(never)
        study.position = Position(epoch=study.position.epoch + 1)

    def constant() -> None:
        totals = tf.zeros(2, tf.float64)
        for _ in range(steps):
            totals = study.learner.step(images, targets, totals)
        totals.numpy()

    def feed_alone() -> None:
        for _ in lesson.feed.batches(0):
            pass

    fed()
    constant()
    turns = [(measured(fed), measured(constant)) for _ in range(options.turns)]
    count = steps * recipe.batch
    ratios = [constant_s / fed_s for (fed_s, _), (constant_s, _) in turns]
    fed_speed, constant_speed = (count / statistics.median(t[i][0] for t in turns) for i in (0, 1))
    fed_cpu, constant_cpu = (statistics.median(t[i][1] for t in turns) / count * 1e6 for i in (0, 1))
    alone_wall, alone_cpu = (1e6 * seconds / count for seconds in measured(feed_alone))
    size = f"{recipe.input.width}x{recipe.input.height}"
    print(f"{options.model} {size}, batch {recipe.batch}, {recipe.precision}")
    print(f"augment: {recipe.augment}")
    print(f"fed       {fed_speed:7.0f} images/s   {fed_cpu:6.0f} µs of processor an image")
    print(f"constant  {constant_speed:7.0f} images/s   {constant_cpu:6.0f} µs of processor an image")
    print(f"feed alone: {alone_wall:.0f} µs an image, {alone_cpu:.0f} µs of processor")
    print(f"ratio of images/s, median of {options.turns} turns: {statistics.median(ratios):.3f}")
    print("each turn: " + " ".join(f"{ratio:.3f}" for ratio in ratios))


if __name__ == "__main__":
    main()
