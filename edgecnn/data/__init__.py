"""Labelled images: `open_dataset` opens any of the FORMATS.

    open_dataset("photos/")                    a folder for each class, with or without train, val, test
    open_dataset("photos.zip", split="test")   the same in a zip or tar archive, read in place
    open_dataset("drawn:7?size=96x96")         scenes drawn with seed 7 (see `edgecnn.data.drawn`)
    open_dataset("cells.zip", task="detection")    boxes: Pascal VOC, COCO JSON or YOLO, as `voc`, `coco`,
                                               `yolo` say; `write` writes all three

What a data set is says `edgecnn.data.dataset`; how one is divided, `edgecnn.data.splits`.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from edgecnn.data.dataset import Dataset
from edgecnn.data.storage import Place
from edgecnn.errors import DataError


class Format(Protocol):
    """What the module of a format offers."""

    TASKS: tuple[str, ...]
    """The tasks it can serve, the most natural one first."""

    def recognizes(self, place: Place) -> bool:
        """Whether what lies there looks like this format."""

    def read(self, place: Place, *, task: str) -> Mapping[str, Dataset]:
        """The data set of each split ("train", "val", "test"), or of "" where it comes in one piece."""


FORMATS: dict[str, str] = {
    "drawn": "edgecnn.data.drawn.stills",
    "coco": "edgecnn.data.coco",
    "voc": "edgecnn.data.voc",
    "yolo": "edgecnn.data.yolo",
    "folder": "edgecnn.data.folder",
}
"""The module (a `Format`) of each format, imported when used; tried in this order."""


def open_dataset(
    path: str | Path,
    format: str | None = None,  # noqa: A002  (the word for it)
    *,
    task: str = "classification",
    split: str | None = None,
    seed: int = 0,
) -> Dataset:
    """Open a data set, or one split of it. Lists files; reads no image.

    Args:
        path: a folder, an archive, or the name of a drawn data set.
        format: a key of FORMATS; None finds out.
        task: what the truth is wanted for.
        split: "train", "val" or "test"; None is everything. Without splits of its own, a data set is divided
            as `edgecnn.data.splits` says; "train" is then what `training_splits` learns from, without "val".
        seed: which training images are held out for "val" where the data set comes without it.

    Raises:
        DataError: there is no such data set, it is malformed, or does not serve `task`; an unknown format
            or split.
    """
    parts = open_parts(path, format, task=task)
    if split is None:
        return _joined(parts)
    from edgecnn.data.splits import with_splits

    if split not in ("train", "val", "test"):
        raise DataError(f"{path}: {split!r} is not a split. Use train, val or test.")
    parts = with_splits(parts)
    if split == "test" and "test" not in parts:
        raise DataError(f"{path}: has no test split (but {', '.join(parts)}). Add one, or judge by val.")
    if split in parts and (split != "train" or "val" in parts):
        return parts[split]
    return _training(path, parts, seed)[split == "val"]


def training_splits(
    path: str | Path,
    format: str | None = None,  # noqa: A002
    *,
    task: str = "classification",
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """What to learn from and what to choose by (train, val): disjoint, and both disjoint from test.

    Without a validation split, a tenth of the training images is held out, at most 2000, the same share of
    every class; the same ones for the same `seed`.

    Raises:
        DataError: as `open_dataset`; or there is nothing to learn from.
    """
    from edgecnn.data.splits import with_splits

    return _training(path, with_splits(open_parts(path, format, task=task)), seed)


def split_names(path: str | Path, format: str | None = None) -> tuple[str, ...]:  # noqa: A002
    """The splits that a data set comes with: some of train, val, test; () where it comes in one piece."""
    return tuple(name for name in open_parts(path, format, task=None) if name)


def open_parts(
    path: str | Path,
    format: str | None = None,  # noqa: A002
    *,
    task: str | None = "classification",
) -> Mapping[str, Dataset]:
    """A data set as it came: the data set of each split, or of "" where it comes in one piece.

    Args:
        path: as for `open_dataset`.
        format: likewise.
        task: likewise; None is the one that its format serves first.

    Raises:
        DataError: as `open_dataset`.
    """
    place = Place(path)
    found = _recognized(place) if format is None else _format(format)
    return found.read(place, task=found.TASKS[0] if task is None else task)


def _recognized(place: Place) -> Format:
    formats = map(_format, FORMATS)
    found = next((candidate for candidate in formats if candidate.recognizes(place)), None)
    if found is None:
        raise DataError(
            f"{place}: there is no such file or folder. Give a folder, a .zip or .tar, or 'drawn'."
        )
    return found


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise DataError(f"{name!r} is not a format. Use {', '.join(FORMATS)}.")
    return cast(Format, import_module(FORMATS[name]))


def _training(path: str | Path, parts: Mapping[str, Dataset], seed: int) -> tuple[Dataset, Dataset]:
    from edgecnn.data.splits import hold_out

    if "train" not in parts:
        raise DataError(
            f"{path}: has no train split (but {', '.join(parts)}), so there is nothing to learn from."
        )
    if "val" in parts:
        return parts["train"], parts["val"]
    return hold_out(parts["train"], seed)


def _joined(parts: Mapping[str, Dataset]) -> Dataset:
    """All splits, one after the other."""
    first, *others = parts.values()
    if not others:
        return replace(first, split=None)
    from edgecnn.data.dataset import Joined

    return replace(first, samples=Joined([part.samples for part in parts.values()]), split=None)
