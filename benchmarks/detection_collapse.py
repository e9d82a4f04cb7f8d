"""What int8 leaves of a trained detector, exported as other tools do it and as edgecnn does.

    float          the run's float32.tflite
    one output     boxes decoded in the graph to cx cy w h in pixels, beside the scores in ONE output
                   (1, 4 + c, n), plain TFLiteConverter int8: one scale for coordinates up to the image's side
                   and scores up to 1. A known collapse, e.g. of YOLO exports (ultralytics pull request 1695).
    normalized     the same, boxes divided by the image's side: the usual cure
    edgecnn int8   the run's int8.tflite: codes and logits in two outputs, each with its own scale

All are judged on the test split by the same code, edgecnn.evaluation.detection, under the thresholds at which
mAP is judged; where a score comes out above 1, as it does by rounding, it counts as 1.

    pip install 'edgecnn[train,convert]'
    edgecnn convert runs/det --int8 --data DATA
    python benchmarks/detection_collapse.py runs/det --data DATA
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from edgecnn import card as cards
from edgecnn.card import Card
from edgecnn.data import open_dataset
from edgecnn.data.dataset import Sample
from edgecnn.evaluation.detection import Metrics, metrics
from edgecnn.graph import Tensor
from edgecnn.image import Array, lookup, prepare
from edgecnn.inspection import inspect_model
from edgecnn.results import Boxes
from edgecnn.runs import Run
from edgecnn.runtime.model import Model, load
from edgecnn.tasks import TASKS, detection

Coordinates: TypeAlias = Literal["pixels", "normalized"]

NAMES = ("float", "one output", "normalized", "edgecnn int8")


def concatenated(run: Run, card: Card, coordinates: Coordinates, images: Sequence[Array]) -> bytes:
    """The network with its decoding and one output, int8 by TFLiteConverter.

    Args:
        run: its Keras model gives codes and logits.
        card: what they mean.
        coordinates: of the boxes.
        images: tensors to observe the ranges on.
    """
    from converters.from_keras import read_keras
    from edgecnn.keras import tf

    spec = card.input
    shape = (spec.height, spec.width, spec.channels)
    network = read_keras(run.model, image_shape=shape, roles=detection.roles(card.options))
    x, y, side = (detection.anchors(card)[:, column] for column in range(3))
    scale_y, scale_x, scale_h, scale_w = card.options.get("scale_yxhw", (4, 4, 1, 1))
    whole = (spec.width, spec.height) if coordinates == "normalized" else (1, 1)

    class Exported(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
        def __init__(self) -> None:
            super().__init__()
            self.owner = network.owner

        @tf.function(input_signature=[tf.TensorSpec((1, *shape), tf.float32, name="image")])
        def predict(self, image: Any) -> dict[str, Any]:
            outputs = network.function(image)
            code, scores = outputs["boxes"], tf.sigmoid(outputs["scores"])
            boxes = tf.stack(
                [
                    (x + code[..., 1] * (side / scale_x)) / whole[0],
                    (y + code[..., 0] * (side / scale_y)) / whole[1],
                    side * tf.exp(code[..., 3] / scale_w) / whole[0],
                    side * tf.exp(code[..., 2] / scale_h) / whole[1],
                ],
                axis=1,
            )
            return {"predictions": tf.concat([boxes, tf.transpose(scores, (0, 2, 1))], axis=1)}

    def representative() -> Iterator[list[Array]]:
        return ([image] for image in images)

    exported = Exported()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [exported.predict.get_concrete_function()], exported
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def judged(path: Path, samples: Sequence[Sample], *, threads: int) -> Metrics:
    """How good a file's boxes are."""
    with load(path, options=detection.JUDGING, threads=threads) as model:
        results = [boxes_of(model, sample) for sample in samples]
    truths = [sample.truth for sample in samples if isinstance(sample.truth, Boxes)]
    return metrics(results, truths)


