"""Boxes and scores in one tensor: what int8 does to a detector's head that joins them, and what `diff` says.

    python benchmarks/concatenated_head.py [--images 256] [--json]

A small convolutional backbone with fixed random weights and a head whose boxes run over 0..640 pixels and
whose scores over 0..1, both joined to one output as YOLO exports are, and the same head with two outputs.
Each is quantized by TFLiteConverter, by ai-edge-quantizer with its own calibration, and by edgecnn, from the
same images. The table tells the error of either role on other images, and the worst operator by `diff`.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from edgecnn import card as cards
from edgecnn.card import Card, InputSpec
from edgecnn.cli import text
from edgecnn.data import open_dataset
from edgecnn.difference import diff_models
from edgecnn.image import lookup, prepare
from edgecnn.runtime.interpreter import open_interpreter

SIZE = 64
SPEC = InputSpec(SIZE, SIZE, mean=(127.5,), std=(127.5,))
PIXELS = 640.0
IMAGES = "drawn:3?size=64x64"
CHECKED = 32
"""Images that `diff` looks at and errors are told of; none of them calibrates."""


def head(*, joined: bool):
    """The Keras model: an image to (1, 64, 8), or to boxes (1, 64, 4) and scores (1, 64, 4)."""
    from edgecnn.keras import keras

    layers = keras.layers
    keras.utils.set_random_seed(3)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = image
    for filters in (8, 16, 24):
        x = layers.Conv2D(filters, 3, 2, "same", activation="relu6", kernel_initializer="he_normal")(x)
    boxes = layers.Conv2D(4, 1, activation="sigmoid", name="box")(x)
    boxes = layers.Reshape((-1, 4), name="boxes")(boxes * PIXELS)
    scores = layers.Conv2D(4, 1, activation="sigmoid", kernel_initializer="he_normal", name="class")(x)
    scores = layers.Reshape((-1, 4), name="scores")(scores)
    if not joined:
        return keras.Model(image, [boxes, scores])
    return keras.Model(image, layers.Concatenate(axis=-1, name="joined")([boxes, scores]))


def tensors(count: int, *, split: str = "train") -> Iterator[np.ndarray]:
    """Prepared images."""
    table = lookup(SPEC, np.float32)
    for sample in open_dataset(IMAGES, split=split).subset(range(count)).samples:
        yield prepare(sample.read(), table, SPEC)[0].copy()


def converter(model):
    """A TFLiteConverter for one image at a time."""
    import tensorflow as tf

    function = tf.function(lambda image: model(image, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)


def by_tflite_converter(model, count: int) -> bytes:
    """TFLiteConverter's own int8."""
    import tensorflow as tf

    made = converter(model)
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    made.representative_dataset = lambda: ([tensor] for tensor in tensors(count))
    made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    made.inference_input_type = made.inference_output_type = tf.int8
    return bytes(made.convert())


def by_ai_edge_quantizer(content: bytes, count: int) -> bytes:
    """ai-edge-quantizer's static int8, with the calibration it comes with."""
    from ai_edge_quantizer import quantizer, recipe

    made = quantizer.Quantizer(content, recipe.static_wi8_ai8())
    key, name = _signature(content)
    ranges = made.calibrate({key: [{name: tensor} for tensor in tensors(count)]})
    return bytes(made.quantize(ranges).quantized_model)


def _signature(content: bytes) -> tuple[str, str]:
    from edgecnn.graph import read

    signature = read(content, "the model").signatures[0]
    return signature.key, next(iter(signature.inputs))


def by_edgecnn(content: bytes, count: int) -> bytes:
    """Our min-max ranges."""
    from calibration.observe import observe
    from calibration.ranges import Ranges, of_pixels
    from converters.quantize import quantize
    from edgecnn.graph import read

    graph = read(content, "the model")
    found = observe(content, tensors(count))
    found[graph.tensors[graph.inputs[0]].name] = of_pixels(SPEC)
    return quantize(content, "int8", ranges=Ranges(found, "minmax", count, ""))


