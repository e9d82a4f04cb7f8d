"""How `edgecnn.data.write` writes YOLO; `edgecnn.data.yolo` says what it means and reads it."""

import json
from collections.abc import Sequence
from pathlib import Path
from posixpath import splitext

from edgecnn.data.annotated import Scene, Scenes


def write(folder: Path, labels: Sequence[str], splits: Sequence[str], scenes: Scenes) -> None:
    """Write data.yaml, and a folder of images and one of text files for each split.

    A split whose images are not in the order of their names gets a list of them, too.
    """
    lines = []
    for split in splits:
        inside = f"images/{split}".rstrip("/")
        texts = folder / "labels" / split
        texts.mkdir(parents=True)
        names = []
        for scene in scenes(split, folder / inside):
            names.append(scene.name)
            (texts / f"{splitext(scene.name)[0]}.txt").write_text(_lines(scene), "utf-8")
        if split and names != sorted(names):
            (folder / f"{split}.txt").write_text("".join(f"./{inside}/{name}\n" for name in names), "utf-8")
            inside = f"{split}.txt"
        if split:
            lines.append(f"{split}: {inside}")
    # no `path`: without it, other programs look beside the file, too
    named = [f"  {number}: {json.dumps(label, ensure_ascii=False)}" for number, label in enumerate(labels)]
    text = "\n".join([*lines, f"nc: {len(labels)}", "names:", *named])
    (folder / "data.yaml").write_text(f"{text}\n", "utf-8")


def _lines(scene: Scene) -> str:
    """`class cx cy width height`, shares of the image; ten digits are 0.00001 px of a 100 megapixel image."""
    width, height = scene.size_wh
    truth = scene.truth
    lines = []
    for box, label_id, ignored in zip(truth.xyxy, truth.label_id, truth.ignored, strict=True):
        if not ignored:
            left, top, right, bottom = map(float, box)
            shares = (
                (left + right) / 2 / width,
                (top + bottom) / 2 / height,
                (right - left) / width,
                (bottom - top) / height,
            )
            lines.append(f"{label_id} " + " ".join(f"{share:.10g}" for share in shares) + "\n")
    return "".join(lines)
