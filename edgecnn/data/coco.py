"""COCO JSON: one file of boxes for each split, beside folders of images, on disk or in an archive.

    annotations/instances_train2017.json   train2017/7.jpg      as COCO itself
    train/_annotations.coco.json           train/7.jpg          as Roboflow exports
    annotations.json                       images/7.jpg         in one piece

A file's split is in its name or, failing that, in its folder's. Where a folder holds COCO's other files
(captions, keypoints), only those called `instances` are read. Labels: the categories in order of their ids;
files that number them differently are matched by name. Images that no file names are left aside; those
without boxes count as showing nothing.

`bbox` is left, top, width, height; `iscrowd` is `Boxes.ignored`; `segmentation` and others are not read.
"""

import json
import re
from collections.abc import Iterator, Mapping
from posixpath import normpath, splitext
from typing import Any

from edgecnn import image_file
from edgecnn.data.annotated import TASKS, Annotation, Box, checked_box, datasets, refuse_task, split_of
from edgecnn.data.dataset import Dataset
from edgecnn.data.folder import StoredImage
from edgecnn.data.storage import Place, Storage
from edgecnn.errors import DataError

__all__ = ["TASKS", "read", "recognizes"]

_PARTS = ("images", "annotations", "categories")
_MOST_DEEP = 50


def recognizes(place: Place) -> bool:
    """Whether there are JSON files with images, annotations and categories."""
    return place.exists and next(_files(place.storage), None) is not None


def read(place: Place, *, task: str) -> dict[str, Dataset]:
    """The data set of each split; of "" where it comes in one piece.

    Raises:
        DataError: malformed, as the message says; an image is missing; or `task` is not detection.
    """
    refuse_task(place, "COCO", task)
    storage = place.storage
    files: dict[str, str] = {}
    for path in _files(storage):
        split = _split(path)
        if split in files:
            which = f"both mean the {split} split" if split else "name no split"
            raise DataError(f"{storage.name}: {files[split]} and {path} {which}. Move one elsewhere.")
        files[split] = path
    if not files:
        raise DataError(f"{storage.name}: holds no JSON file with {', '.join(_PARTS)}.")
    if "" in files and len(files) > 1:
        raise DataError(
            f"{storage.name}: {files['']} names no split, but others do. Call it train, val or test, "
            "or move it."
        )
    labels: list[str] = []
    splits = {split: _read(storage, path, split, labels) for split, path in files.items()}
    return datasets(storage.name, task, labels, splits)


def _files(storage: Storage) -> Iterator[str]:
    """The annotation files: known by name, or else by what they hold."""
    found = []
    for path in storage.listing.files:
        if path.lower().endswith(".json"):
            *folders, own = path.lower().split("/")
            known = own.startswith("instances_") or own in ("instances.json", "_annotations.coco.json")
            if known or len(folders) < 2 or folders[-1] == "annotations" or split_of(folders):
                found.append((known, path))
    if any(known for known, _ in found):
        yield from (path for known, path in found if known)
        return
    for _, path in found:
        data = storage.read(path)
        if all(f'"{part}"'.encode() in data for part in _PARTS):
            yield path


def _split(path: str) -> str:
    *folders, own = path.split("/")
    return split_of(re.findall("[A-Za-z]+", own)) or split_of(reversed(folders))


def _read(storage: Storage, path: str, split: str, labels: list[str]) -> list[Annotation]:
    """What a file says about each of its images, in its order; adds its categories to `labels`."""
    name = f"{storage.name}/{path}"
    page = _parsed(storage.read(path), name)
    ids = _categories(page["categories"], name, labels)
    find = _Finder(storage, path, split)
    found: dict[Any, Annotation] = {}
    for number, image in enumerate(page["images"]):
        where = f"{name}: images[{number}]"
        key, file = _entry(image, where, "id", int | str), _entry(image, where, "file_name", str)
        if key in found:
            raise DataError(f"{where}: the id {key!r} occurs twice. Remove one.")
        found[key] = Annotation(StoredImage(storage, find(file, where)), _size(image), [], [], [])
    for number, box in enumerate(page["annotations"]):
        where = f"{name}: annotations[{number}]"
        key, category = (
            _entry(box, where, "image_id", int | str),
            _entry(box, where, "category_id", int | str),
        )
        if key not in found:
            raise DataError(f"{where}: no image has the id {key!r}. Fix or remove it.")
        if category not in ids:
            raise DataError(f"{where}: no category has the id {category!r}. Fix or remove it.")
        crowd = box.get("iscrowd", 0)
        if crowd not in (0, 1):
            raise DataError(f"{where}: iscrowd is {crowd!r}; it must be 0 or 1.")
        one = found[key]
        one.xyxy.append(_box(box.get("bbox"), where))
        one.label_id.append(ids[category])
        one.ignored.append(bool(crowd))
    return list(found.values())


