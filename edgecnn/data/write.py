"""Write a detection data set as Pascal VOC, COCO JSON or YOLO, as the readers beside this read them.

    coco    annotations/instances_train.json   train/7.jpg              (images/ where there are no splits)
    voc     Annotations/7.xml   JPEGImages/7.jpg   ImageSets/Main/train.txt   labels.txt
    yolo    data.yaml   images/train/7.jpg   labels/train/7.txt

What was written reads back the same: images (encoded files are copied as they are, drawn ones become PNG),
order, labels, boxes (YOLO: within 0.001 px), ignored boxes (not in YOLO, which cannot say that). Written is
the truth: boxes as they are learned from, clipped to their image.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from posixpath import splitext

import cv2

from edgecnn import image_file
from edgecnn.data import coco_file, voc_file, yolo_file
from edgecnn.data.annotated import TASKS, Scene
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.folder import StoredImage
from edgecnn.data.storage import Folder
from edgecnn.data.tar_archive import Tar
from edgecnn.data.zip_archive import Zip
from edgecnn.errors import DataError
from edgecnn.results import Boxes

_WRITERS = {"coco": coco_file.write, "voc": voc_file.write, "yolo": yolo_file.write}

_WRITTEN = {
    "annotations", "images", "train", "val", "test",
    "Annotations", "JPEGImages", "ImageSets", "labels.txt",
    "data.yaml", "labels", "train.txt", "val.txt", "test.txt",
}  # fmt: skip


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        path: the new folder.
        images: how many of each split ("" where there is none).
        boxes: how many, all together.
        dropped: ignored boxes that the format cannot say and that were left out, because that was asked for.
    """

    path: Path
    images: Mapping[str, int]
    boxes: int
    dropped: int


