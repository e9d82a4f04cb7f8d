"""Does edgecnn find in photographs what MediaPipe's ObjectDetector finds with the same file?

Each of MediaPipe's boxes is paired with the box of edgecnn that overlaps it most and has its label. The file
needs no card; the bar is the same labels, an IoU of 0.9 and scores within 0.02. MediaPipe rounds its boxes to
whole pixels, and edgecnn clips them to the image.

    python benchmarks/stranger_detector.py detector.tflite photographs/*.jpg

MediaPipe may live in another environment, since it wants other packages than training does:

    python benchmarks/stranger_detector.py FILE.tflite photographs/*.jpg --mediapipe-python VENV/bin/python
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import image_file
from edgecnn.runtime.model import load

IOU, SCORE = 0.9, 0.02

MEDIAPIPE = """
import json, sys
import mediapipe
from mediapipe.tasks import python
from mediapipe.tasks.python import vision

model, threshold, *images = sys.argv[1:]
options = vision.ObjectDetectorOptions(
    base_options=python.BaseOptions(model_asset_path=model), score_threshold=float(threshold)
)
found = []
with vision.ObjectDetector.create_from_options(options) as detector:
    for image in images:
        seen = detector.detect(mediapipe.Image.create_from_file(image)).detections
        found.append([
            {
                "label": one.categories[0].category_name,
                "score": one.categories[0].score,
                "box_xyxy": [
                    one.bounding_box.origin_x,
                    one.bounding_box.origin_y,
                    one.bounding_box.origin_x + one.bounding_box.width,
                    one.bounding_box.origin_y + one.bounding_box.height,
                ],
            }
            for one in seen
        ])
print(json.dumps({"version": mediapipe.__version__, "found": found}))
"""


def by_mediapipe(python: str, model: Path, images: Sequence[Path], threshold: float) -> Any:
    """MediaPipe's version, and its boxes of each image, best first."""
    command = [python, "-c", MEDIAPIPE, str(model), str(threshold), *map(str, images)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No module named 'mediapipe'" in done.stderr:
        print("skipped: mediapipe is not installed there. pip install mediapipe, or give --mediapipe-python")
        sys.exit(0)
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1])
        sys.exit(1)
    return json.loads(done.stdout.splitlines()[-1])


def overlap(one: Any, other: Any) -> float:
    """IoU of two boxes."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    both = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared
    return float(shared / both) if both > 0 else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--threshold", type=float, default=0.3, help="least score of MediaPipe's boxes")
    parser.add_argument("--resize", choices=("bilinear", "area", "corner"), help="otherwise as edgecnn does")
    parser.add_argument(
        "--mediapipe-python", default=sys.executable, help="an interpreter that has MediaPipe"
    )
    options = parser.parse_args()
    theirs = by_mediapipe(options.mediapipe_python, options.model, options.images, options.threshold)
    # a box that MediaPipe just lets through may lie just below the threshold here
    lower = max(0.0, options.threshold - SCORE)
    print(f"{options.model.name}, MediaPipe {theirs['version']}, scores from {options.threshold:g}")
    print(f"{'image':22} {'MediaPipe':14} {'score':>6} {'edgecnn':14} {'score':>6} {'apart':>6} {'IoU':>6}")
    rows, missing = [], 0
    with load(options.model, resize=options.resize, options={"threshold": lower}) as model:
        for path, boxes in zip(options.images, theirs["found"], strict=True):
            ours = model(image_file.read(path)).records()
            for box in boxes:
                same = [one for one in ours if one["label"] == box["label"]]
                best = max(same, key=lambda one: overlap(one["box_xyxy"], box["box_xyxy"]), default=None)
                if best is None:
                    missing += 1
                    print(f"{path.name:22.22} {box['label']:14.14} {box['score']:6.3f} nothing of that label")
                    continue
                ours = [one for one in ours if one is not best]  # each box answers one of theirs
                iou, apart = overlap(best["box_xyxy"], box["box_xyxy"]), abs(best["score"] - box["score"])
                rows.append((iou, apart))
                mark = "" if iou >= IOU and apart <= SCORE else "  !"
                print(
                    f"{path.name:22.22} {box['label']:14.14} {box['score']:6.3f} {best['label']:14.14} "
                    f"{best['score']:6.3f} {apart:6.3f} {iou:6.3f}{mark}"
                )
    if not rows:
        print("no box of MediaPipe's has a counterpart, or there are none")
        return
    held = sum(iou >= IOU and apart <= SCORE for iou, apart in rows)
    print(
        f"{held} of {len(rows) + missing} boxes within IoU {IOU} and score {SCORE}, {missing} without a "
        f"counterpart; of the others the median IoU is {np.median([iou for iou, _ in rows]):.3f}, the least "
        f"{min(iou for iou, _ in rows):.3f}; scores are at most {max(apart for _, apart in rows):.3f} apart"
    )


if __name__ == "__main__":
    main()
