"""Decoding and suppression, on one core: milliseconds, and their ratio to the bare `invoke` of a model.

Cases, 320 x 320 pixels, 2,100 cells: a usual frame (six objects, about 45 scores over the threshold) with
3 and with 20 labels; and frames that are all answers, 2,000 boxes over the threshold, at random places, in
groups, and all with every label. The limits: 2 ms for each with 20 labels, and a tenth of the model's
`invoke` for a usual frame.

Outputs are of 8 bits, as an int8 model stores them, and decoded as `Model` does it; --real decodes real
numbers. With a model, one `invoke` and one decode take turns: then NumPy's code has left the caches, which
costs more than the work itself. Both run in this thread, whose processor time is counted: what else the
machine does costs them little. With images, too, the model's own answers are decoded, the outputs' copy out
of the interpreter included; this is wall time.

    python benchmarks/decode.py runs/cats/int8.tflite photos/*.jpg --seconds 5
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, thread_time

import cv2
import numpy as np

from edgecnn.card import Card, InputSpec
from edgecnn.image import Array, View
from edgecnn.image_file import read as read_image
from edgecnn.results import Boxes
from edgecnn.runtime.environment import environment
from edgecnn.runtime.model import Model, Timings, load
from edgecnn.tasks import detection
from edgecnn.tasks.stored import Steps

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


def stored(real: Array) -> tuple[Array, Steps]:
    """Real numbers as a converter stores them, in 256 steps from the least to the highest."""
    low, high = float(real.min()), float(real.max())
    scale = (high - low) / 255
    values = np.arange(256, dtype=np.float64) * scale + low
    return np.rint((real - low) / scale).astype(np.uint8), Steps(
        np.dtype(np.uint8), values.astype(np.float32)
    )


def decoding(card: Card, outputs: dict[str, Array], *, real: bool) -> Callable[[], Boxes]:
    """What is measured: a decode of these outputs."""
    if real:
        decode = detection.decoder(card)
        return lambda: decode(outputs, VIEW)
    pairs = {role: stored(one) for role, one in outputs.items()}
    decode = detection.decoder(card, {role: steps for role, (_, steps) in pairs.items()})
    kept = {role: values for role, (values, _) in pairs.items()}
    return lambda: decode(kept, VIEW)


def answers(model: Model, images: list[Path], seconds: float) -> str:
    """Of images: what the model's own answers cost, in a line."""
    pixels = [read_image(path) for path in images]
    results = [model(one) for one in pixels]
    times: list[Timings] = []
    end = perf_counter() + seconds
    while perf_counter() < end or len(times) < 20:
        times += [model.timed(one)[1] for one in pixels]
    decode, invoke = (np.array([getattr(one, name) for one in times]) for name in ("decode_ms", "invoke_ms"))
    boxes = np.mean([len(result.records()) for result in results])
    ratio = np.median(decode) / np.median(invoke)
    return (
        f"{f'{len(images)} images, outputs read':36s} {boxes:4.0f} boxes  p50 {np.median(decode):.3f}  "
        f"p90 {np.percentile(decode, 90):.3f}  p99 {np.percentile(decode, 99):.3f} ms  "
        f"invoke {np.median(invoke):.3f} ms, ratio {ratio:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?", help="a .tflite file to compare with")
    parser.add_argument("images", type=Path, nargs="*", help="that the model answers")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case")
    parser.add_argument("--real", action="store_true", help="decode real numbers, as of a float model")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    machine = environment()
    print(f"{machine['device']}, {machine['cores']} cores, load {machine['load_average'][0]}")
    model = load(given.model, threads=1) if given.model else None
    failed = False
    for name, card, outputs in cases():
        decode = decoding(card, outputs, real=given.real)
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
    if model and given.images:
        print(answers(model, given.images, given.seconds))
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
