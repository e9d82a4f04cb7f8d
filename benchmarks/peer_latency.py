"""How long a well-known compact detector takes here, yolo11n at 320 x 320 as int8, beside files of ours.

A latency measured on another machine says nothing here, so this builds the peer anew: its published
architecture (Ultralytics, `yolo11.yaml`, scale n, whose counts of parameters are checked: 2,624,064 trainable
for 80 classes), boxes decoded in the graph, one output (1, 4 + classes, candidates) with coordinates in
[0, 1], by TFLiteConverter as int8. Its weights are random: for latency only, its accuracy is not measured
here. Ultralytics' own export (8.4.190: LiteRT Torch and ai-edge-quantizer, float in and out), given as
`--peer`, took 1.12 times as long: the rebuilt one flatters the peer, not us.

All files run in turns in one process on one thread, ten times a turn after one that is not timed; processor
time, so that other jobs disturb less. The ratio is the median over the turns of peer / file: above 1, the
file is faster than the peer.

    python benchmarks/peer_latency.py runs/det/int8.tflite mobilenet_v2_int8.tflite --seconds 10
    python benchmarks/peer_latency.py runs/det/int8.tflite --peer yolo11n_int8.tflite --json
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from edgecnn.graph import read
from edgecnn.runtime.environment import environment
from edgecnn.runtime.interpreter import Interpreter, open_interpreter

TURN = 10
STRIDES = (8, 16, 32)
BINS = 16
"""Of the distribution over a box's side (Li et al., 2020, Generalized Focal Loss)."""


def yolo11n(*, side: int = 320, classes: int = 3) -> Any:
    """The Keras model: (1, side, side, 3) in [0, 1] to (1, 4 + classes, candidates): cx, cy, w, h, scores."""
    from edgecnn.zoo.keras import keras

    image = keras.Input((side, side, 3), batch_size=1, name="image")
    x = _conv(image, 16, 3, 2)
    x = _conv(x, 32, 3, 2)
    x = _split_block(x, 64, inner=16)
    x = _conv(x, 64, 3, 2)
    fine = _split_block(x, 128, inner=32)
    x = _conv(fine, 128, 3, 2)
    middle = _split_block(x, 128, inner=64, deep=True)
    x = _conv(middle, 256, 3, 2)
    x = _split_block(x, 256, inner=128, deep=True)
    coarse = _attention_block(_pooling_block(x))
    middle = _split_block(_joined(_doubled(coarse), middle), 128, inner=64)
    fine = _split_block(_joined(_doubled(middle), fine), 64, inner=32)
    middle = _split_block(_joined(_conv(fine, 64, 3, 2), middle), 128, inner=64)
    coarse = _split_block(_joined(_conv(middle, 128, 3, 2), coarse), 256, inner=128, deep=True)
    return keras.Model(image, _head([fine, middle, coarse], side, classes), name="yolo11n")


