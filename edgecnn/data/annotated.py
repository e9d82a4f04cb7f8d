"""Images with boxes: what the readers of detection data sets have in common.

A file's numbers are kept as they stand there, for `edgecnn.data.box_info` to judge; truth is what can be
learned from them: clipped to the image, without the boxes of which nothing is left then. Images without
boxes are truth, too. Readers say where a number is wrong; this module, which images and classes are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from edgecnn.data.dataset import Dataset, Sample, Selection
from edgecnn.data.folder import SPLIT_OF, StoredImage
from edgecnn.errors import DataError
from edgecnn.results import Boxes

Box = tuple[float, float, float, float]

TASKS = ("detection",)
"""What boxes can teach."""

ORDER = ("", "train", "val", "test")


@dataclass(slots=True)
class Annotation:
    """What a file says about one image.

    Attributes:
        image: the image.
        size_wh: its width and height as the file says, in pixels; None where it does not.
        xyxy: left, top, right, bottom of each box, in pixels, as the file says.
        label_id: the class of each.
        ignored: whether each counts neither when found nor when missed.
    """

    image: StoredImage
    size_wh: tuple[int, int] | None
    xyxy: list[Box]
    label_id: list[int]
    ignored: list[bool]


class Scene(NamedTuple):
    """One image of a data set that is being written: its file's name, width and height, and boxes."""

    name: str
    size_wh: tuple[int, int]
    truth: Boxes


Scenes: TypeAlias = Callable[[str, Path], Iterable[Scene]]
"""What a writer asks: puts the images of a split into a folder, one by one, and says what is in each."""


class Annotated(Sequence[Sample]):
    """Samples whose boxes lie in a few large arrays; each truth is made when asked for.

    Attributes:
        images: n images.
        size_wh: (n, 2) int64, pixels, as the annotations say or the image's header does.
        first: (n + 1,) int64; the boxes of image i are rows first[i] to first[i + 1] of what follows.
        xyxy: (m, 4) float64, pixels of the original image, as the files say: not clipped.
        label_id: (m,) int64.
        ignored: (m,) bool.
        labels: all names.
    """

    def __init__(self, annotations: Sequence[Annotation], labels: tuple[str, ...]) -> None:
        counts = [len(each.xyxy) for each in annotations]
        self.images = tuple(each.image for each in annotations)
        self.labels = labels
        self.first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
        self.xyxy = np.array([box for each in annotations for box in each.xyxy], np.float64).reshape(-1, 4)
        self.label_id = np.array([value for each in annotations for value in each.label_id], np.int64)
        self.ignored = np.array([value for each in annotations for value in each.ignored], bool)
        self.size_wh = np.array([each.size_wh or (0, 0) for each in annotations], np.int64).reshape(-1, 2)
        self._measure()

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Selection: ...
    def __getitem__(self, index: int | slice) -> Sample | Selection:
        if isinstance(index, slice):
            return Selection(self, np.arange(len(self))[index])
        number = range(len(self))[index]
        return Sample(self.images[number], self._truth(number))

    def _truth(self, number: int) -> Boxes:
        rows = slice(self.first[number], self.first[number + 1])
        xyxy = clipped(self.xyxy[rows], self.size_wh[number])
        left = has_area(xyxy)
        return Boxes(
            xyxy[left],
            np.ones(int(left.sum()), np.float32),
            self.label_id[rows][left],
            self.labels,
            self.ignored[rows][left],
        )

    def _measure(self) -> None:
        """Look for the size of images where no file says it, or a box reaches out of what a file says.

        Where all boxes lie inside, nothing is clipped and the size does not matter.
        """
        beyond = (self.xyxy[:, 2:] > self.size_wh[np.repeat(np.arange(len(self)), np.diff(self.first))]).any(
            1
        )
        owner = np.searchsorted(self.first, np.flatnonzero(beyond), side="right") - 1
        for number in sorted({*owner.tolist(), *np.flatnonzero((self.size_wh < 1).any(1)).tolist()}):
            self.size_wh[number] = self.images[number].size_wh()


def clipped(xyxy: npt.NDArray[np.floating[Any]], size_wh: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Boxes (n, 4) without what lies outside of an image of `size_wh`; (n, 4) float32."""
    most = np.tile(np.asarray(size_wh, np.float64), 2)
    inside: npt.NDArray[np.float32] = np.clip(xyxy, 0, most).astype(np.float32)
    return inside


def has_area(xyxy: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_]:
    """Which boxes (n, 4) are wider and higher than nothing; (n,) bool."""
    wide_high: npt.NDArray[np.bool_] = np.all(xyxy[:, 2:] > xyxy[:, :2], axis=1)
    return wide_high


def datasets(
    name: str, task: str, labels: Sequence[str], splits: Mapping[str, Sequence[Annotation]]
) -> dict[str, Dataset]:
    """The data set of each split, or of "".

    Raises:
        DataError: a class without a name or named twice, no class or no image at all, an image that is listed
            twice, or one whose size is needed and cannot be read.
    """
    _refuse_labels(name, labels)
    if not any(splits.values()):
        raise DataError(f"{name}: holds no annotated images.")
    seen: dict[str, str] = {}
    for split, annotations in splits.items():
        for each in annotations:
            before = seen.setdefault(each.image.path, split)
            if before != split:
                raise DataError(
                    f"{each.image.name}: listed in {before} and in {split}; what is judged by it "
                    "would be too "
                    "good to be true. Remove it from one."
                )
        if len({each.image.path for each in annotations}) != len(annotations):
            paths = [each.image.path for each in annotations]
            twice = next(path for path in paths if paths.count(path) > 1)
            raise DataError(f"{name}/{twice}: listed twice{f' in {split}' * bool(split)}. Remove one.")
    named = tuple(labels)
    return {
        split: Dataset(name, task, named, Annotated(splits[split], named), split or None)
        for split in ORDER
        if splits.get(split)
    }


def refuse_task(place: object, format_name: str, task: str) -> None:
    """Boxes teach detection.

    Raises:
        DataError: `task` is another one.
    """
    if task not in TASKS:
        raise DataError(
            f"{place}: a {format_name} data set holds boxes, which cannot teach {task}. "
            "Use the task detection (--task detection)."
        )


def checked_box(box: Box, where: str) -> Box:
    """A box as it was written, if it can be one at all.

    Raises:
        DataError: a number is no number, or right lies left of left, or bottom above top; names `where`.
    """
    left, top, right, bottom = box
    if not (isfinite(left) and isfinite(top) and isfinite(right) and isfinite(bottom)):
        raise DataError(f"{where}: the box {_shown(box)} is not four finite numbers. Fix or remove it.")
    if right < left or bottom < top:
        raise DataError(
            f"{where}: the box {_shown(box)} ends before it begins (left, top, right, bottom). Fix or "
            "remove it."
        )
    return box


def split_of(words: Iterable[str]) -> str:
    """The split that the first of some words names; "" where none does."""
    return next((SPLIT_OF[word.lower()] for word in words if word.lower() in SPLIT_OF), "")


def _refuse_labels(name: str, labels: Sequence[str]) -> None:
    if not labels:
        raise DataError(f"{name}: names no class at all. Add the classes.")
    for number, label in enumerate(labels):
        if not label.strip() or not label.isprintable():
            raise DataError(
                f"{name}: class {number} is called {label!r}, which cannot be printed. Give it a name."
            )
        if label in labels[:number]:
            raise DataError(f"{name}: two classes are called {label!r}. Rename one.")


def _shown(box: Box) -> str:
    return ", ".join(f"{value:g}" for value in box)
