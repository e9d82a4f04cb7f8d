"""Pascal VOC: an XML file for each image, on disk or in an archive.

    Annotations/7.xml  JPEGImages/7.jpg  ImageSets/Main/train.txt, val.txt, test.txt     as VOC itself
    Annotations/7.xml  images/7.jpg                                                      in one piece
    train/7.xml  train/7.jpg  valid/8.xml …                                              each beside its image

Several of the first kind (VOC2007, VOC2012) under one folder are one data set. `trainval.txt` is the training
split where there is no `train.txt`. Labels: the lines of `labels.txt`, where there is one, else all names in
sorted order. Images that no list and no annotation names are left aside.

Corners are taken as they are written: xmin is the box's left edge and xmax its right edge, in pixels from the
image's left edge, as nearly all tools read and write them. (VOC's own files count pixels from 1 and include
the last; a box that spans its image is then 1 pixel short at the left and the top, which no metric notices.)
`difficult` is `Boxes.ignored`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import splitext

from edgecnn import image_file
from edgecnn.data.annotated import TASKS, Annotation, datasets, refuse_task, split_of
from edgecnn.data.dataset import Dataset
from edgecnn.data.folder import SPLIT_OF, StoredImage
from edgecnn.data.storage import Place, Storage, text
from edgecnn.data.voc_page import Page
from edgecnn.errors import DataError

__all__ = ["TASKS", "read", "recognizes"]

LABELS_FILE = "labels.txt"

_LISTS = {**SPLIT_OF, "trainval": "trainval"}


def recognizes(place: Place) -> bool:
    """Whether there are XML files in a folder `Annotations`, or beside images at the top or in splits."""
    return place.exists and any(True for _ in _annotation_files(place.storage))


def read(place: Place, *, task: str) -> dict[str, Dataset]:
    """The data set of each split; of "" where it comes in one piece.

    Raises:
        DataError: malformed, as the message says; an image or annotation that is listed is missing; or `task`
            is not detection.
    """
    refuse_task(place, "Pascal VOC", task)
    storage = place.storage
    found = {
        split: [_parsed(storage, annotation, images) for annotation, images in entries]
        for split, entries in _lay_out(storage).items()
    }
    used = {label for entries in found.values() for _, names in entries for label in names}
    labels = _labels(storage, used)
    ids = {label: label_id for label_id, label in enumerate(labels)}
    for entries in found.values():
        for annotation, names in entries:
            annotation.label_id = [ids[label] for label in names]
    splits = {split: [annotation for annotation, _ in entries] for split, entries in found.items()}
    return datasets(storage.name, task, labels, splits)


@dataclass(frozen=True)
class _Folder:
    """Images that annotations can mean, by path without ending."""

    top: str
    images: Mapping[str, str]


def _annotation_files(storage: Storage) -> Iterator[tuple[str, str, str]]:
    """Each XML file that annotates: (path, the folder around `Annotations`, the path in there less ending).

    For those beside their image: (path, own folder, name less ending).
    """
    images = {splitext(path)[0] for path in storage.listing.files if _is_image(path)}
    lone = len({stem.rpartition("/")[0] for stem in images}) == 1
    for path in storage.listing.files:
        if not path.lower().endswith(".xml"):
            continue
        parts = path.split("/")
        lower = [part.lower() for part in parts[:-1]]
        stem = splitext(path)[0]
        if "annotations" in lower:
            at = lower.index("annotations")
            yield path, "/".join(parts[:at]), stem.split("/", at + 1)[-1]
        elif stem in images and (lone or len(parts) == 1 or split_of(reversed(parts[:-1]))):
            yield path, "/".join(parts[:-1]), splitext(parts[-1])[0]


def _lay_out(storage: Storage) -> dict[str, list[tuple[str, "_Folder | str"]]]:
    """For each split: annotations, each with its image, or the folder in which its own text must name it."""
    tops: dict[str, dict[str, str]] = {}
    for path, top, key in _annotation_files(storage):
        tops.setdefault(top, {})[key] = path
    if not tops:
        raise DataError(
            f"{storage.name}: holds no annotations (.xml) beside images or in a folder Annotations."
        )
    found: dict[str, list[tuple[str, _Folder | str]]] = {}
    for top, annotations in tops.items():
        folder = _Folder(top, _images(storage, top))
        lists = _lists(storage, top)
        if lists:
            for split, (file, keys) in lists.items():
                found.setdefault(split, []).extend(
                    _listed(storage, file, line, key, annotations, folder) for line, key in keys
                )
            continue
        for key, path in annotations.items():
            split = split_of(reversed(path.split("/")[:-1]))
            found.setdefault(split, []).append((path, folder.images.get(key, folder)))
    if "" in found and len(found) > 1:
        raise DataError(
            f"{storage.name}: {found[''][0][0]} belongs to no split, but others do. Put it into "
            "train, val or test."
        )
    return found


def _images(storage: Storage, top: str) -> dict[str, str]:
    """Images below `top` by their path less ending, with and without its first folder (JPEGImages/)."""
    inside = f"{top}/" if top else ""
    images: dict[str, str] = {}
    for path in storage.listing.files:
        if path.startswith(inside) and _is_image(path):
            stem = splitext(path[len(inside) :])[0]
            images.setdefault(stem.partition("/")[2] or stem, path)
            images[stem] = path
    return images


def _lists(storage: Storage, top: str) -> dict[str, tuple[str, list[tuple[int, str]]]]:
    """Of each split, its list's path and the (line, name) of each image."""
    inside = f"{top}/ImageSets/Main/".lstrip("/").lower()
    found: dict[str, tuple[str, list[tuple[int, str]]]] = {}
    for path in storage.listing.files:
        stem, ending = splitext(path[len(inside) :])
        if not path.lower().startswith(inside) or ending.lower() != ".txt" or stem.lower() not in _LISTS:
            continue
        split = _LISTS[stem.lower()]
        if split in found:
            raise DataError(
                f"{storage.name}: {found[split][0]} and {path} both list the {split} split. Remove one."
            )
        lines = text(storage, path).splitlines()
        keys = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
        found[split] = (path, keys)
    both = found.pop("trainval", None)
    if both and "train" not in found:
        found["train"] = both
    return found