def _conv(x: Any, filters: int, kernel: int = 1, stride: int = 1, *, silu: bool = True) -> Any:
    from edgecnn.zoo.keras import keras, tf

    x = keras.layers.Conv2D(filters, kernel, stride, "same", use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    return tf.nn.silu(x) if silu else x


def _depthwise(x: Any, *, silu: bool = True) -> Any:
    from edgecnn.zoo.keras import keras, tf

    x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    return tf.nn.silu(x) if silu else x


def _joined(*maps: Any) -> Any:
    from edgecnn.zoo.keras import tf

    return tf.concat(maps, -1)


def _halves(x: Any) -> tuple[Any, Any]:
    from edgecnn.zoo.keras import tf

    first, second = tf.split(x, 2, -1)
    return first, second


def _doubled(x: Any) -> Any:
    from edgecnn.zoo.keras import keras

    return keras.layers.UpSampling2D(2)(x)


def _bottleneck(x: Any, inner: int) -> Any:
    return x + _conv(_conv(x, inner, 3), int(x.shape[-1]), 3)


def _split_block(x: Any, filters: int, *, inner: int, deep: bool = False) -> Any:
    """C3k2: half of the maps go through a bottleneck, or through C3k, and all are joined."""
    first, second = _halves(_conv(x, 2 * inner))
    changed = _deep_block(second) if deep else _bottleneck(second, inner // 2)
    return _conv(_joined(first, second, changed), filters)


def _deep_block(x: Any) -> Any:
    """C3k: two bottlenecks beside a way past them."""
    filters = int(x.shape[-1])
    beside = _conv(x, filters // 2)
    x = _conv(x, filters // 2)
    for _ in range(2):
        x = _bottleneck(x, filters // 2)
    return _conv(_joined(x, beside), filters)


def _pooling_block(x: Any) -> Any:
    """SPPF: three poolings of 5 x 5 in a row, joined."""
    from edgecnn.zoo.keras import keras

    filters = int(x.shape[-1])
    maps = [_conv(x, filters // 2)]
    for _ in range(3):
        maps.append(keras.layers.MaxPooling2D(5, 1, "same")(maps[-1]))
    return _conv(_joined(*maps), filters)


def _attention_block(x: Any) -> Any:
    """C2PSA: self-attention and two dense layers on half of the maps."""
    filters = int(x.shape[-1])
    first, second = _halves(_conv(x, filters))
    second = second + _attention(second, heads=filters // 128)
    second = second + _conv(_conv(second, filters), filters // 2, silu=False)
    return _conv(_joined(first, second), filters)


def _attention(x: Any, *, heads: int) -> Any:
    """Keys half as wide as values; a depthwise convolution of the values tells where they are."""
    from edgecnn.zoo.keras import tf

    _, height, width, filters = (int(size) for size in x.shape)
    value = filters // heads
    x = tf.reshape(_conv(x, 2 * filters, silu=False), (1, height * width, heads, 2 * value))
    query, key, values = tf.split(tf.transpose(x, (0, 2, 1, 3)), [value // 2, value // 2, value], -1)
    weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) * (value // 2) ** -0.5)

    def as_map(tokens: Any) -> Any:
        return tf.reshape(tf.transpose(tokens, (0, 2, 1, 3)), (1, height, width, filters))

    seen = as_map(tf.matmul(weights, values)) + _depthwise(as_map(values), silu=False)
    return _conv(seen, filters, silu=False)


def _head(maps: list[Any], side: int, classes: int) -> Any:
    """Detect: boxes and scores of every cell, decoded, in one tensor."""
    from edgecnn.zoo.keras import keras, tf

    deep = max(64, min(classes, 100))
    sides, scores, centres = [], [], []
    for stride, x in zip(STRIDES, maps, strict=True):
        cells = int(x.shape[1]) * int(x.shape[2])
        box = keras.layers.Conv2D(4 * BINS, 1)(_conv(_conv(x, 64, 3), 64, 3))
        score = _conv(_depthwise(_conv(_depthwise(x), deep)), deep)
        score = keras.layers.Conv2D(classes, 1)(score)
        sides.append(tf.reshape(box, (1, cells, 4, BINS)))
        scores.append(tf.reshape(score, (1, cells, classes)))
        rows, columns = np.mgrid[: side // stride, : side // stride]
        centres.append(np.stack([columns, rows], -1).reshape(-1, 2) + 0.5)
    steps = np.concatenate([np.full((len(x), 1), s) for s, x in zip(STRIDES, centres, strict=True)])
    centre = (np.concatenate(centres) * steps / side)[None].astype(np.float32)
    unit = (steps / side)[None].astype(np.float32)
    bins = np.arange(BINS, dtype=np.float32).reshape(1, 1, BINS, 1)
    mean = tf.nn.conv2d(tf.nn.softmax(tf.concat(sides, 1)), bins, 1, "VALID")
    before, after = tf.split(tf.reshape(mean, (1, -1, 4)) * unit, 2, -1)
    least, most = centre - before, centre + after
    found = tf.concat([(least + most) / 2, most - least, tf.sigmoid(tf.concat(scores, 1))], -1)
    return tf.transpose(found, (0, 2, 1))


def int8(model: Any) -> bytes:
    """By TFLiteConverter, calibrated on noise: latency does not depend on what the numbers are."""
    from edgecnn.zoo.keras import tf

    shape = tuple(model.input_shape)
    random = np.random.default_rng(0)
    function = tf.function(lambda image: model(image, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    made = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    made.representative_dataset = lambda: ([random.random(shape, np.float32)] for _ in range(4))
    made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    made.inference_input_type = made.inference_output_type = tf.int8
    return bytes(made.convert())


def rebuilt(side: int, classes: int) -> bytes:
    """The peer's file."""
    from edgecnn.zoo.keras import keras

    keras.utils.set_random_seed(0)
    return int8(yolo11n(side=side, classes=classes))


def in_turns(interpreters: Mapping[str, Interpreter], seconds: float) -> dict[str, np.ndarray]:
    """Milliseconds of every run, (turns, TURN) for each file.

    Of processor time: one thread computes, the one that calls, and what else the machine does in between does
    not count. On an idle machine it is the time on the clock.
    """
    times: dict[str, list[list[float]]] = {name: [] for name in interpreters}
    end = perf_counter() + seconds * len(interpreters)
    while perf_counter() < end or not all(times.values()):
        for name, interpreter in interpreters.items():
            interpreter.invoke()  # warms the caches that the file before has filled
            times[name].append([_timed(interpreter.invoke) for _ in range(TURN)])
    return {name: np.asarray(turns) for name, turns in times.items()}


def _timed(run: Callable[[], None]) -> float:
    start = thread_time()
    run()
    return (thread_time() - start) * 1e3


def opened(files: Mapping[str, bytes]) -> Iterator[tuple[str, Interpreter]]:
    """Each file ready to run on noise."""
    random = np.random.default_rng(0)
    for name, content in files.items():
        graph = read(content, name)
        interpreter = open_interpreter(content, name, threads=1)
        for position, index in enumerate(graph.inputs):
            given = graph.tensors[index]
            noise = random.random(given.shape)
            scale = 1 if np.issubdtype(given.dtype, np.floating) else 127
            interpreter.write(position, (noise * scale).astype(given.dtype))
        yield name, interpreter


def table(times: Mapping[str, np.ndarray], files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """A row for each file; the first is the peer."""
    peer = np.median(next(iter(times.values())), axis=1)
    rows = []
    for name, turns in times.items():
        p10, p50, p90 = (float(x) for x in np.percentile(turns, (10, 50, 90), method="nearest"))
        ratio = median(peer / np.median(turns, axis=1))
        size = len(files[name])
        rows.append({"file": name, "bytes": size, "p10": p10, "p50": p50, "p90": p90, "ratio": ratio})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="+", help=".tflite files")
    parser.add_argument("--peer", type=Path, help="the peer's own .tflite file, instead of the rebuilt one")
    parser.add_argument("--side", type=int, default=320, help="of the rebuilt peer, px (default 320)")
    parser.add_argument("--classes", type=int, default=3, help="of the rebuilt peer (default 3)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each file (default 10)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()

    if given.peer:
        files = {str(given.peer): given.peer.read_bytes()}
    else:
        print("building the peer ...", file=sys.stderr)
        files = {f"yolo11n {given.side}x{given.side}, rebuilt": rebuilt(given.side, given.classes)}
    files |= {str(path): path.read_bytes() for path in given.models}
    rows = table(in_turns(dict(opened(files)), given.seconds), files)
    machine = environment()
    if given.json:
        print(
            json.dumps({"rows": rows, "unit": "ms of processor time", "threads": 1, "environment": machine})
        )
        return
    print(f"{machine['device']}, {machine['cores']} cores, load {machine['load_average'][0]}, one thread")
    print("| file | bytes | ms p10 | p50 | p90 | peer / file |\n|---|---|---|---|---|---|")
    for row in rows:
        print("| {file} | {bytes:,} | {p10:.2f} | {p50:.2f} | {p90:.2f} | {ratio:.2f} |".format(**row))


if __name__ == "__main__":
    main()
