"""Image folders: one folder for each class, on disk or in an archive, with or without train, val and test.

    photos/cat/1.jpg                 photos/train/cat/1.jpg
    photos/dog/a/2.png               photos/test/dog/2.png

Labels are the class folders' names, sorted. Images may lie deeper inside a class. One folder around it
all is seen through. Names of splits: train or training; val, valid, validation or dev; test or testing.
Files that do not end like images are left aside (`Layout.others` counts them).
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from edgecnn import image_file
from edgecnn.data.dataset import Dataset, Image, Sample
from edgecnn.data.storage import Place, Storage
from edgecnn.errors import DataError
from edgecnn.results import Classes

SPLIT_OF = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


_HEADER_BYTES = 1 << 16  # cameras put a preview of up to 64 kB before the size; then the whole file is read


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image file in a storage.

    Attributes:
        storage: where it lies.
        path: where in there.
    """

    storage: Storage
    path: str

    @property
    def name(self) -> str:
        """The storage's name, then the path in it: `cifar10.zip/train/cat/0001.jpg`."""
        return f"{self.storage.name}/{self.path}"

    def read_bytes(self) -> bytes:
        """The file's content, not decoded."""
        return self.storage.read(self.path)

    def read(self) -> Image:
        """See `edgecnn.data.dataset.ImageSource.read`."""
        return image_file.decode(self.read_bytes(), self.name)

    def size_wh(self) -> tuple[int, int]:
        """Width and height of what `read` gives, from the file's header alone.

        Raises:
            DataError: the file is gone, or no image.
        """
        start = self.storage.start(self.path, _HEADER_BYTES)
        if (size := image_file.size_wh(start, self.name)) is not None:
            return size
        if (size := image_file.size_wh(self.read_bytes(), self.name)) is not None:
            return size
        raise DataError(f"{self.name}: truncated: ends in its header. Copy it again or remove it.")


@dataclass(frozen=True)
class Layout:
    """What the folders mean.

    Attributes:
        labels: the class folders' names, sorted.
        splits: for each split ("" where there are none) the images: (path, label id), sorted.
        others: files that do not end like images, by their ending.
    """

    labels: tuple[str, ...]
    splits: Mapping[str, tuple[tuple[str, int], ...]]
    others: Mapping[str, int]


TASKS = ("classification",)
"""What image folders can teach."""


def recognizes(place: Place) -> bool:
    """Whether this could be an image folder or an archive of one: whether it exists."""
    return place.exists


def read(place: Place, *, task: str) -> dict[str, Dataset]:
    """The data set of each split; of "" where the folder has no splits.

    Raises:
        DataError: it cannot be opened or listed, holds no images, an empty or a lone class, images outside
            of class folders, or a class that the training split lacks; or `task` is not classification.
    """
    if task != "classification":
        raise DataError(f"{place}: image folders hold classes; they cannot teach {task}.")
    storage = place.storage
    layout = lay_out(storage)
    if len(layout.labels) < 2:
        raise DataError(
            f"{place}: holds one class folder only ({layout.labels[0]!r}); there is nothing to tell apart. "
            "Make a folder for each class."
        )
    truths = tuple(Classes.truth(label_id, layout.labels) for label_id in range(len(layout.labels)))
    return {
        split: Dataset(
            storage.name,
            task,
            layout.labels,
            tuple(Sample(StoredImage(storage, path), truths[label_id]) for path, label_id in images),
            split or None,
        )
        for split, images in layout.splits.items()
    }