def roles(content: bytes) -> dict[str, np.ndarray]:
    """Boxes and scores in real numbers, (images, 64, 4) each."""
    from edgecnn.graph import read

    graph = read(content, "the model")
    inside, outside = graph.tensors[graph.inputs[0]], [graph.tensors[index] for index in graph.outputs]
    interpreter = open_interpreter(content, "the model")
    seen: dict[str, list[np.ndarray]] = {"boxes": [], "scores": []}
    for tensor in tensors(CHECKED, split="val"):
        if len(inside.scale):
            tensor = np.rint(tensor / inside.scale[0]) + inside.zero_point[0]
            tensor = tensor.clip(-128, 127).astype(np.int8)
        interpreter.write(0, tensor)
        interpreter.invoke()
        found = []
        for position, output in enumerate(outside):
            values = interpreter.read(position).astype(np.float64)
            found.append((values - output.zero_point[0]) * output.scale[0] if len(output.scale) else values)
        boxes, scores = np.split(found[0], 2, axis=-1) if len(found) == 1 else sorted(found, key=np.max)[::-1]
        seen["boxes"].append(boxes[0])
        seen["scores"].append(scores[0])
    return {role: np.stack(values) for role, values in seen.items()}


def attached(folder: Path, name: str, content: bytes) -> Path:
    """The file, with a card that says how it wants its image."""
    path = folder / f"{name}.tflite"
    path.write_bytes(content)
    cards.attach(path, Card("head", "detection", SPEC, ("a", "b", "c", "d")))
    return path


def measure(folder: Path, count: int) -> list[dict]:
    """One line for each head and converter."""
    rows = []
    for joined in (True, False):
        model = head(joined=joined)
        floating = bytes(converter(model).convert())
        truth = roles(floating)
        source = attached(folder, f"float-{joined}", floating)
        made = {
            "TFLiteConverter": by_tflite_converter(model, count),
            "ai-edge-quantizer": by_ai_edge_quantizer(floating, count),
            "edgecnn": by_edgecnn(floating, count),
        }
        for name, content in made.items():
            found = roles(content)
            path = attached(folder, f"{name}-{joined}", content)
            told = diff_models(source, path, open_dataset(IMAGES, split="val"), images=CHECKED).as_dict()
            rows.append(
                {
                    "head": "one tensor" if joined else "two outputs",
                    "converter": name,
                    "boxes_px": float(np.abs(found["boxes"] - truth["boxes"]).mean()),
                    "scores": float(np.abs(found["scores"] - truth["scores"]).mean()),
                    "scores_db": _decibels(truth["scores"], found["scores"]),
                    "values_of_scores": len(np.unique(found["scores"])),
                    "first_bad": told["first_bad"],
                    "worst": told["weakest"] if told["bad"] else None,
                }
            )
    return rows


def _decibels(truth: np.ndarray, found: np.ndarray) -> float:
    error = float(((found - truth) ** 2).sum())
    return float(10 * np.log10((truth**2).sum() / error)) if error else float("inf")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--images", type=int, default=256, help="that calibrate")
    options = parser.parse_args()
    noise = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(noise), contextlib.redirect_stdout(noise):
            rows = measure(Path(folder), options.images)
    if options.json:
        print(json.dumps(rows))
        return 0
    heads = (
        "head",
        "converter",
        "boxes px",
        "scores",
        "scores dB",
        "levels",
        "diff: first bad",
        "diff: worst",
    )
    rows_shown = [
        (
            row["head"], row["converter"], f"{row['boxes_px']:.2f}", f"{row['scores']:.4f}",
            f"{row['scores_db']:.1f}", row["values_of_scores"], _said(row["first_bad"]), _said(row["worst"]),
        )
        for row in rows
    ]  # fmt: skip
    print(text.table(rows_shown, heads))
    for row in rows:
        if row["worst"]:
            cause = row["worst"]["causes"][0]
            print(f"\n{row['converter']}, {row['head']}: {cause['text']}\n  do: {cause['remedy']}")
    return 0


def _said(found: dict | None) -> str:
    return f"{found['operator']}, {found['causes'][0]['kind']}" if found else "nothing"


if __name__ == "__main__":
    sys.exit(main())