def boxes_of(model: Model, sample: Sample) -> Boxes:
    """The boxes of one image; scores that rounding put above 1, which edgecnn refuses, count as 1."""
    tensor, view = model.prepare(sample.read())
    outputs: Mapping[str, Array] = model.raw(tensor)
    if "predictions" in outputs:
        rows = outputs["predictions"].copy()
        rows[4:] = rows[4:].clip(0, 1)
        outputs = {"predictions": rows}
    result = TASKS["detection"].decode(outputs, view, model.card)
    if not isinstance(result, Boxes):
        raise TypeError(f"detection gave {type(result).__name__}")
    return result


def score_of_one(tensor: Tensor) -> str:
    """What the output can say of a score: its step, and what becomes of 1.0."""
    scale, zero = float(tensor.scale[0]), int(tensor.zero_point[0])
    limits = np.iinfo(tensor.dtype)
    stored = int(np.clip(np.rint(1 / scale) + zero, limits.min, limits.max))
    return f"a step is {scale:.4g}, a score of 1.0 comes out as {scale * (stored - zero):.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True, help="what it was trained on; its test split is judged")
    parser.add_argument("--calibration", type=int, default=200, help="training images to observe (200)")
    parser.add_argument("--images", type=int, help="judge only so many test images")
    parser.add_argument("--out", type=Path, help="where the two other files go (RUN/one_output)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    run = Run(options.run)
    card = run.read_card()
    for path in (run.tflite("float32"), run.tflite("int8")):
        if not path.is_file():
            print(f"{path} is not there: edgecnn convert {options.run} --int8 --data {options.data}")
            sys.exit(1)
    folder = options.out or options.run / "one_output"
    folder.mkdir(parents=True, exist_ok=True)
    train = open_dataset(options.data, task="detection", split="train").samples
    samples = open_dataset(options.data, task="detection", split="test").samples[: options.images]
    chosen = np.random.default_rng(0).permutation(len(train))[: options.calibration]
    table = lookup(card.input, np.float32)
    images = [prepare(train[index].read(), table, card.input)[0] for index in chosen]
    paths = [run.tflite("float32")]
    coordinates: Coordinates
    for coordinates in ("pixels", "normalized"):
        paths.append(folder / f"{coordinates}.tflite")
        paths[-1].write_bytes(concatenated(run, card, coordinates, images))
        told = {"decode": "yolov8", "boxes": coordinates, "scores": "probabilities"}
        cards.attach(paths[-1], replace(card, outputs={}, options=told, checks=()))
    paths.append(run.tflite("int8"))
    found = [judged(path, samples, threads=options.threads) for path in paths]
    print(f"{options.run}, {len(samples)} test images of {options.data}; AP50 and AP@0.5:0.95 in points")
    print(f"{'':12} " + " ".join(f"{name:>15}" for name in NAMES))
    rows = [("all", [(one.map50, one.map) for one in found])]
    for index, label in enumerate(found[0].labels):
        per_class = [one.per_class()[index] for one in found]
        rows.append((label, [(record["ap50"], record["ap"]) for record in per_class]))
    for label, pairs in rows:
        cells = (f"{100 * (ap50 or 0):7.2f} {100 * (ap or 0):7.2f}" for ap50, ap in pairs)
        print(f"{label:12.12} " + " ".join(cells))
    for name, path in zip(NAMES[1:], paths[1:], strict=True):
        with load(path) as model:
            role = (
                "predictions" if "predictions" in model.card.outputs or len(model.graph.outputs) == 1 else ""
            )
            tensors = [model.graph.tensors[index] for index in model.graph.outputs]
        for tensor in tensors:
            said = (
                score_of_one(tensor) if role else f"a step of {tensor.name} is {float(tensor.scale[0]):.4g}"
            )
            print(f"{name}: {said}")
        for line in inspect_model(path).advice:
            print(f"{name}: edgecnn inspect: {line}")


if __name__ == "__main__":
    main()
