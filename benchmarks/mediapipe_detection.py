"""Does MediaPipe's ObjectDetector find in an image what edgecnn finds, with the same file?

Three comparisons, each at the card's threshold unless another is given. In the first two edgecnn makes the
image as large as the input as MediaPipe does (`corner`, stretched), so that nothing but the decoding is
compared; in the third as the card says.

    the rule     the file's raw outputs, decoded by its anchors in 20 lines of numpy, the best label of each
                 box, of two boxes that overlap by more than 0.3 the better, whole pixels: as MediaPipe's
                 source says. Equal means: every number that MediaPipe gave.
    candidates   MediaPipe's boxes among edgecnn's before suppression: difference of the scores, overlap. Of a
                 box that crosses the image's edge, edgecnn gives the part inside, MediaPipe the whole size
                 from the first pixel inside; such boxes are counted apart (`edge`).
    answers      what each says in the end, and how many of MediaPipe's boxes edgecnn gives, too (the same
                 label, overlap 0.5). edgecnn keeps boxes of one label that overlap by up to the card's `iou`,
                 and different labels always.

    pip install 'edgecnn[bench]'
    python benchmarks/mediapipe_detection.py runs/det/int8.tflite photographs/*.jpg
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from converters.mediapipe import OVERLAP
from edgecnn import detector_metadata, image_file
from edgecnn.detector_metadata import Decoder
from edgecnn.image import Array, Image
from edgecnn.results import Boxes
from edgecnn.runtime.model import Model, load
from edgecnn.tasks.detection.settings import THRESHOLD


class Found(NamedTuple):
    """Boxes of one image, best first: (n, 4) x, y, width, height in pixels, scores, labels."""

    xywh: Array
    score: Array
    label_id: Array


def open_mediapipe(
    path: Path, labels: list[str], threshold: float
) -> tuple[Callable[[Image], Found], Callable[[], None], str]:
    """MediaPipe's boxes in a BGR image; how to close it; its version."""
    try:
        import mediapipe
        from mediapipe.tasks import python
        from mediapipe.tasks.python import vision
    except ModuleNotFoundError as error:
        print(f"skipped: {error.name} is not installed. pip install 'edgecnn[bench]'")
        sys.exit(0)
    base = python.BaseOptions(model_asset_path=str(path))
    options = vision.ObjectDetectorOptions(base_options=base, max_results=-1, score_threshold=threshold)
    try:
        detector = vision.ObjectDetector.create_from_options(options)
    except (NotImplementedError, RuntimeError, ValueError) as error:
        print(f"MediaPipe {mediapipe.__version__} refuses {path}: {error}")
        sys.exit(1)

    def detect(image: Image) -> Found:
        pixels = np.ascontiguousarray(image[..., ::-1])
        given = detector.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels))
        boxes = [one.bounding_box for one in given.detections]
        best = [one.categories[0] for one in given.detections]
        return Found(
            np.array([(b.origin_x, b.origin_y, b.width, b.height) for b in boxes], int).reshape(-1, 4),
            np.array([one.score for one in best]),
            np.array([labels.index(one.category_name) for one in best], int),
        )

    return detect, detector.close, str(mediapipe.__version__)


def by_the_rule(model: Model, decoder: Decoder, image: Image, threshold: float) -> Found:
    """What MediaPipe's source says that it does with the raw outputs."""
    raw = model.raw(model.prepare(image)[0])
    code, anchor, scale = raw["boxes"].reshape(-1, 4), decoder.anchors, decoder.scale_yxhw
    scores = raw["scores"].reshape(len(code), -1)
    scores = 1 / (1 + np.exp(-scores)) if decoder.is_logit else scores
    y, x = (code[:, i] / scale[i] * anchor[:, 3 - i] + anchor[:, 1 - i] for i in (0, 1))
    h, w = (np.exp(code[:, i] / scale[i]) * anchor[:, 5 - i] for i in (2, 3))
    xyxy, best = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1), scores.max(1)
    kept: list[int] = []
    for i in np.argsort(-best, kind="stable"):
        if best[i] < threshold:
            break
        if not kept or overlap(xyxy[i], xyxy[kept]).max() <= OVERLAP:
            kept.append(int(i))
    size_wh = np.array(image.shape[1::-1])
    corner, size = xyxy[kept, :2] * size_wh, (xyxy[kept, 2:] - xyxy[kept, :2]) * size_wh
    xywh = np.concatenate([corner.astype(int).clip(0, size_wh), size.astype(int).clip(0, size_wh)], 1)
    return Found(xywh, best[kept], scores[kept].argmax(1))


