"""The drawn stills as a data set: each image follows from seed, split and number, and is drawn when read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt

from edgecnn.data.dataset import Dataset, Image, Sample, Selection
from edgecnn.data.drawn import scene as truths
from edgecnn.data.drawn.bodies import BALL, LABELS
from edgecnn.data.drawn.picture import picture
from edgecnn.data.drawn.sampling import still
from edgecnn.data.drawn.scene import Coverage, Scene
from edgecnn.data.storage import Place
from edgecnn.errors import DataError
from edgecnn.results import Classes, Result

SPLITS = {"train": 4000, "val": 500, "test": 1000}
"""How many stills each split has where the name does not say."""

SIZE_WH = (160, 120)

_MOST = 10_000_000
_SMALLEST, _LARGEST = 32, 2048


TASKS = ("classification", "detection", "segmentation", "regression")
"""What scenes have truth for."""


def recognizes(place: Place) -> bool:
    """Whether a name is `drawn`, with or without seed and options."""
    return re.match(r"drawn($|[:?])", place.path) is not None


def read(place: Place, *, task: str) -> dict[str, Dataset]:
    """The three splits: see `edgecnn.data.drawn` for what a name can say.

    Raises:
        DataError: the name says something else, or scenes have no truth for `task`.
    """
    path = place.path
    if task not in _TASKS:
        raise DataError(f"{path}: drawn scenes cannot teach {task}. They serve {', '.join(_TASKS)}.")
    seed, size_wh, counts = _parsed(path)
    name = path.partition("?")[0]
    return {
        split: Dataset(name, task, _TASKS[task][0], Stills(name, task, seed, split, size_wh, count), split)
        for split, count in counts.items()
    }


class Stills(Sequence[Sample]):
    """The samples of one split; made when asked for."""

    def __init__(
        self, name: str, task: str, seed: int, split: str, size_wh: tuple[int, int], count: int
    ) -> None:
        self.name = f"{name}/{split}"
        self.task = task
        self.size_wh = size_wh
        self.stream = (seed, tuple(SPLITS).index(split))
        self.kinds = _kinds(self.stream, count)
        self._classes = tuple(Classes.truth(kind, LABELS) for kind in range(len(LABELS)))

    def __len__(self) -> int:
        return len(self.kinds)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Selection: ...
    def __getitem__(self, index: int | slice) -> Sample | Selection:
        if isinstance(index, slice):
            return Selection(self, np.arange(len(self))[index])
        number = range(len(self))[index]
        kind = BALL if self.task == "regression" else int(self.kinds[number])
        still = Still(f"{self.name}/{number:05}", (*self.stream, number), self.size_wh, kind)
        if self.task == "classification":  # known without drawing: the scene is made for its class
            return Sample(still, self._classes[kind])
        scene = still.scene()
        return Sample(still, _TASKS[self.task][1](scene, truths.coverage(scene)))


@dataclass(frozen=True, slots=True)
class Still:
    """One image, drawn when read.

    Attributes:
        name: `drawn:7/train/00012`.
        stream: seed, split, number: what all randomness follows from.
        size_wh: in pixels.
        kind: the class that covers most of it.
    """

    name: str
    stream: tuple[int, int, int]
    size_wh: tuple[int, int]
    kind: int

    def scene(self) -> Scene:
        """What there is to see."""
        return still(np.random.default_rng((*self.stream, _SCENES)), self.size_wh, self.kind)

    def read(self) -> Image:
        """See `edgecnn.data.dataset.ImageSource.read`."""
        return picture(self.scene())


# Streams end in a number above 0: numpy takes (7, 0) and (7, 0, 0) for the same seed.
_SCENES, _ORDER = 1, 2


def _kinds(stream: tuple[int, int], count: int) -> npt.NDArray[np.int64]:
    """The class of each still, as many of each, in random order within every four."""
    blocks = -(-count // len(LABELS))
    random = np.random.default_rng((*stream, 0, _ORDER))
    return random.permuted(np.tile(np.arange(len(LABELS)), (blocks, 1)), axis=1).ravel()[:count]


def _bearing(scene: Scene, found: Coverage) -> Result:
    value = truths.bearing(scene, found)
    if value is None:
        raise DataError("a drawn scene for regression has no ball: please report its name")
    return value


_TASKS: dict[str, tuple[tuple[str, ...], Callable[[Scene, Coverage], Result]]] = {
    "classification": (LABELS, truths.classes),
    "detection": (LABELS, truths.boxes),
    "segmentation": (("background", *LABELS), truths.mask),
    "regression": (truths.BEARING, _bearing),
}


def _parsed(path: str) -> tuple[int, tuple[int, int], dict[str, int]]:
    found = re.fullmatch(r"drawn(?::(\d{1,10}))?(?:\?(.*))?", path)
    seed = int(found[1] or 0) if found else 2**32
    if found is None or seed >= 2**32:
        raise DataError(f"{path}: not a drawn data set. Write it like drawn:7?size=96x96&train=8000")
    size_wh, counts = SIZE_WH, dict(SPLITS)
    for key, value in parse_qsl(found[2] or "", keep_blank_values=True):
        if key in counts and value.isascii() and value.isdigit() and 1 <= int(value) <= _MOST:
            counts[key] = int(value)
        elif key == "size" and (size := re.fullmatch(r"(\d{1,5})x(\d{1,5})", value)):
            size_wh = int(size[1]), int(size[2])
            if not _SMALLEST <= min(size_wh) <= max(size_wh) <= _LARGEST:
                raise DataError(f"{path}: a side must have {_SMALLEST} to {_LARGEST} pixels")
        else:
            raise DataError(
                f"{path}: {key}={value} is not understood. Options are size=WIDTHxHEIGHT, train=N, val=N "
                f"and test=N, with N from 1 to {_MOST}"
            )
    return seed, size_wh, counts
