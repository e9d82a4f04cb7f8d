"""How `edgecnn.data.write` writes Pascal VOC; `edgecnn.data.voc` says what it means and reads it."""

from collections.abc import Sequence
from pathlib import Path
from posixpath import splitext
from xml.sax.saxutils import escape

import numpy as np

from edgecnn.data.annotated import Scene, Scenes


def write(folder: Path, labels: Sequence[str], splits: Sequence[str], scenes: Scenes) -> None:
    """Write JPEGImages, Annotations, labels.txt and a list for each split."""
    annotations = folder / "Annotations"
    lists = folder / "ImageSets" / "Main"
    annotations.mkdir()
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), "utf-8")
    for split in splits:
        stems = []
        for scene in scenes(split, folder / "JPEGImages"):
            stem = splitext(scene.name)[0]
            stems.append(stem)
            (annotations / f"{stem}.xml").write_text(_page(scene), "utf-8")
        if split:
            lists.mkdir(parents=True, exist_ok=True)
            (lists / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems), "utf-8")


def _page(scene: Scene) -> str:
    width, height = scene.size_wh
    truth = scene.truth
    things = "".join(
        f"\t<object>\n\t\t<name>{escape(truth.labels[label])}</name>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>{int(ignored)}</difficult>\n\t\t<bndbox>\n"
        + "".join(
            f"\t\t\t<{corner}>{_shown(value)}</{corner}>\n"
            for corner, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        + "\t\t</bndbox>\n\t</object>\n"
        for box, label, ignored in zip(truth.xyxy, truth.label_id, truth.ignored, strict=True)
    )
    return (
        f"<annotation>\n\t<folder>JPEGImages</folder>\n\t<filename>{escape(scene.name)}</filename>\n"
        f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{things}</annotation>\n"
    )


def _shown(value: np.float32) -> str:
    """Whole numbers without a point, as most programs expect; others with as many digits as they need."""
    return np.format_float_positional(value, trim="-")
