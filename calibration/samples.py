"""Which training images calibration looks at, and how they come: balanced, repeatable, one at a time."""

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from edgecnn import image as images
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Dataset, label_ids
from edgecnn.errors import DataError
from edgecnn.evaluation.reading import Reading

COUNT = 256
"""Images by default; what a second is enough for with small images."""


def choose(dataset: Dataset, *, count: int = COUNT, seed: int = 0) -> Dataset:
    """Some samples that stand for all, as many of each class as possible.

    Any beginning of the choice is balanced too. Reads no image.

    Args:
        dataset: the training images.
        count: how many; all of them where there are fewer.
        seed: another seed chooses others.

    Raises:
        DataError: count is below 1, there are no images, or the truth of a classification is not a class.
    """
    if count < 1:
        raise DataError(f"calibration needs at least 1 image, not {count}")
    if not len(dataset):
        raise DataError(
            f"{dataset.name}: there are no images to calibrate with. Add some, or give other data."
        )
    random = np.random.default_rng(seed)
    order = random.permutation(len(dataset))
    if dataset.task == "classification":
        order = order[_in_turn(label_ids(dataset)[order])]
    return dataset.subset(order[:count])


class Prepared:
    """The samples as float tensors, each read when its turn comes.

    Attributes:
        count: tensors handed out so far.
    """

    def __init__(self, dataset: Dataset, spec: InputSpec) -> None:
        self.count = 0
        self._dataset = dataset
        self._spec = spec
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of the tensors handed out so far, in their order."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        """(1, height, width, channels) float32; the same array each time, with new content.

        Raises:
            DataError: an image cannot be read; names it.
        """
        table = images.lookup(self._spec, np.float32)
        tensor = None
        with Reading(self._dataset.samples) as reading:
            for image in reading:
                reading.handed.clear()
                tensor, _ = images.prepare(image, table, self._spec, out=tensor)
                self._digest.update(tensor.data)
                self.count += 1
                yield tensor


def _in_turn(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """An order in which the classes take turns: first one of each, then a second of each, and so on."""
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    return np.argsort(turn, kind="stable")