def _parsed(data: bytes, name: str) -> dict[str, list[Any]]:
    try:
        page = json.loads(data)
    except UnicodeDecodeError:
        raise DataError(f"{name}: not a text file in UTF-8. Save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{name}:{error.lineno}: not JSON ({error.msg}). Fix or copy it again.") from None
    except (RecursionError, ValueError) as error:  # brackets in brackets; a number of thousands of digits
        raise DataError(f"{name}: cannot be read ({error}). Fix or copy it again.") from None
    for part in _PARTS:
        if not isinstance(page, dict) or not isinstance(page.get(part), list):
            raise DataError(f"{name}: has no list of {part}; COCO's files have. Is it another JSON file?")
    return dict(page)


def _entry(entry: Any, where: str, key: str, kind: Any) -> Any:
    """The value of `key`, of the kind it must be."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"{where}: its {key} is {value!r}. Fix or remove it.")
    return value


def _categories(categories: list[Any], name: str, labels: list[str]) -> dict[Any, int]:
    """The label id of each category id."""
    named: dict[Any, str] = {}
    for number, category in enumerate(categories):
        where = f"{name}: categories[{number}]"
        key, label = _entry(category, where, "id", int | str), _entry(category, where, "name", str).strip()
        if key in named or label in named.values():
            raise DataError(f"{where}: the id {key!r} or the name {label!r} occurs twice. Remove one.")
        named[key] = label
    for key in sorted(named, key=lambda key: (isinstance(key, str), key)):
        if named[key] not in labels:
            labels.append(named[key])
    return {key: labels.index(label) for key, label in named.items()}


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    if isinstance(width, int) and isinstance(height, int) and 0 < width < 1 << 31 > height > 0:
        return width, height
    return None  # the image's header knows


def _box(bbox: Any, where: str) -> Box:
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(type(value) in (int, float) for value in bbox):
        raise DataError(f"{where}: its bbox is {str(bbox)[:80]}, not four numbers. Fix or remove it.")
    try:
        left, top, width, height = map(float, bbox)
    except OverflowError:
        raise DataError(f"{where}: its bbox holds a number that is too large. Fix or remove it.") from None
    return checked_box((left, top, left + width, top + height), where)


class _Finder:
    """Where the image lies that a file calls so: beside the file, or in an image folder of its split."""

    def __init__(self, storage: Storage, path: str, split: str) -> None:
        self.name = storage.name
        self.files = {
            path for path in storage.listing.files if splitext(path)[1].lower() in image_file.IMAGE_SUFFIXES
        }
        own = path.rpartition("/")[0]
        around = own.rpartition("/")[0]
        folders = sorted({file.rpartition("/")[0] for file in self.files} | set(storage.listing.folders))
        of = {
            folder: split_of(word for part in reversed(folder.split("/")) for word in _words(part))
            for folder in folders
        }
        same = [folder for folder in folders if split and of[folder] == split]
        none = [folder for folder in folders if not of[folder]]
        self.folders = list(dict.fromkeys([own, *same, around, "", *none]))

    def __call__(self, file: str, where: str) -> str:
        """The image's path in the storage.

        Raises:
            DataError: it is not there, or the name leads out.
        """
        given = file.replace("\\", "/")
        clean = normpath(given)
        if not file or given.startswith("/") or clean.startswith("..") or re.match("[A-Za-z]+:", given):
            raise DataError(
                f"{where}: file_name {file!r} leads out of {self.name}. Write it relative to the images."
            )
        for position, folder in enumerate(self.folders):
            path = f"{folder}/{clean}" if folder else clean
            if path in self.files:
                if position:  # the others will lie there, too
                    self.folders.insert(0, self.folders.pop(position))
                return path
        raise DataError(f"{where}: the image {file!r} is not in {self.name}. Add it or remove the entry.")


def _words(part: str) -> list[str]:
    return re.findall("[A-Za-z]+", part)
