"""How `edgecnn.data.write` writes COCO JSON; `edgecnn.data.coco` says what it means and reads it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecnn.data.annotated import Scene, Scenes


def write(folder: Path, labels: Sequence[str], splits: Sequence[str], scenes: Scenes) -> None:
    """Write a file of annotations and a folder of images for each split."""
    (folder / "annotations").mkdir()
    categories = [{"id": number, "name": label} for number, label in enumerate(labels, 1)]
    for split in splits:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, scene in enumerate(scenes(split, folder / (split or "images")), 1):
            width, height = scene.size_wh
            images.append({"id": number, "file_name": scene.name, "width": width, "height": height})
            for entry in _boxes(scene):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **entry})
        page = {"images": images, "annotations": annotations, "categories": categories}
        name = f"instances_{split}.json" if split else "instances.json"
        (folder / "annotations" / name).write_text(json.dumps(page, ensure_ascii=False), "utf-8")


def _boxes(scene: Scene) -> list[dict[str, Any]]:
    truth = scene.truth
    found = []
    for box, label_id, ignored in zip(truth.xyxy, truth.label_id, truth.ignored, strict=True):
        # as doubles, so that left + width is the right edge again, to the last bit of a float32
        left, top, right, bottom = map(float, box)
        width, height = right - left, bottom - top
        found.append(
            {
                "category_id": int(label_id) + 1,
                "bbox": [_whole(value) for value in (left, top, width, height)],
                "area": _whole(width * height),
                "iscrowd": int(ignored),
                "segmentation": [],
            }
        )
    return found


def _whole(value: float) -> float:
    return int(value) if value.is_integer() else value
