"""What a data set IS: images that can be read, each with what a person says about it, if anyone did.

This module knows nothing about files, formats or drawing: `edgecnn.data` opens data sets, the readers
beside this module make them. Truth is a result (`edgecnn.results`) whose scores are 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from edgecnn.errors import DataError
from edgecnn.results import Classes, Result

Image: TypeAlias = npt.NDArray[np.uint8]


class ImageSource(Protocol):
    """An image that is read when asked for. Picklable; `read` may be called from several threads at once."""

    @property
    def name(self) -> str:
        """Where a person finds it, such as `cifar10.zip/train/cat/0001.jpg`."""

    def read(self) -> Image:
        """The image, (h, w, 3) uint8 BGR, a new array that the caller owns.

        Raises:
            DataError: the image is missing, truncated or not an image; names it.
        """


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and its truth.

    Attributes:
        image: the image, not yet read.
        truth: what is in it: `Classes`, `Boxes`, `Mask`, `Values` or `Embedding`, by the data set's task;
            None where nobody said (`edgecnn.data.unlabelled`).
    """

    image: ImageSource
    truth: Result | None

    def read(self) -> Image:
        """The image, (h, w, 3) uint8 BGR: see `ImageSource.read`."""
        return self.image.read()


@dataclass(frozen=True)
class Dataset:
    """Labelled images for one task.

    Attributes:
        name: what it is called in reports: the file's or folder's name.
        task: a key of `edgecnn.tasks.TASKS`, or `edgecnn.data.unlabelled.UNLABELLED`.
        labels: all names that the truth can have; an id is an index into them. Unique.
        samples: the samples, in an order that never changes; may be made when asked for.
        split: "train", "val", "test", or None where the data set is everything there is.
    """

    name: str
    task: str
    labels: tuple[str, ...]
    samples: Sequence[Sample]
    split: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            double = next(label for label in self.labels if self.labels.count(label) > 1)
            raise DataError(f"{self.name}: the label {double!r} occurs twice. Rename one of the two.")

    def __len__(self) -> int:
        return len(self.samples)

    def subset(self, indices: Iterable[int] | npt.NDArray[np.integer[Any]]) -> "Dataset":
        """The samples at `indices` (each in [0, len), any order, repeats allowed); none is read.

        Raises:
            DataError: an index lies outside the data set.
        """
        chosen = np.fromiter((int(i) for i in indices), np.int64)
        if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(self)):
            raise DataError(
                f"{self.name}: indices {chosen.min()}..{chosen.max()}, but there are {len(self)} samples "
                f"(0-{len(self) - 1})"
            )
        return replace(self, samples=Selection(self.samples, chosen))


class Selection(Sequence[Sample]):
    """Some samples of a sequence, in a given order; looks them up when asked."""

    def __init__(self, samples: Sequence[Sample], indices: npt.NDArray[np.int64]) -> None:
        self.samples: Sequence[Sample] = samples
        self.indices: npt.NDArray[np.int64] = indices
        if isinstance(samples, Selection):  # a selection of a selection stays one look-up deep
            self.samples = samples.samples
            self.indices = samples.indices[indices]

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> "Selection": ...
    def __getitem__(self, index: int | slice) -> "Sample | Selection":
        if isinstance(index, slice):
            return Selection(self.samples, self.indices[index])
        return self.samples[int(self.indices[index])]


class Joined(Sequence[Sample]):
    """Several sequences, one after the other; looks samples up when asked."""

    def __init__(self, parts: Sequence[Sequence[Sample]]) -> None:
        self.parts = tuple(parts)
        self.ends = np.cumsum([len(part) for part in parts], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Selection: ...
    def __getitem__(self, index: int | slice) -> Sample | Selection:
        if isinstance(index, slice):
            return Selection(self, np.arange(len(self))[index])
        place = range(len(self))[index]
        part = int(np.searchsorted(self.ends, place, side="right"))
        return self.parts[part][place - int(self.ends[part])]


def label_ids(dataset: Dataset) -> npt.NDArray[np.int64]:
    """The label of every sample of a classification data set, (n,) int64, without reading any image.

    Raises:
        DataError: a sample's truth is not one class.
    """
    known: dict[int, tuple[Classes, int]] = {}  # truth is shared by the samples of a class: look once at each
    ids = np.empty(len(dataset), np.int64)
    for index, sample in enumerate(dataset.samples):
        truth = sample.truth
        found = known.get(id(truth))
        if found is None:
            if not isinstance(truth, Classes):
                raise DataError(
                    f"{sample.image.name}: its truth is {type(truth).__name__}, not Classes; "
                    f"{dataset.name} is a data set for {dataset.task}"
                )
            found = known[id(truth)] = (
                truth,
                truth.label_id,
            )  # holding the truth keeps its id from being reused
        ids[index] = found[1]
    return ids
