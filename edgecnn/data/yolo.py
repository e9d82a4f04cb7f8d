"""YOLO: a text file of boxes for each image, and a data.yaml, on disk or in an archive.

    data.yaml  images/train/7.jpg  labels/train/7.txt      as most tools write it
    data.yaml  train/images/7.jpg  train/labels/7.txt      as Roboflow exports
    classes.txt  7.jpg  7.txt                              each beside its image

A line is `class cx cy width height`, as shares of the image; a polygon (`class x y x y x y …`) counts as the
box around it. An image without a text file shows nothing. Labels: `names` of data.yaml, or the lines of
classes.txt, obj.names or labels.txt. Splits: what data.yaml calls train, val and test (folders, or lists of
images); without, the names of folders. Paths in data.yaml are looked up from the data set's own folder,
wherever it lay when they were written. Sizes come from the images' headers.

YOLO has no way to say that a box is to be ignored.
"""

from collections.abc import Iterable, Mapping
from posixpath import normpath, splitext

from edgecnn import image_file
from edgecnn.data import yolo_names
from edgecnn.data.annotated import TASKS, Annotation, Box, checked_box, datasets, refuse_task, split_of
from edgecnn.data.dataset import Dataset
from edgecnn.data.folder import StoredImage
from edgecnn.data.storage import Place, Storage, text
from edgecnn.errors import DataError

__all__ = ["TASKS", "read", "recognizes"]

NAMES_FILES = ("classes.txt", "obj.names", "_darknet.labels", "labels.txt")

MOST = 2.0
"""A share of the image beyond this is a number of pixels; boxes that reach out of their image stay below."""

_MAX_YAML = 1 << 20


def recognizes(place: Place) -> bool:
    """Whether there are classes and text files beside images, or in folders `labels` beside `images`."""
    if not place.exists:
        return False
    storage = place.storage
    if _names_file(storage) is None and _yaml(storage) is None:
        return _labels_of(storage, folders_only=True)
    return _labels_of(storage, folders_only=False)


def read(place: Place, *, task: str) -> dict[str, Dataset]:
    """The data set of each split; of "" where it comes in one piece.

    Raises:
        DataError: malformed, as the message says; an image is missing or cannot be read; or `task` is not
            detection.
    """
    refuse_task(place, "YOLO", task)
    storage = place.storage
    labels, splits = _named(storage)
    files = set(storage.listing.files)
    images = {path for found in splits.values() for path in found}
    _refuse_orphans(storage, images)
    return datasets(
        storage.name,
        task,
        labels,
        {
            split: [_annotation(storage, path, files, len(labels)) for path in found]
            for split, found in splits.items()
        },
    )


def _labels_of(storage: Storage, *, folders_only: bool) -> bool:
    """Whether any image has a text file where YOLO puts it."""
    files = set(storage.listing.files)
    for path in filter(_is_image, storage.listing.files):
        label = _label_file(path)
        if label in files and not (folders_only and label == f"{splitext(path)[0]}.txt"):
            return True
    return False


def _named(storage: Storage) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Labels, and the images of each split."""
    labels: tuple[str, ...] = ()
    splits: Mapping[str, Iterable[str]] = {}
    path = _yaml(storage)
    if path is not None:
        if len(content := text(storage, path)) > _MAX_YAML:
            raise DataError(f"{storage.name}/{path}: {len(content)} characters; this is no list of names.")
        said = yolo_names.parse(content, f"{storage.name}/{path}")
        labels = said.labels
        splits = {
            split: [image for place in places for image in _images_at(storage, path, said.root, place, split)]
            for split, places in said.splits.items()
        }
    if not labels and (file := _names_file(storage)):
        labels = tuple(line.strip() for line in text(storage, file).splitlines() if line.strip())
    if not labels:
        raise DataError(
            f"{storage.name}: nothing names its classes. Add a data.yaml with names: [...], or a classes.txt."
        )
    return labels, {split: list(found) for split, found in (splits or _by_folder(storage)).items()}


def _by_folder(storage: Storage) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in filter(_is_image, storage.listing.files):
        found.setdefault(split_of(path.split("/")[:-1]), []).append(path)
    if "" in found and len(found) > 1:
        raise DataError(
            f"{storage.name}: {found[''][0]} belongs to no split, but others do. Put it into train, "
            "val or test."
        )
    return found


def _images_at(storage: Storage, yaml: str, root: str, place: str, split: str) -> list[str]:
    """The images in a folder, or in a list of images, that data.yaml names."""
    own = yaml.rpartition("/")[0]
    clean = _inward(place)
    last = _inward(root).rpartition("/")[2]
    for above in dict.fromkeys((own, f"{own}/{_inward(root)}", f"{own}/{last}", "")):
        path = normpath(f"{above}/{clean}").strip("/")
        inside = "" if path in (".", "") else f"{path}/"
        if path in storage.listing.files:
            return _listed(storage, path)
        images = [file for file in storage.listing.files if file.startswith(inside) and _is_image(file)]
        if images:
            return images
    raise DataError(
        f"{storage.name}/{yaml}: {split} is {place!r}, but no images lie there. Put them beside the file, or "
        "fix it."
    )


def _inward(path: str) -> str:
    """A path without what leads up or out. Roboflow writes ../train/images and means train/images."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(part for part in parts if not part.endswith(":"))


