"""Which criterion finds the channels that matter: accuracy right after they went, before anything is trained.

    python benchmarks/pruning_criteria.py runs/resnet8 --data cifar10.zip

Channels go the same share of every layer, ranked through the whole network, or by worth for each
multiply-accumulate as `edgecnn compress --macs` chooses them (multiples of 8); the network without them is
judged as it is, and after its norms were measured again. Chance is the mean of several draws.
"""

import argparse
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.compression import cost, plan
from edgecnn.compression.continued import opened, recipe_for
from edgecnn.compression.criteria import CRITERIA, scores
from edgecnn.compression.groups import channels_of
from edgecnn.compression.norms import settle_norms
from edgecnn.compression.removal import without
from edgecnn.compression.sensitivity import drawn, drawn_lesson
from edgecnn.data import training_splits
from edgecnn.training.judge import Judge
from edgecnn.training.start import Subject

SHARES = (0.25, 0.5)
DRAWS = 3


def uniform(groups: Any, worth: Any, share: float) -> Any:
    """The same share of every group goes."""
    keep = np.ones(len(worth), bool)
    for group in groups:
        ranked = group.units[np.argsort(worth[group.units], kind="stable")]
        keep[ranked[: min(len(ranked) - 1, round(share * len(ranked)))]] = False
    return keep


def ranked(groups: Any, worth: Any, share: float) -> Any:
    """What is worth least in the whole network goes; an eighth of every group stays."""
    may = [
        group.units[np.argsort(worth[group.units], kind="stable")][: -max(1, -(-len(group.units) // 8))]
        for group in groups
    ]
    whole = np.concatenate(may)
    keep = np.ones(len(worth), bool)
    count = round(share * sum(len(group.units) for group in groups))
    keep[whole[np.argsort(worth[whole], kind="stable")[:count]]] = False
    return keep


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=2000, help="training and validation images, each")
    args = parser.parse_args()
    data = training_splits(args.data)
    source = opened(args.run, data)
    model, channels = source.model, channels_of(source.model)
    train, val = (drawn(part, args.images, 0) for part in data)
    recipe = recipe_for(source, train, epochs=1, seed=0)
    lesson = drawn_lesson(train, val, recipe)
    price = cost.macs(model, channels)
    with closing(lesson.feed.batches(0)) as batches:
        seen = list(islice(batches, lesson.feed.steps))
    loss = lesson.head.criterion(recipe.input, smoothing=0.0)

    def score(network: Any) -> float:
        subject = Subject(network, lambda: network, source.card.name, (), "benchmark")
        return Judge(subject, lesson, recipe).epoch()[1]

    def judged(keep: Any) -> tuple[float, float, float]:
        smaller = without(model, channels, keep)
        before = score(smaller)
        settle_norms(smaller, (images for images, _ in seen))
        return price.total(keep) / price.whole, before, score(smaller)

    def by_macs(groups: Any, worth: Any, share: float) -> Any:
        return plan.for_macs(groups, price, worth, share=1 - share).keep

    ways: dict[str, Callable[[Any, Any, float], Any]] = {
        "every layer": uniform,
        "ranked": ranked,
        "MACs": by_macs,
    }
    print(f"{args.run.name}: {score(model):.4f} of {len(lesson.val)} images as it is")
    print("criterion  channels gone       MACs left   accuracy   norms measured again")
    for criterion in CRITERIA:
        if criterion == "random":
            draws = [np.random.default_rng(seed).random(channels.units) for seed in range(DRAWS)]
        else:
            draws = [scores(model, channels, criterion, seen, loss)]
        for name, way in ways.items():
            for share in SHARES:
                rows = [judged(way(channels.groups, worth, share)) for worth in draws]
                left, before, after = np.mean(rows, axis=0)
                said = f"{share:.0%} of {name}"
                print(f"{criterion:9}  {said:18}  {left:9.3f}   {before:8.4f}   {after:8.4f}", flush=True)


if __name__ == "__main__":
    main()
