"""Does MediaPipe's ImageClassifier say of a file what edgecnn says of it?

Three ways to give both the same photograph:

    as it is     each resizes on its own, edgecnn as the card says. Where that is not `corner`, scores differ,
                 and of unclear images the answer.
    pre-sized    resized before, so that neither has to: whatever differs is not the resizing.
    corner       edgecnn resizes as MediaPipe does, whatever the card says. A file that was converted with
                 `edgecnn convert --int8 --io uint8 --resize corner` does so as it is.

Differences are in steps of the quantized output; of a float output, in probability.

    pip install 'edgecnn[bench]'
    python benchmarks/mediapipe_agreement.py runs/lite0/int8.tflite photographs/*.jpg
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgecnn import image_file
from edgecnn.image import Image
from edgecnn.runtime.model import Model, load


def presized(image: Image, size_wh: tuple[int, int]) -> Image:
    """The image, stretched to the model's size."""
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def open_mediapipe(path: Path, classes: int) -> tuple[Callable[[Image], Any], Callable[[], None], str]:
    """MediaPipe's scores of a BGR image as (classes,) float32; how to close it; its version."""
    try:
        import mediapipe
        from mediapipe.tasks import python
        from mediapipe.tasks.python import vision
    except ModuleNotFoundError as error:
        print(f"skipped: {error.name} is not installed. pip install 'edgecnn[bench]'")
        sys.exit(0)
    options = vision.ImageClassifierOptions(base_options=python.BaseOptions(model_asset_path=str(path)))
    try:
        classifier = vision.ImageClassifier.create_from_options(options)
    except (NotImplementedError, RuntimeError, ValueError) as error:
        print(f"MediaPipe {mediapipe.__version__} refuses {path}: {error}")
        sys.exit(1)

    def scores(image: Image) -> Any:
        pixels = np.ascontiguousarray(image[..., ::-1])
        found = classifier.classify(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels))
        values = np.full(classes, -np.inf, np.float32)
        for category in found.classifications[0].categories:
            values[category.index] = category.score
        return values

    return scores, classifier.close, str(mediapipe.__version__)


def ours(model: Model, image: Image) -> Any:
    """The output as the file gives it, (classes,) float32."""
    return model.raw(model.prepare(image)[0])["scores"]


def quantization_step(model: Model) -> float:
    """The smallest difference between two scores; 1 of a float output."""
    tensor = model.graph.tensors[model.graph.outputs[0]]
    return float(tensor.scale[0]) if len(tensor.scale) and tensor.dtype != "float32" else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    options = parser.parse_args()
    with load(options.model) as model, load(options.model, resize="corner") as cornered:
        labels, spec = model.card.labels, model.card.input
        size_wh = (spec.width, spec.height)
        theirs, close, version = open_mediapipe(options.model, len(labels))
        step = quantization_step(model)
        print(f"{options.model}, MediaPipe {version}; a step is {step:g}; the card says {spec.resize}")
        print(f"{'image':24} {'edgecnn':28} {'as it is':>10} {'pre-sized':>10} {'corner':>10}")
        rows = []
        for path in options.images:
            image = image_file.read(path)
            small = presized(image, size_wh)
            pairs = (
                (theirs(image), ours(model, image)),
                (theirs(small), ours(model, small)),
                (theirs(image), ours(cornered, image)),
            )
            apart = [float(np.abs(a - b).max() / step) for a, b in pairs]
            same = [int(a.argmax() == b.argmax()) for a, b in pairs]
            rows.append((apart, same))
            cells = " ".join(
                f"{one:9.3g}{' ' if equal else '!'}" for one, equal in zip(apart, same, strict=True)
            )
            print(f"{path.name:24.24} {labels[int(pairs[0][1].argmax())]:28.28} {cells}")
        close()
    apart, same = (np.array([row[part] for row in rows]) for part in (0, 1))
    print(f"{'largest difference':53} " + " ".join(f"{one:9.3g} " for one in apart.max(0)))
    print(f"{'same answer (! above: not)':53} " + " ".join(f"{f'{n}/{len(rows)}':>9} " for n in same.sum(0)))


if __name__ == "__main__":
    main()