def _listed(storage: Storage, path: str) -> list[str]:
    files = set(storage.listing.files)
    folder = path.rpartition("/")[0]
    images = []
    for number, line in enumerate(text(storage, path).splitlines(), 1):
        if given := line.strip():
            clean = _inward(given)
            image = next((each for each in (f"{folder}/{clean}".lstrip("/"), clean) if each in files), None)
            if image is None:
                raise DataError(
                    f"{storage.name}/{path}:{number}: the image {given!r} is not there. Add it or "
                    "remove the line."
                )
            images.append(image)
    return images


def _annotation(storage: Storage, path: str, files: set[str], classes: int) -> Annotation:
    image = StoredImage(storage, path)
    size = image.size_wh()
    annotation = Annotation(image, size, [], [], [])
    label = _label_file(path)
    if label in files:
        for number, line in enumerate(text(storage, label).splitlines(), 1):
            if line.strip():
                where = f"{storage.name}/{label}:{number}"
                label_id, box = _parsed(line.split(), where, classes, size)
                annotation.label_id.append(label_id)
                annotation.xyxy.append(box)
                annotation.ignored.append(False)
    return annotation


def _parsed(words: list[str], where: str, classes: int, size_wh: tuple[int, int]) -> tuple[int, Box]:
    try:
        label, *shares = map(float, words)
    except ValueError:
        raise DataError(
            f"{where}: {' '.join(words)[:60]!r} is not a line of numbers. Fix or remove it."
        ) from None
    if len(shares) != 4 and (len(shares) < 6 or len(shares) % 2):
        raise DataError(
            f"{where}: {len(words)} numbers; a box has 5: class, centre x and y, width, height. Fix "
            "or remove it."
        )
    if not label.is_integer() or not 0 <= label < classes:
        raise DataError(
            f"{where}: class {words[0]}, but there are only {classes} labels (0-{classes - 1}). Add "
            "the label or fix "
            "the line."
        )
    width, height = size_wh
    if len(shares) == 4:
        x, y, w, h = shares
        left, top, right, bottom = x - w / 2, y - h / 2, x + w / 2, y + h / 2
    else:
        left, top, right, bottom = min(shares[::2]), min(shares[1::2]), max(shares[::2]), max(shares[1::2])
    box = checked_box((left * width, top * height, right * width, bottom * height), where)
    if max(map(abs, shares)) > MOST:
        raise DataError(
            f"{where}: {max(shares, key=abs):g} is no share of the image, more likely pixels. Divide "
            "by its width "
            "and height."
        )
    return int(label), box


def _refuse_orphans(storage: Storage, images: set[str]) -> None:
    """A text file in a folder `labels` belongs to an image."""
    known = {splitext(_label_file(path))[0] for path in images}
    seen = {splitext(_label_file(path))[0] for path in storage.listing.files if _is_image(path)}
    for path in storage.listing.files:
        *folders, own = path.split("/")
        if "labels" not in folders or not own.endswith(".txt") or own in NAMES_FILES:
            continue
        if (stem := splitext(path)[0]) not in known and stem not in seen:
            raise DataError(
                f"{storage.name}/{path}: its image is not there. Add the image or remove the file."
            )


def _label_file(image: str) -> str:
    """Where YOLO looks for an image's boxes: in `labels` for the last `images`, else beside it."""
    folder, _, own = f"/{image}".rpartition("/")
    before, images, after = f"{folder}/".rpartition("/images/")
    inside = f"{before}/labels/{after}" if images else f"{folder}/"
    return f"{inside}{splitext(own)[0]}.txt".lstrip("/")


def _yaml(storage: Storage) -> str | None:
    """The data.yaml, or the only other file that ends so, at the top or in a lone folder."""
    found = [
        path
        for path in storage.listing.files
        if path.lower().endswith((".yaml", ".yml")) and path.count("/") < 2
    ]
    best = [
        path for path in found if path.lower().rpartition("/")[2] in ("data.yaml", "data.yml", "dataset.yaml")
    ]
    found = best or found
    return found[0] if len(found) == 1 else None


def _names_file(storage: Storage) -> str | None:
    for wanted in NAMES_FILES:
        for path in storage.listing.files:
            if path.rpartition("/")[2] == wanted and path.count("/") < 3:
                return path
    return None


def _is_image(path: str) -> bool:
    return splitext(path)[1].lower() in image_file.IMAGE_SUFFIXES