def lay_out(storage: Storage) -> Layout:
    """Find splits, classes and images in a storage; reads no image.

    Raises:
        DataError: as `read`.
    """
    # os.path: pathlib takes ten times as long, which is a second for 60,000 files
    suffixes = [os.path.splitext(path)[1].lower() for path in storage.listing.files]  # noqa: PTH122
    images = [
        tuple(path.split("/"))
        for path, suffix in zip(storage.listing.files, suffixes, strict=True)
        if suffix in image_file.IMAGE_SUFFIXES
    ]
    if not images:
        kinds = " ".join(sorted(image_file.IMAGE_SUFFIXES))
        raise DataError(f"{storage.name}: holds no images ({len(suffixes)} other files). Read are {kinds}")
    root = _root(images)
    split_of = _split_folders(storage.name, images, len(root))
    class_depth = len(root) + (1 if split_of else 0)
    _refuse_outside(storage.name, images, class_depth)
    found: dict[str, list[tuple[str, str]]] = {}
    for parts in images:
        split = split_of[parts[len(root)]] if split_of else ""
        found.setdefault(split, []).append(("/".join(parts), parts[class_depth]))
    classes = {split: {label for _, label in entries} for split, entries in found.items()}
    _refuse_empty(storage, root, split_of, classes)
    labels = _labels(storage.name, classes)
    label_ids = {label: label_id for label_id, label in enumerate(labels)}
    splits = {
        split: tuple((path, label_ids[label]) for path, label in found[split])
        for split in _ORDER
        if split in found
    }
    others = Counter(suffix for suffix in suffixes if suffix not in image_file.IMAGE_SUFFIXES)
    return Layout(labels, splits, dict(others))


_ORDER: tuple[str, ...] = ("", "train", "val", "test")


def _root(images: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The folders around it all: lone top folders that are no split and hold nothing but folders."""
    root: tuple[str, ...] = ()
    while True:
        depth = len(root)
        top = images[0][depth]
        if top.lower() in SPLIT_OF or any(parts[depth] != top or len(parts) < depth + 3 for parts in images):
            return root
        root += (top,)


def _split_folders(name: str, images: list[tuple[str, ...]], depth: int) -> dict[str, str]:
    """The split of each top folder, or nothing where the top folders are classes.

    A class may be called `train`; a lone `train` among other names is a split if it holds folders only.
    """
    tops = {parts[depth] for parts in images if len(parts) > depth + 1}
    known = {top: SPLIT_OF[top.lower()] for top in tops if top.lower() in SPLIT_OF}
    deep = all(len(parts) > depth + 2 for parts in images if parts[depth] in known)
    if "train" not in known.values() and set(known) != tops:
        return {}
    if len(set(known.values())) < 2 and not deep:
        return {}
    if strangers := sorted(tops - set(known)):
        raise DataError(
            f"{name}: the folder {strangers[0]!r} lies beside {min(known)!r}, but is not train, val or test. "
            "Move it elsewhere."
        )
    for split in known.values():
        same = sorted(top for top in known if known[top] == split)
        if len(same) > 1:
            raise DataError(
                f"{name}: {same[0]!r} and {same[1]!r} both mean the {split} split. Merge the two."
            )
    return known


def _refuse_outside(name: str, images: list[tuple[str, ...]], class_depth: int) -> None:
    outside = ["/".join(parts) for parts in images if len(parts) < class_depth + 2]
    if outside:
        raise DataError(
            f"{name}: {len(outside)} of {len(images)} images lie in no class folder, such as {outside[0]}. "
            "Put each image into a folder named by its class."
        )


def _refuse_empty(
    storage: Storage, root: tuple[str, ...], split_of: Mapping[str, str], classes: Mapping[str, set[str]]
) -> None:
    """A class or split whose folder is there must have images."""
    for folder in storage.listing.folders:
        parts = tuple(folder.split("/"))
        if parts[: len(root)] != root:
            continue
        match parts[len(root) :]:
            case (top,) if not split_of and top not in classes[""]:
                raise DataError(
                    f"{storage.name}: the class folder {folder!r} holds no images. Fill or remove it."
                )
            case (top,) if split_of and top not in split_of and top.lower() in SPLIT_OF:
                raise DataError(f"{storage.name}: the split {folder!r} holds no images. Fill or remove it.")
            case (top, label) if top in split_of and label not in classes[split_of[top]]:
                raise DataError(
                    f"{storage.name}: the class folder {folder!r} holds no images. Fill or remove it."
                )


def _labels(name: str, classes: Mapping[str, set[str]]) -> tuple[str, ...]:
    """The classes that can be learned: those in train, where there is one."""
    learned = classes.get("train", set().union(*classes.values()))
    for split, found in classes.items():
        if strangers := sorted(found - learned):
            raise DataError(
                f"{name}: the class {strangers[0]!r} is in {split}, but train has none of it to learn from. "
                "Add training images or remove it."
            )
    for label in learned:
        if not label.isprintable():
            raise DataError(
                f"{name}: the class folder {label!r} has characters that cannot be printed. Rename it."
            )
    return tuple(sorted(learned))
