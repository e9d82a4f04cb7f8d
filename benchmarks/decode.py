"""Decoding and suppression, on one core: milliseconds, and their ratio to the bare `invoke` of a model.

Cases, 320 x 320 pixels, 2,100 cells: a usual frame (six objects, about 45 scores over the threshold) with
3 and with 20 labels; and frames that are all answers, 2,000 boxes over the threshold, at random places, in
groups, and all with every label. The limits: 2 ms for each with 20 labels, and a tenth of the model's
`invoke` for a usual frame.

With a model, one `invoke` and one decode take turns. Both run in this thread, whose processor time is
counted: what else the machine does costs them little.

    python benchmarks/decode.py runs/cats/int8.tflite --seconds 5
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, thread_time

import cv2
import numpy as np

from edgecnn.card import Card, InputSpec
from edgecnn.image import Array, View
from edgecnn.results import Boxes
from edgecnn.runtime.environment import environment
from edgecnn.runtime.model import load
from edgecnn.tasks import detection

SIDE = 320
VIEW = View((0.5, 0.5), (0.0, 40.0), (640, 480))
OPTIONS = {"decode": "anchors", "strides": [8, 16, 32], "anchor_px": [24, 48, 96], "scale_yxhw": [4, 4, 1, 1]}
LIMIT_MS = 2.0
LIMIT_RATIO = 0.1


def card_of(labels: int, **options: object) -> Card:
    names = tuple(f"class {number}" for number in range(labels))
    spec = InputSpec(SIDE, SIDE, fit="letterbox")
    return Card("benchmark", "detection", spec, names, options={**OPTIONS, **options})


def codes_of(card: Card, rows: Array, center_xy: Array, size_wh: Array) -> Array:
    """The codes under which these cells give boxes there."""
    cell = detection.anchors(card)[rows]
    side = cell[:, 2:]
    return np.concatenate(
        [(center_xy - cell[:, :2])[:, ::-1] / side * 4, np.log(size_wh[:, ::-1] / side)], axis=1
    )


def usual(labels: int) -> tuple[Card, dict[str, Array]]:
    """Six objects, each found by eight cells; the rest of the cells see nothing."""
    card, rng = card_of(labels), np.random.default_rng(0)
    anchors = detection.anchors(card)
    scores = rng.normal(-6, 1, (len(anchors), labels))
    boxes = rng.normal(0, 0.3, (len(anchors), 4))
    for place in rng.uniform(60, 260, (6, 2)):
        near = np.argsort(np.abs(anchors[:, :2] - place).sum(axis=1))[:8]
        scores[near, rng.integers(labels)] = rng.normal(1, 1, 8)
        boxes[near] = codes_of(
            card, near, place + rng.normal(0, 2, (8, 2)), 60 * np.exp(rng.normal(0, 0.08, (8, 2)))
        )
    return card, {"boxes": boxes.astype(np.float32), "scores": scores.astype(np.float32)}


def full(
    labels: int, *, groups: int | None, everything: bool, **options: object
) -> tuple[Card, dict[str, Array]]:
    """2,000 boxes over the threshold, around some places or anywhere; under one label each, or under all."""
    card, rng = card_of(labels, **options), np.random.default_rng(1)
    rows = np.arange(2000)
    place, size = rng.uniform(0, SIDE, (2000, 2)), np.exp(rng.uniform(np.log(12), np.log(160), (2000, 2)))
    label = rng.integers(0, labels, 2000)
    if groups:
        at = rng.integers(0, groups, 2000)
        size = size[at] * np.exp(rng.normal(0, 0.1, (2000, 2)))
        place, label = place[at] + rng.normal(0, 0.08, (2000, 2)) * size, label[at]
    scores = np.full((len(detection.anchors(card)), labels), -9.0)
    boxes = np.zeros((len(scores), 4))
    boxes[rows] = codes_of(card, rows, place, size)
    scores[rows, label] = rng.uniform(0, 4, 2000)
    if everything:
        scores[rows] = rng.uniform(0, 4, (2000, labels))
    return card, {"boxes": boxes.astype(np.float32), "scores": scores.astype(np.float32)}


def cases() -> Iterator[tuple[str, Card, dict[str, Array]]]:
    yield ("usual frame, 3 labels", *usual(3))
    yield ("usual frame, 20 labels", *usual(20))
    yield ("2,000 boxes x 20 labels, anywhere", *full(20, groups=None, everything=False))
    yield ("2,000 boxes x 20 labels, 100 groups", *full(20, groups=100, everything=False))
    yield ("2,000 boxes x 20 labels, all labels", *full(20, groups=None, everything=True))
    yield ("2,000 boxes x 1 label, anywhere", *full(1, groups=None, everything=False))
    yield ("2,000 boxes x 1 label, 30 groups", *full(1, groups=30, everything=False))
    yield ("the same, soft", *full(1, groups=30, everything=False, nms="soft"))


def measured(steps: list[Callable[[], object]], seconds: float) -> list[Array]:
    """Milliseconds of this thread's processor time of each step, taken in turns."""
    times: list[list[float]] = [[] for _ in steps]
    end = perf_counter() + seconds
    while perf_counter() < end or len(times[0]) < 20:
        for step, mine in zip(steps, times, strict=True):
            start = thread_time()
            step()
            mine.append((thread_time() - start) * 1e3)
    return [np.array(one[5:]) for one in times]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?", help="a .tflite file to compare with")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    machine = environment()
    print(f"{machine['device']}, {machine['cores']} cores, load {machine['load_average'][0]}")
    model = load(given.model, threads=1) if given.model else None
    failed = False
    for name, card, outputs in cases():

        def decode(outputs: dict[str, Array] = outputs, card: Card = card) -> Boxes:
            return detection.decode(outputs, VIEW, card)

        steps: list[Callable[[], object]] = [decode, model.invoke] if model else [decode]
        milliseconds, *bare = measured(steps, given.seconds)
        p50, p90, p99 = np.percentile(milliseconds, (50, 90, 99))
        line = f"{name:36s} {len(decode()):4d} boxes  p50 {p50:.3f}  p90 {p90:.3f}  p99 {p99:.3f} ms"
        failed |= bool(p50 > LIMIT_MS) and "20 labels" in name
        if bare:
            ratio = p50 / float(np.median(bare[0]))
            failed |= ratio > LIMIT_RATIO and name.startswith("usual")
            line += f"  invoke {np.median(bare[0]):.3f} ms, ratio {ratio:.3f}"
        print(line)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