def _listed(
    storage: Storage, file: str, line: int, key: str, annotations: Mapping[str, str], folder: _Folder
) -> tuple[str, "_Folder | str"]:
    """The annotation of a listed image, with or without ending, and the image."""
    for name in (key, splitext(key)[0]):
        if name in annotations:
            return annotations[name], folder.images.get(name, folder)
    raise DataError(
        f"{storage.name}/{file}:{line}: {key!r} has no annotation (Annotations/{key}.xml). Add it or remove "
        "the line."
    )


def _labels(storage: Storage, used: set[str]) -> list[str]:
    path = next((path for path in storage.listing.files if path.rpartition("/")[2] == LABELS_FILE), None)
    if path is None or path.count("/") > 1:
        return sorted(used)
    labels = [line.strip() for line in text(storage, path).splitlines() if line.strip()]
    if strangers := sorted(used - set(labels)):
        raise DataError(
            f"{storage.name}/{path}: does not list {strangers[0]!r}, which boxes have. Add a line."
        )
    return labels


def _parsed(storage: Storage, path: str, image: "_Folder | str") -> tuple[Annotation, list[str]]:
    name = f"{storage.name}/{path}"
    page = Page(name, storage.read(path))
    if isinstance(image, _Folder):
        stem = splitext(page.filename.replace("\\", "/").rpartition("/")[2])[0]
        if stem not in image.images:
            shown = page.filename or splitext(path.rpartition("/")[2])[0]
            raise DataError(
                f"{name}: its image {shown!r} is not there. Add the image or remove the annotation."
            )
        image = image.images[stem]
    xyxy, names, ignored = [], [], []
    for thing in page.things:
        box, label, difficult = thing.checked(name)
        xyxy.append(box)
        names.append(label)
        ignored.append(difficult)
    return Annotation(StoredImage(storage, image), page.size_wh, xyxy, [], ignored), names


def _is_image(path: str) -> bool:
    return splitext(path)[1].lower() in image_file.IMAGE_SUFFIXES