def is_equal(one: Found, other: Found) -> bool:
    """Whether all numbers are; boxes of the same score may come in any order."""
    if len(one.score) != len(other.score):
        return False
    first, second = (
        np.column_stack([found.score.round(4), found.label_id, found.xywh])[
            np.lexsort((*found.xywh.T, found.label_id, found.score.round(4)))
        ]
        for found in (one, other)
    )
    return bool(np.allclose(first, second, atol=2e-4))


def overlap(box_xyxy: Array, others_xyxy: Array) -> Array:
    """Intersection over union of one box with each of the others, (n,)."""
    low = np.maximum(box_xyxy[:2], others_xyxy[:, :2])
    shared = (np.minimum(box_xyxy[2:], others_xyxy[:, 2:]) - low).clip(0).prod(1)
    areas = (others_xyxy[:, 2:] - others_xyxy[:, :2]).prod(1)
    return shared / np.maximum((box_xyxy[2:] - box_xyxy[:2]).prod() + areas - shared, 1e-9)


def paired(found: Found, boxes: Boxes) -> tuple[Array, Array]:
    """For each found box the overlap with the nearest of the same label, and how far the scores are apart.

    Of a box that is none of these boxes, the score nearest to its own is taken: it lies across an edge.
    """
    overlaps, apart = [], []
    for xywh, score, label in zip(*found, strict=True):
        same = np.flatnonzero(boxes.label_id == label)
        if not len(same):
            overlaps.append(0.0)
            apart.append(1.0)
            continue
        shared = overlap(np.concatenate([xywh[:2], xywh[:2] + xywh[2:]]), boxes.xyxy[same])
        differs = np.abs(boxes.score[same] - score)
        overlaps.append(float(shared.max()))
        apart.append(float(differs[shared.argmax()] if shared.max() >= 0.5 else differs.min()))
    return np.array(overlaps), np.array(apart)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--threshold", type=float, help="least score; default: the card's")
    options = parser.parse_args()
    with load(options.model) as model:
        card, decoder = model.card, detector_metadata.read(model.graph)
    if decoder is None:
        print(f"{options.model} does not say how to decode its boxes: MediaPipe cannot run it")
        sys.exit(1)
    threshold = card.options.get("threshold", THRESHOLD) if options.threshold is None else options.threshold
    theirs, close, version = open_mediapipe(options.model, list(card.labels), threshold)
    every = {"threshold": threshold, "nms": "none", "most": 300}
    rows = []
    print(f"{options.model}, MediaPipe {version}, threshold {threshold:.2f}; overlaps and scores: the worst")
    columns = ("MediaPipe", "the rule", "edge", "overlap", "score", "edgecnn", "both")
    print(f"{'image':24} " + " ".join(f"{name:>9}" for name in columns))
    with (
        load(options.model, resize="corner", fit="stretch", options=every) as candidates,
        load(options.model, options={"threshold": threshold}) as model,
    ):
        for path in options.images:
            image = image_file.read(path)
            found, rule = theirs(image), by_the_rule(candidates, decoder, image, threshold)
            near, ours = candidates(image), model(image)
            equal = is_equal(found, rule)
            shared, apart = paired(found, near)
            ends = found.xywh[:, :2] + found.xywh[:, 2:]
            edge = (found.xywh[:, :2] == 0).any(1) | (ends >= image.shape[1::-1]).any(1)
            lies, differs = paired(found, ours)
            both = int(((lies >= 0.5) | edge & (differs < 1e-4)).sum())
            worst = (shared[~edge].min(initial=1), apart[~edge].max(initial=0))
            rows.append((len(found.score), equal, edge.sum(), *worst, len(ours.score), both))
            print(row(path.name, rows[-1], "equal" if equal else "differs"))
    close()
    counted = [sum(column) for column in zip(*rows, strict=True)]
    counted[3:5] = min(row[3] for row in rows), max(row[4] for row in rows)
    print(row("all", counted, f"{counted[1]}/{len(rows)}"))


def row(name: str, figures: Sequence[float], equal: str) -> str:
    """One line of the table."""
    found, _, edge, shared, apart, ours, both = figures
    return f"{name:24.24} {found:9} {equal:>9} {edge:9} {shared:9.3f} {apart:9.5f} {ours:9} {both:9}"


if __name__ == "__main__":
    main()