def write_dataset(
    parts: Mapping[str, Dataset],
    out: Path,
    *,
    format: str,  # noqa: A002  (the word for it)
    replace: bool = False,
    drop_ignored: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Written:
    """Write a data set into a new folder; it takes its name when all of it is there.

    Args:
        parts: the data set of each split, or of "": as `edgecnn.data.open_parts` gives them.
        out: the folder to make.
        format: coco, voc or yolo.
        replace: take the place of a folder that is there, if it holds nothing but such a data set.
        drop_ignored: leave out ignored boxes where the format cannot say so, instead of refusing.
        progress: is told now and then how many images are done, and of how many.

    Raises:
        DataError: not for detection, an image cannot be read, labels or ignored boxes that the format cannot
            say, or `out` is in the way.
    """
    out = Path(out)
    if format not in _WRITERS:
        raise DataError(f"{format!r} is not a format that can be written. Use {', '.join(_WRITERS)}.")
    _refuse(parts)
    _refuse_place(parts, out, replace)
    dropped = _unsayable(parts, drop_ignored) if format == "yolo" else 0
    labels = next(iter(parts.values())).labels
    names = _names(parts, numbered=format != "coco" and "" in parts)
    total = sum(map(len, parts.values()))
    done = boxes = 0

    def scenes(split: str, folder: Path) -> Iterator[Scene]:
        """Copy a split's images into a folder, one by one, and say what is in each."""
        nonlocal done, boxes
        folder.mkdir(parents=True, exist_ok=True)
        for sample, name in zip(parts[split].samples, names[split], strict=True):
            scene = _copied(sample, folder, name)
            done, boxes = done + 1, boxes + len(scene.truth)
            if progress:
                progress(done, total)
            yield scene

    with _replacing(out) as beside:
        _WRITERS[format](beside, labels, list(parts), scenes)
    return Written(out, {split: len(part) for split, part in parts.items()}, boxes - dropped, dropped)


def _copied(sample: Sample, folder: Path, name: str) -> Scene:
    if not isinstance(sample.truth, Boxes):
        raise DataError(f"{sample.image.name}: nobody said what is in it; only boxes can be written.")
    if isinstance(sample.image, StoredImage):
        data = sample.image.read_bytes()
        size = image_file.size_wh(data, sample.image.name)
        if size is None:
            raise DataError(f"{sample.image.name}: truncated. Copy it again or remove it.")
    else:
        image = sample.read()
        size = image.shape[1], image.shape[0]
        data = cv2.imencode(".png", image)[1].tobytes()
    (folder / name).write_bytes(data)
    return Scene(name, size, sample.truth)


def _refuse(parts: Mapping[str, Dataset]) -> None:
    for part in parts.values():
        if part.task not in TASKS:
            raise DataError(
                f"{part.name}: its truth is for {part.task}; only boxes (detection) can be written."
            )
        for label in part.labels:
            if label != label.strip() or not label or not label.isprintable():
                raise DataError(f"{part.name}: the label {label!r} begins or ends with space. Rename it.")


def _unsayable(parts: Mapping[str, Dataset], drop: bool) -> int:
    count = 0
    for part in parts.values():
        for sample in part.samples:
            count += int(sample.truth.ignored.sum()) if isinstance(sample.truth, Boxes) else 0
    if count and not drop:
        raise DataError(
            f"{next(iter(parts.values())).name}: {count} boxes are to be ignored (difficult, crowd), which "
            "YOLO cannot say. Write coco or voc, or drop them (--drop-ignored)."
        )
    return count


def _names(parts: Mapping[str, Dataset], *, numbered: bool) -> dict[str, list[str]]:
    """A file name for each image, no two alike in the data set, whatever the case: its own, if that will do.

    Where the format reads images in the order of their names (`numbered`), a number leads if it must.
    """
    own = {split: [_own(sample, 1) for sample in part.samples] for split, part in parts.items()}
    if not _different(own):
        own = {split: [_own(sample, 9) for sample in part.samples] for split, part in parts.items()}
    names = [name for some in own.values() for name in some]
    pages = [f"{splitext(name)[0]}.xml" for name in names]
    if not _different(own) or (numbered and not (names == sorted(names) and pages == sorted(pages))):
        count = iter(range(1, len(names) + 1))
        own = {split: [f"{next(count):07}-{name}" for name in some] for split, some in own.items()}
    return own


def _own(sample: Sample, depth: int) -> str:
    """The last parts of where an image lies, with its ending, and nothing that a list could not hold."""
    given = sample.image.name.split("/", 1)[-1].split("/")[-depth:]
    signs = (sign if sign.isalnum() or sign in _PLAIN else "_" for sign in "-".join(given))
    name = "".join(signs).strip(" .") or "image"
    return name if isinstance(sample.image, StoredImage) else f"{name}.png"


_PLAIN = " -_.+()"


def _different(names: Mapping[str, list[str]]) -> bool:
    stems = [splitext(name)[0].casefold() for found in names.values() for name in found]
    return len(set(stems)) == len(stems)


def _refuse_place(parts: Mapping[str, Dataset], out: Path, replace: bool) -> None:
    if not out.exists():
        return
    if not replace:
        raise DataError(f"{out}: is there already. Choose another name, or replace it (--force).")
    strangers = (
        sorted(path.name for path in out.iterdir() if path.name not in _WRITTEN) if out.is_dir() else [""]
    )
    if strangers:
        raise DataError(
            f"{out}: is not a data set that was written here (holds {strangers[0]!r}), so it is not replaced."
        )
    for part in parts.values():
        image = part.samples[0].image if len(part) else None
        storage = image.storage if isinstance(image, StoredImage) else None
        if isinstance(storage, Folder | Zip | Tar) and storage.path.resolve().is_relative_to(out.resolve()):
            raise DataError(f"{out}: holds what is to be written. Choose another name.")


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """Yield a new folder beside `out`; on success it takes the name, on any error it is removed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    around = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        beside = around / "new"
        beside.mkdir()
        yield beside
        if out.exists():
            out.rename(around / "old")
        try:
            beside.rename(out)
        except OSError:
            (around / "old").rename(out)
            raise
    finally:
        shutil.rmtree(around, ignore_errors=True)
